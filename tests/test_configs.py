"""Configs refuse nonsense when made, and say which key, what was found and what is known."""

from __future__ import annotations

from pathlib import Path
from typing import get_type_hints

import pytest
from pydantic import ValidationError

from dawnchorus.configs import (
    BucketConfig,
    Config,
    DataConfig,
    EmbedConfig,
    EmbedOptions,
    NoiseConfig,
    PosttrainConfig,
    PredictConfig,
    PredictOptions,
    PretrainConfig,
    ProbeConfig,
    TrainConfig,
    WindowConfig,
    read_recipe,
    read_yaml,
)
from dawnchorus.errors import UsageError


@pytest.mark.parametrize(
    ("config", "values", "said"),
    [
        (EmbedConfig, {"batchsize": 4}, r"unknown key 'batchsize' \(known: backend, batch_size, "),
        (EmbedConfig, {"batch_size": 0}, r"batch_size: .* got 0"),
        (EmbedConfig, {"pooling": "median"}, r"pooling: .* got 'median'"),
        (EmbedConfig, {"precision": "float16"}, r"precision: .* got 'float16'"),
        (PredictConfig, {"threshold": 1.5}, r"threshold: .* got 1.5"),
        (PredictConfig, {"top_k": 0}, r"top_k: .* got 0"),
        (WindowConfig, {"window_s": 0}, r"window_s: .* got 0"),
        (WindowConfig, {"window_s": float("inf")}, r"window_s: .* finite"),
        (WindowConfig, {"hop_s": float("nan")}, r"hop_s: .* finite"),
        (WindowConfig, {"window_s": 1e6}, r"window_s: .* 3600, got 1000000.0"),
        (EmbedConfig, {"batch_size": 1_000_000}, r"batch_size: .* 4096, got 1000000"),
        (PredictConfig, {"gap_s": float("inf"), "merge": True, "threshold": 0.5}, "gap_s: .* fin"),
        (PredictConfig, {"thresholds": {"wren": float("nan")}}, r"thresholds.wren: .* finite"),
        (WindowConfig, {"window_s": 2, "hop_s": 3}, r"hop_s 3 is longer than window_s 2"),
        (NoiseConfig, {"snr_db": (5, -5)}, r"need low <= high"),
        (ProbeConfig, {"aggregation": "sum"}, r"aggregation: .* got 'sum'"),
    ],
)
def test_nonsense_is_refused_with_its_key(
    config: type[Config], values: dict[str, object], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        config(**values)


def test_a_schedule_that_does_not_fit_is_refused() -> None:
    base = {"name": "run", "learning_rate": 1e-3, "data": DataConfig(root="x")}
    with pytest.raises(UsageError, match="warmup_steps 20 is more than steps 10"):
        TrainConfig(**base, steps=10, warmup_steps=20)
    buckets = (BucketConfig(crop_s=5, batch_size=1), BucketConfig(crop_s=2, batch_size=1))
    with pytest.raises(UsageError, match="must rise in crop_s"):
        TrainConfig(**base, steps=10, buckets=buckets)


def test_a_config_cannot_be_changed() -> None:
    config = EmbedConfig()
    with pytest.raises(ValidationError, match="frozen"):
        config.batch_size = 3  # type: ignore[misc]  # the fault under test


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"- a\n- b\n", "found list"), (b"a: [1\n", "not a YAML file"), (b"\xff\xfe\x00", "not a")],
)
def test_a_file_that_is_no_mapping_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "run.yaml"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=said):
        read_yaml(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"run\.yaml: no such file"):
        read_yaml(tmp_path / "run.yaml")


def test_a_recipe_has_what_it_builds_on_but_for_its_own_values(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "first.yaml").write_text("a: 1\nb: [1, 2]\nc: {d: 1, e: {f: 1, g: 1}}\nh: {i: 1}\n")
    (tmp_path / "deep" / "second.yaml").write_text("base: ../first.yaml\nb: [3]\nc: {e: {g: 2}}\n")
    third = tmp_path / "deep" / "third.yaml"
    third.write_text("base: second.yaml\na: 5\nh: null\n")
    assert read_recipe(third) == {
        "a": 5,
        "b": [3],
        "c": {"d": 1, "e": {"f": 1, "g": 2}},
        "h": None,
    }


@pytest.mark.parametrize(
    ("base", "said"),
    [
        ("other.yaml", r"other\.yaml: no such file"),
        ("[a.yaml, b.yaml]", r"run\.yaml: base must name one file, got \['a\.yaml', 'b\.yaml'\]"),
        ("run.yaml", r"run\.yaml: its base leads back to .*run\.yaml; one of them needs no base"),
        ("loop.yaml", r"run\.yaml: its base leads back to .*run\.yaml; one of them needs no base"),
    ],
)
def test_a_base_that_cannot_be_is_refused(tmp_path: Path, base: str, said: str) -> None:
    (tmp_path / "run.yaml").write_text(f"base: {base}\n")
    (tmp_path / "loop.yaml").write_text("base: run.yaml\n")
    with pytest.raises(UsageError, match=said):
        read_recipe(tmp_path / "run.yaml")


@pytest.mark.parametrize(
    ("mixing", "probability", "per", "beta"),
    [("paper", 0.3, "clip", None), ("released", 0.3, "batch", 0.4), ("none", 0.0, "clip", None)],
)
def test_mixing_has_the_paper_and_its_code_by_name(
    mixing: str, probability: float, per: str, beta: float | None
) -> None:
    config = TrainConfig(
        name="x", steps=1, learning_rate=1, data={"root": "."}, mixing=mixing, mix_probability=0.3
    )
    mix = config.augment.mix
    assert (mix.probability, mix.per, mix.beta) == (probability, per, beta)
    assert config.augment.noise.probability == 0


def test_stages_must_fit_in_the_run_and_batches_must_divide() -> None:
    base = {"name": "x", "steps": 10, "learning_rate": 1, "data": {"root": "."}}
    with pytest.raises(UsageError, match="head_steps 11 is more than steps 10"):
        PosttrainConfig(**base, head_steps=11)
    with pytest.raises(UsageError, match="warmup_steps 5 is more than the 4 steps after"):
        PosttrainConfig(**base, head_steps=6, warmup_steps=5)
    with pytest.raises(UsageError, match="devices x nodes x accumulate = 12"):
        TrainConfig(**base, devices=3, nodes=2, accumulate=2)


def test_the_keywords_that_editors_show_are_the_fields_of_the_configs() -> None:
    lengths = set(WindowConfig.model_fields)
    embed = {**EmbedConfig.model_fields, **WindowConfig.model_fields}
    for_stores = {"readout", "dtype", "content_hash", "predict"}
    predict = {n: f for n, f in embed.items() if n not in for_stores} | PredictConfig.model_fields
    for options, known in ((EmbedOptions, embed), (PredictOptions, predict)):
        shown = get_type_hints(options)
        old_names = {"layers", "pooling"} & set(shown)
        assert set(shown) - old_names == set(known)
        assert lengths < set(shown)
        for name in set(known) - {"readout"}:  # which is also taken as text
            assert shown[name] == known[name].annotation, name


def test_every_option_of_a_run_is_described() -> None:
    for config in (EmbedConfig, PredictConfig, WindowConfig):
        for name, field in config.model_fields.items():
            assert field.description or name == "windows", f"{config.__name__}.{name}"


def every_config() -> list[type[Config]]:
    kinds, waiting = [], [Config]
    while waiting:
        for kind in waiting.pop().__subclasses__():
            kinds.append(kind)
            waiting.append(kind)
    return sorted(set(kinds), key=lambda kind: kind.__name__)


@pytest.mark.parametrize("kind", [PretrainConfig, PosttrainConfig, TrainConfig])
def test_every_option_of_a_training_run_is_described(kind: type[Config]) -> None:
    kinds = [kind, *(k for k in every_config() if k.__module__ == kind.__module__)]
    bare = [
        f"{k.__name__}.{n}" for k in kinds for n, f in k.model_fields.items() if not f.description
    ]
    assert bare == []
