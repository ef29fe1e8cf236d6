"""One contract for every config: described, frozen, bounded by name, and the same from any file."""

from __future__ import annotations

import importlib
import json
import math
import pkgutil
import types
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

import pytest
import yaml
from pydantic import ValidationError
from pydantic.fields import FieldInfo

from dawnchorus import configs
from dawnchorus.configs import Config, EmbedConfig, ProbeRunConfig, Readout, read_yaml
from dawnchorus.configs.base import LONGEST_KEY, MOST_PROBLEMS
from dawnchorus.configs.json_file import parse_json
from dawnchorus.errors import UsageError

RUN = {"name": "run", "steps": 10, "learning_rate": 0.001, "data": {"root": "data"}}
# what a config has to be given, by the name of its class
REQUIRED: dict[str, dict[str, Any]] = {
    "TeacherConfig": {"table": "teacher.parquet"},
    "DistilConfig": {"model": "dawnchorus_eat_tiny"},
    "DataConfig": {"root": "data"},
    "BucketConfig": {"crop_s": 5.0, "batch_size": 4},
    "TrainConfig": RUN,
    "PretrainConfig": RUN,
    "PosttrainConfig": RUN,
    "BenchmarkConfig": {"models": ["tiny"], "tasks": ["one"]},
}
# another value than the default for some keys of a config, all at once
OTHER: dict[str, dict[str, Any]] = {
    "WindowConfig": {"window_s": 4.0, "hop_s": 2.0},
    "EmbedConfig": {"readout": "8:std,own:cls:0.5", "shard": [1, 3], "windows": {"window_s": 2.0}},
    "PredictConfig": {"thresholds": {"Зяблик": 0.25}, "merge": True, "gap_s": 1.5},
    "ProbeRunConfig": {"readout": "own:cls", "few_shot": [1, 5], "fit": {"strengths": [0.5]}},
    "FitConfig": {"class_weights": {"wren": 2.0}, "select_by": "accuracy"},
    "TrainConfig": {**RUN, "buckets": [{"crop_s": 1.0, "batch_size": 2}], "loggers": ["wandb"]},
    "PosttrainConfig": {**RUN, "head_steps": 2, "spec_augment": {"n_time_masks": 2}},
    "PretrainConfig": {**RUN, "leave_out": ["a", "b"], "mask": {"ratio": 0.5}},
    "DistilConfig": {"table": "teacher.parquet", "weight": 0.5, "precision": "float32"},
    "MixConfig": {"share": [0.1, 0.9], "beta": 0.4},
    "DataConfig": {"root": "data", "source_weights": {"a": 0.5}, "teacher": {"table": "t"}},
}
# what a field at its bound needs of others
WITH: dict[str, dict[str, Any]] = {
    "width": {"n_groups": 1},
    "attention_dim": {"num_heads": 1},
    "low_threshold": {"merge": True},
    "gap_s": {"merge": True},
    "min_length_s": {"merge": True},
}


def every_config() -> list[type[Config]]:
    for module in pkgutil.iter_modules(configs.__path__):
        importlib.import_module(f"{configs.__name__}.{module.name}")
    kinds: set[type[Config]] = set()
    waiting: list[type[Config]] = [Config]
    while waiting:
        for kind in waiting.pop().__subclasses__():
            waiting.append(kind)
            if kind.__module__.startswith(configs.__name__):
                kinds.add(kind)
    return sorted(kinds, key=lambda kind: kind.__name__)


CONFIGS = every_config()
EVERY_CONFIG = pytest.mark.parametrize("kind", CONFIGS, ids=lambda kind: kind.__name__)


def required(kind: type[Config]) -> dict[str, Any]:
    return REQUIRED.get(kind.__name__, {})


def alternatives(annotation: Any) -> set[Any]:
    """Types that a field takes: ``int | None`` is both."""
    if get_origin(annotation) in {Union, types.UnionType}:
        return {inner for part in get_args(annotation) for inner in alternatives(part)}
    return {annotation}


def fields_of(*wanted: Any) -> list[Any]:
    """A case for each field that takes one of some types, and no text."""
    return [
        pytest.param(kind, name, id=f"{kind.__name__}.{name}")
        for kind in CONFIGS
        for name, field in kind.model_fields.items()
        if (taken := alternatives(field.annotation)) & set(wanted) and str not in taken
    ]


def bounds_of(field: FieldInfo) -> list[tuple[float, float]]:
    """The last value that a bound lets pass, and the first one that it refuses."""
    whole = int in alternatives(field.annotation)
    found = []
    for rule in field.metadata:
        for name, outwards, is_open in (
            ("ge", -1, False), ("gt", -1, True), ("le", 1, False), ("lt", 1, True),
        ):  # fmt: skip
            bound = getattr(rule, name, None)
            if bound is None:
                continue
            towards = outwards * math.inf
            beyond = bound + outwards if whole else math.nextafter(bound, towards)
            inside = bound - outwards if whole else math.nextafter(bound, -towards)
            found.append((inside, bound) if is_open else (bound, beyond))
    return found


BOUNDS = [
    pytest.param(kind, name, *pair, id=f"{kind.__name__}.{name}-{pair[1]:.3g}")
    for kind in CONFIGS
    for name, field in kind.model_fields.items()
    for pair in bounds_of(field)
    if (kind.__name__, name) != ("PretrainConfig", "drop_path")  # which it has not, at any value
]


@EVERY_CONFIG
def test_every_field_is_described_in_a_phrase(kind: type[Config]) -> None:
    for name, field in kind.model_fields.items():
        assert field.description, f"{kind.__name__}.{name}"
        # a phrase for the tables of the reference, not the name again
        assert field.description.strip(" .") == field.description.strip(), name
        assert field.description != name


@EVERY_CONFIG
@pytest.mark.parametrize("form", ["python", "json", "yaml"])
@pytest.mark.parametrize("values", [REQUIRED, OTHER], ids=["default", "other"])
def test_a_config_is_the_same_from_a_dict_json_and_yaml(
    tmp_path: Path, kind: type[Config], form: str, values: dict[str, dict[str, Any]]
) -> None:
    config = kind(**values.get(kind.__name__, required(kind)))
    if form == "python":
        again = config.model_dump()
    elif form == "json":
        again = parse_json(config.model_dump_json())
    else:
        path = tmp_path / "конфиг.yaml"
        path.write_text(
            yaml.safe_dump(config.model_dump(mode="json"), allow_unicode=True), encoding="utf-8"
        )
        again = read_yaml(path)
    assert set(again) == set(kind.model_fields)
    assert kind(**again) == config


@EVERY_CONFIG
def test_an_unknown_key_is_refused_with_all_that_are_known(kind: type[Config]) -> None:
    with pytest.raises(UsageError) as caught:
        kind(**required(kind), colour="red")
    known = ", ".join(sorted(kind.model_fields))
    assert str(caught.value) == f"{kind.__name__}: unknown key 'colour' (known: {known})"


@EVERY_CONFIG
def test_no_field_of_a_config_can_be_set(kind: type[Config]) -> None:
    config = kind(**required(kind))
    for name in kind.model_fields:
        with pytest.raises(ValidationError, match="frozen"):
            setattr(config, name, getattr(config, name))


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        pytest.param(kind, name, id=f"{kind.__name__}.{name}")
        for kind in CONFIGS
        for name, field in kind.model_fields.items()
        if field.is_required()
    ],
)
def test_a_key_that_is_missing_is_named(kind: type[Config], name: str) -> None:
    values = {key: value for key, value in required(kind).items() if key != name}
    with pytest.raises(UsageError, match=rf"^{kind.__name__}: {name}: Field required"):
        kind(**values)


@pytest.mark.parametrize(("kind", "name", "inside", "beyond"), BOUNDS)
def test_a_bound_is_refused_one_step_beyond_by_the_name_of_its_field(
    kind: type[Config], name: str, inside: float, beyond: float
) -> None:
    with pytest.raises(UsageError, match=rf"^{kind.__name__}: {name}: Input should be .*, got "):
        kind(**{**required(kind), name: beyond})
    # what other fields are needed with it, such as steps for as many of warm-up
    others = WITH.get(name, {})
    assert getattr(kind(**{**required(kind), **others, name: inside}), name) == inside


@pytest.mark.parametrize(("kind", "name"), fields_of(int, float))
@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_no_number_of_a_config_is_nan_or_infinite(
    kind: type[Config], name: str, number: float
) -> None:
    with pytest.raises(UsageError, match=rf"{kind.__name__}: {name}.*: Input should be .*, got "):
        kind(**{**required(kind), name: number})


@pytest.mark.parametrize(("kind", "name"), fields_of(int, float, bool))
def test_a_word_or_a_list_is_no_number(kind: type[Config], name: str) -> None:
    for given in ("many", [1], {"a": 1}):
        with pytest.raises(UsageError, match=rf"^{kind.__name__}: {name}") as caught:
            kind(**{**required(kind), name: given})
        assert str(caught.value).count("\n") == 0


@pytest.mark.parametrize(("kind", "name"), fields_of(int))
def test_half_a_thing_is_refused(kind: type[Config], name: str) -> None:
    if float not in alternatives(kind.model_fields[name].annotation):
        with pytest.raises(UsageError, match=rf"^{kind.__name__}: {name}.* got 2\.5"):
            kind(**{**required(kind), name: 2.5})


CHOICES = [
    pytest.param(kind, name, part, id=f"{kind.__name__}.{name}")
    for kind in CONFIGS
    for name, field in kind.model_fields.items()
    for part in alternatives(field.annotation)
    if get_origin(part) is Literal
]


@pytest.mark.parametrize(("kind", "name", "choice"), CHOICES)
def test_a_word_that_is_no_choice_is_refused_with_those_that_are(
    kind: type[Config], name: str, choice: Any
) -> None:
    with pytest.raises(UsageError, match=rf"^{kind.__name__}: {name}") as caught:
        kind(**{**required(kind), name: "sometimes"})
    message = str(caught.value)
    for word in get_args(choice):
        assert repr(word) in message
    assert "got 'sometimes'" in message


@pytest.mark.parametrize(("kind", "name", "choice"), CHOICES)
def test_the_default_of_a_choice_is_one_of_its_words_in_any_case_but_the_others_is_not(
    kind: type[Config], name: str, choice: Any
) -> None:
    words = get_args(choice)
    default = kind.model_fields[name].get_default()
    if isinstance(default, str):
        assert default in words
        with pytest.raises(UsageError, match=rf"{name}"):
            kind(**{**required(kind), name: default.swapcase()})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"data": {"root": "x", "rooot": 1}}, r"DataConfig: unknown key 'rooot' .*known: .*root"),
        ({"data": {"root": "x", "teacher": {"weight": 1}}}, r"TeacherConfig: table: Field req"),
        ({"buckets": [{"crop_s": 1, "size": 2}]}, r"BucketConfig: batch_size: Field required"),
        ({"noise": {"snr": 1}}, r"NoiseConfig: unknown key 'snr' \(known: probability, snr_db\)"),
        ({"noise": 3}, r"TrainConfig: noise: .*, got 3"),
        ({"buckets": [7]}, r"TrainConfig: buckets\.0: .*, got 7"),
        ({"loggers": ["wandb", "paper"]}, r"TrainConfig: loggers\.1: .*, got 'paper'"),
    ],
)
def test_a_fault_inside_of_a_run_names_the_config_that_has_it(
    values: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=rf"^{message}"):
        configs.TrainConfig(**{**RUN, **values})


def test_many_faults_are_counted_and_the_first_are_named() -> None:
    unknown = {f"key{n}": n for n in range(MOST_PROBLEMS + 3)}
    with pytest.raises(UsageError) as caught:
        configs.WindowConfig(**unknown)
    message = str(caught.value)
    assert message.count("unknown key") == MOST_PROBLEMS
    assert message.endswith("; and 3 more")
    assert f"'key{MOST_PROBLEMS}'" not in message


def test_a_key_of_a_megabyte_does_not_fill_the_screen() -> None:
    with pytest.raises(UsageError) as caught:
        configs.WindowConfig(**{"k" * 1_000_000: 1})
    assert len(str(caught.value)) < 2 * LONGEST_KEY + len("WindowConfig: unknown key (known: )")
    with pytest.raises(UsageError) as caught:
        configs.WindowConfig(window_s="9" * 1_000_000)
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize("kind", [EmbedConfig, ProbeRunConfig])
@pytest.mark.parametrize(
    ("given", "text"),
    [
        (8, "8"),
        ("8", "8"),
        ([8, "-1:std"], "8,-1:std"),
        (["8,-1:std"], "8,-1:std"),
        ("own:cls:0.50", "own:cls:0.5"),
        (" 8 : ,output", "8,output"),
        ("8 :std: 2 , own : cls", "8:std:2.0,own:cls"),
        ("8::1.0", "8"),
        (Readout.parse("8:max"), "8:max"),
    ],
)
def test_a_readout_of_a_config_has_one_form_however_it_was_given(
    kind: type[Config], given: Any, text: str
) -> None:
    dumped = kind(readout=given).model_dump(mode="json")
    assert dumped["readout"] == text
    assert json.loads(kind(readout=given).model_dump_json())["readout"] == text
    assert kind(**dumped) == kind(readout=given)


@pytest.mark.parametrize("kind", [EmbedConfig, ProbeRunConfig])
@pytest.mark.parametrize(
    "given", [True, 2.5, [], "", ",", {"8": "std"}, b"8", [None], "8:std:0", ":std", "8:std:1:2"]
)
def test_what_is_no_readout_is_refused_with_the_key(kind: type[Config], given: Any) -> None:
    with pytest.raises(UsageError, match=rf"^{kind.__name__}: readout: "):
        kind(readout=given)


@pytest.mark.parametrize("threshold", [0.0, 0.2])
def test_the_lower_threshold_is_not_above_the_one_for_all(threshold: float) -> None:
    with pytest.raises(UsageError, match=rf"low_threshold 0\.5 is above a threshold {threshold:g}"):
        configs.PredictConfig(merge=True, threshold=threshold, low_threshold=0.5)
    configs.PredictConfig(merge=True, threshold=0.5, low_threshold=0.5)
