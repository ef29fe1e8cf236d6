"""The whole program's options: one flag, one meaning; parsers; old names of flags."""

from __future__ import annotations

import inspect
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, get_type_hints

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from dawnchorus.cli import options
from dawnchorus.cli.app import COMMANDS, functions_of, main
from dawnchorus.cli.renamed import current, new_name, renamed
from dawnchorus.errors import UsageError

# Flags that rightly differ from command to command, and why.
DIFFER = {
    "-o": "each command says what it writes",
    "--output": "each command says what it writes",
    "-m": "benchmark run takes several models, and baselines",
    "--model": "benchmark run takes several models, and baselines",
    "--label": "activity counts several at once",
    "--annotations": "activity counts scores without it, and has no usual folder",
    "--by": "label density adds estimates, activity has one kind of rows",
    "--probe": "serve takes several, each with a name",
    "--probe-type": "benchmark run takes several, and more kinds",
    "--readout": "benchmark run takes several, and names such as own and each",
}


@dataclass(frozen=True)
class Option:
    """One option or argument of one command."""

    command: str
    flags: tuple[str, ...]
    type: object
    help: str


def every_command() -> Iterator[tuple[str, Callable[..., Any]]]:
    for name in COMMANDS:
        for words, function in functions_of(name).items():
            yield " ".join((name, *words)), function


def options_of(command: str, function: Callable[..., Any]) -> Iterator[Option]:
    hints = get_type_hints(function, include_extras=True)
    for name in inspect.signature(function).parameters:
        annotation = hints[name]
        (info,) = annotation.__metadata__
        if info.hidden:  # an old name, which works for one version
            continue
        named = isinstance(info, typer.models.OptionInfo)
        # in an Annotated, typer takes the first declaration for a default and moves it later
        flags = [
            text for text in (info.default, *(info.param_decls or ())) if isinstance(text, str)
        ]
        if named and not flags:
            flags = [f"--{name.replace('_', '-')}"]
        flags = [part for flag in flags if named for part in flag.split("/")]
        yield Option(command, tuple(flags), annotation.__origin__, info.help or "")


NOW = [(call, function) for call, function in every_command() if new_name(function) is None]
ALL = [option for call, function in NOW for option in options_of(call, function)]


@pytest.mark.parametrize("call", [call for call, _ in NOW])
def test_every_command_has_help_with_an_example(
    call: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*call.split(), "--help"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert f"Usage: dawnchorus {call} " in said
    # what a command does by default is called without its name
    assert f"Example: dawnchorus {call.removesuffix(' run')}" in said


@pytest.mark.parametrize("call", [call for call, _ in NOW])
def test_every_option_has_a_full_sentence_of_help(call: str) -> None:
    for option in (option for option in ALL if option.command == call):
        where = f"{call} {option.flags}"
        assert len(option.help.split()) > 2 or ", " in option.help or " or " in option.help, where
        assert option.help.endswith("."), where
        assert not option.help.startswith(("Of ", "With ", "For ")) or ":" in option.help, where
        for riddle in ("; else ", "told from", "Often", "anew", "go on", "goes on", "at once;"):
            assert riddle not in option.help.replace("decoded at once;", ""), where


def test_a_flag_has_one_type_and_one_help_in_all_commands() -> None:
    meanings: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for option in ALL:
        for flag in option.flags:
            meanings[flag].add((str(option.type), option.help))
    several = {flag for flag, found in meanings.items() if len(found) > 1}
    assert several <= set(DIFFER)
    assert set(DIFFER) <= several, "an exception that is none any more"


def test_a_short_flag_always_stands_for_the_same_long_one() -> None:
    stands_for: dict[str, set[str]] = defaultdict(set)
    for option in ALL:
        short = [flag for flag in option.flags if not flag.startswith("--")]
        long = [flag for flag in option.flags if flag.startswith("--")]
        for flag in short:
            stands_for[flag] |= set(long)
    assert {flag: len(names) for flag, names in stands_for.items() if len(names) != 1} == {}


def test_every_old_flag_leads_to_one_that_is_there() -> None:
    for call, function in NOW:
        flags = {flag for option in options_of(call, function) for flag in option.flags}
        for old, new in getattr(function, "__old_flags__", {}).items():
            assert new.split()[0] in flags, f"{call} {old}"
            assert old not in flags, f"{call} {old}"


@renamed(
    {"--old": "--new", "--label": "--column labels="},
    dropped={"--gone": "nobody used it", "--size MB": "it is chosen"},
)
def sample() -> None:
    """Nothing."""


@pytest.mark.parametrize(
    ("old", "new", "warning"),
    [
        ("a --old 3 b", "a --new 3 b", "warning: --old is now --new"),
        ("--old=3", "--new=3", "warning: --old is now --new"),
        ("--label Species b", "--column labels=Species b", "is now --column labels="),
        ("--label=Species b", "--column labels=Species b", "is now --column labels="),
        ("--gone b", "b", "--gone is no longer an option and is ignored: nobody used it"),
        ("--size 3 b", "b", "--size is no longer an option"),
        ("--size=3 b", "b", "--size is no longer an option"),
        ("-- --old", "-- --old", ""),
        ("--older 3", "--older 3", ""),
    ],
)
def test_an_old_flag_works_and_says_its_new_name(
    old: str, new: str, warning: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert current(sample, old.split()) == new.split()
    said = capsys.readouterr().err
    assert (warning in said) if warning else not said


def test_a_flag_that_is_given_twice_is_reported_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert current(sample, ["--old", "1", "--old", "2"]) == ["--new", "1", "--new", "2"]
    assert capsys.readouterr().err == "warning: --old is now --new\n"


def test_an_old_flag_reaches_the_program(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["describe", "dawnchorus_eat_tiny", "--labels"]) == 0
    said = capsys.readouterr()
    assert said.err == "warning: --labels is now --list-labels\n"
    assert said.out.startswith("label,level,threshold,")


TEXT = st.text(st.characters(exclude_categories=("Cc", "Cs")), max_size=20)


@given(st.dictionaries(TEXT.filter(lambda t: t.strip() and "=" not in t), TEXT))
def test_name_value_texts_become_the_dict_that_they_were_made_of(values: dict[str, str]) -> None:
    texts = [f"{name}={value}" for name, value in values.items()]
    assert options.pairs("--column", texts) == {n.strip(): v.strip() for n, v in values.items()}


@pytest.mark.parametrize("text", ["labels", "=Species", " =Species", ""])
def test_a_text_without_name_and_value_is_refused_with_its_flag(text: str) -> None:
    with pytest.raises(UsageError, match=r"--column .*: need NAME=VALUE"):
        options.pairs("--column", [text])


@pytest.mark.parametrize("text", ["", "0", "5,x", "5,-1", "1.5"])
def test_what_is_not_a_count_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--few-shot"):
        options.counts("--few-shot", [text])


def test_lists_may_be_given_with_commas_or_by_repeating() -> None:
    assert options.counts("--few-shot", ["5,10", "20"]) == (5, 10, 20)
    assert options.counts("--few-shot", None) is None
    assert options.names(" a, b,,") == ("a", "b")


@pytest.mark.parametrize("text", ["1", "a/b", "1/", "-1/2", ""])
def test_a_shard_is_two_numbers(text: str) -> None:
    with pytest.raises(UsageError, match=r"--shard .*need I/N"):
        options.parse_shard(text)
    assert options.parse_shard("0/8") == (0, 8)


def test_a_channel_is_mean_or_a_number() -> None:
    assert [options.parse_channel(text) for text in (None, "mean", "3")] == [None, "mean", 3]
    with pytest.raises(UsageError, match="--channel left"):
        options.parse_channel("left")


def test_groups_have_subcommands_of_their_own() -> None:
    words = set(functions_of("data"))
    assert {("make", "xeno-canto"), ("make", "watkins"), ("join",), ("filter",)} <= words
    assert set(functions_of("models")) == {()}


def test_an_old_subcommand_is_hidden_and_says_what_to_call(
    capsys: pytest.CaptureFixture[str],
) -> None:
    old = [(call, new_name(function)) for call, function in every_command() if new_name(function)]
    assert ("probe predict", "predict --probe FOLDER") in old
    for call, new in old:
        assert main([*call.split(), "--help"]) == 0
        assert f"warning: {call} is now {new}" in capsys.readouterr().err
        command, *words = call.split()
        assert main([command, *words[:-1], "--help"]) == 0
        listed = capsys.readouterr().out.split("Commands:")[-1]
        assert f"  {words[-1]} " not in listed


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["data", "make"], 2, "Missing command"),
        (["data", "make", "nowhere"], 2, "nowhere"),
        (["data", "nowhere"], 2, "nowhere"),
        (["benchmark", "--no-such-flag"], 2, "--no-such-flag"),  # of what it does by default
    ],
)
def test_a_wrong_subcommand_is_wrong_usage(
    arguments: list[str], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == code
    error = capsys.readouterr().err
    assert said in error
    assert "See: dawnchorus" in error


@pytest.mark.parametrize(
    "line",
    [["embed", "", "-o", "x.store"], ["data", "import", "", "-o", "m.parquet"],
     ["probe", "fit", "calls", "-o", ""], ["label", "import", "", "--annotations", "a"],
     ["search", "x.store", "--annotate", ""]],
    ids=range(5),
)  # fmt: skip
def test_an_empty_argument_is_not_the_folder_one_is_in(
    line: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(line) == 2
    assert "was a variable of the shell not set?" in capsys.readouterr().err


def test_an_empty_label_says_that_none_is_heard(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["label", "export", "gone.annotations", "--label", "", "-o", "x.csv"]) == 1
    assert "not an annotation table" in capsys.readouterr().err
