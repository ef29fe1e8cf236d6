"""Flags of `embed` and `predict` reach the function under the keyword that it knows."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, get_type_hints

import pytest

from dawnchorus.cli import embed as embed_module
from dawnchorus.cli import options
from dawnchorus.cli import predict as predict_module
from dawnchorus.cli.embed import EmbedFlags
from dawnchorus.cli.flag_record import RunFlags, command_of
from dawnchorus.cli.predict import PredictFlags
from dawnchorus.configs import EmbedOptions, PredictOptions
from dawnchorus.engine.embed import embed
from dawnchorus.engine.predict import predict
from dawnchorus.errors import UsageError

# a value for each kind of flag, as typer gives it
VALUES: dict[str, Any] = {"channel": "1", "shard": "0/2"}


def all_flags(flags: type[RunFlags]) -> dict[str, Any]:
    """Every flag given that becomes a keyword."""
    names = [each.name for each in fields(flags) if each.name not in flags.FOR_COMMAND]
    return {name: VALUES.get(name, 1) for name in names}


@pytest.mark.parametrize(
    ("flags", "options", "function"),
    [(EmbedFlags, EmbedOptions, embed), (PredictFlags, PredictOptions, predict)],
)
def test_every_flag_is_a_keyword_of_the_function(
    flags: type[RunFlags], options: type, function: Any
) -> None:
    required = {"output": "x"} if flags is EmbedFlags else {}
    keywords = flags(**required, **all_flags(flags)).keywords()
    known = set(get_type_hints(options)) | set(inspect.signature(function).parameters)
    assert set(keywords) <= known
    assert len(keywords) == len(all_flags(flags))  # none is lost, none meets another


def test_what_was_not_given_is_no_keyword_and_zero_is_a_choice() -> None:
    assert PredictFlags().keywords() == {}
    assert EmbedFlags(output="x").keywords() == {}
    chosen = PredictFlags(threshold=0.0, gap=0.0, merge=True, channel="0", shard="1/4").keywords()
    assert chosen == {"threshold": 0.0, "gap_s": 0.0, "merge": True, "channel": 0, "shard": (1, 4)}


def test_a_list_of_species_gives_labels_and_their_thresholds(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("wren, 0.7\nrobin\n")
    assert PredictFlags(species=tmp_path / "list.txt").keywords() == {
        "labels": ("wren", "robin"),
        "thresholds": {"wren": 0.7},
    }


@pytest.mark.parametrize(("flag", "text"), [("channel", "left"), ("shard", "3")])
def test_text_of_another_form_is_refused_with_the_flag(flag: str, text: str) -> None:
    with pytest.raises(UsageError, match=f"--{flag} {text}"):
        PredictFlags(**{flag: text}).keywords()


@pytest.mark.parametrize("module", [embed_module, predict_module])
def test_a_command_has_a_parameter_for_each_field_its_own_first(module: Any) -> None:
    flags = EmbedFlags if module is embed_module else PredictFlags
    parameters = inspect.signature(module.command).parameters
    assert sorted(parameters) == sorted(each.name for each in fields(flags))
    own = [name for name in vars(flags)["__annotations__"] if name in parameters]
    assert list(parameters)[: len(own)] == own
    assert list(parameters)[-2:] == ["as_json", "quiet"]
    assert all(p.annotation is not inspect.Parameter.empty for p in parameters.values())


def test_a_field_that_a_record_declares_again_stands_once_and_has_the_new_default() -> None:
    @dataclass(frozen=True, kw_only=True)
    class Least(RunFlags):
        workers: options.Workers = 3

    @command_of(Least)
    def command(flags: Least) -> int:
        return flags.workers or 0

    parameters = inspect.signature(command).parameters
    assert next(iter(parameters)) == "workers"
    assert parameters["workers"].default == 3
    assert command() == 3


def test_a_record_reaches_the_function_whole() -> None:
    @command_of(PredictFlags)
    def command(flags: PredictFlags) -> int:
        """Say how many."""
        return flags.top_k or 0

    assert command(top_k=7) == 7
    assert command.__doc__ == "Say how many."
