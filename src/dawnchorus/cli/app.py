"""The program ``dawnchorus``: which commands there are, and how an error becomes an exit code."""

from __future__ import annotations

import sys
from functools import wraps
from importlib import import_module
from math import isfinite
from typing import TYPE_CHECKING, Any, Final

from dawnchorus import __version__
from dawnchorus.cli import streams
from dawnchorus.cli.output import plain_warnings, say
from dawnchorus.cli.renamed import current, new_name
from dawnchorus.errors import DawnChorusError, RunInterruptedError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from typer import Typer

    Functions = dict[tuple[str, ...], Callable[..., Any]]

COMMANDS: Final = {
    "embed": "Turn recordings into embeddings, in a store.",
    "predict": "Name what is heard in recordings.",
    "probe": "Make a classifier of labelled clips, score it, and use it.",
    "search": "Find the windows of an archive that sound like an example.",
    "cluster": "Group what an archive holds by its sound, and draw a map.",
    "label": "Import and export annotations, judge windows, count calls.",
    "activity": "Count calls per recorded hour, with a report to hand in.",
    "serve": "See, hear and judge the sounds of a store in the browser.",
    "store": "Look into a store, check, merge or export it.",
    "doctor": "Say what is in a folder of recordings, and what is wrong.",
    "models": "List the models that are known.",
    "describe": "Say everything about a model.",
    "verify": "Check a model's weights, for a bug report.",
    "export": "Write a model as an ONNX graph, for other programs.",
    "push": "Put a model of your own on the Hugging Face hub.",
    "data": "Make, split, check, compare, sum up and pack training data.",
    "pretrain": "Train an encoder on clips without labels.",
    "posttrain": "Train a classifier and its encoder on labelled clips.",
    "benchmark": "Compare encoders on tasks by the paper's or by strict rules.",
}
MAY_BE_EMPTY: Final = {"--label", "--title"}  # none of the labels, no title
USAGE: Final = """\
Usage: dawnchorus COMMAND [OPTIONS]

Embeddings and species from recordings, offline. Commands:

{commands}

  dawnchorus COMMAND --help   options of a command, with an example
  dawnchorus --version
  --debug                     with any command: show the traceback of an error

Example: dawnchorus predict recordings/ -o predictions.csv

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 finished but some inputs failed, 130 interrupted."""


def usage() -> str:
    """What ``dawnchorus --help`` prints."""
    lines = "\n".join(f"  {name:12}{help_text}" for name, help_text in COMMANDS.items())
    return USAGE.format(commands=lines)


def main(arguments: list[str] | None = None) -> int:
    """Run the program and return its exit code."""
    streams.prepare()
    given = list(sys.argv[1:] if arguments is None else arguments)
    # ours to take out: typer would look for it among the options of the command
    debug = "--debug" in given
    given = [argument for argument in given if argument != "--debug"]
    try:
        with plain_warnings():
            code = run(given)
        sys.stdout.flush()
        return code
    except streams.OutputError as error:
        if not error.reader_gone:
            say(f"dawnchorus: {error}")
        # `dawnchorus ... | head` has done its work when head has seen enough
        return 0 if error.reader_gone else error.exit_code
    except DawnChorusError as error:
        if debug:
            raise
        say(f"dawnchorus: {error}")
        return error.exit_code
    except KeyboardInterrupt:
        if debug:
            raise
        say("dawnchorus: interrupted")
        return 130


def run(arguments: list[str]) -> int:
    """Run one command.

    Raises:
        UsageError: There is no such command.
    """
    if not arguments or arguments[0] in {"-h", "--help", "help"}:
        print(usage())
        return 0
    if arguments[0] == "--version":
        print(f"dawnchorus {__version__}")
        return 0
    name, *rest = arguments
    if name not in COMMANDS:
        raise UsageError(f"no command {name!r}; commands: {', '.join(COMMANDS)}")
    return run_command(name, rest)


def _refuse_empty(arguments: list[str]) -> None:
    """Refuse what a variable of a shell script becomes that was never set.

    As a path it would be the folder that one is in.

    Raises:
        UsageError: An argument is empty, and is not one that may be.
    """
    for before, argument in zip(["", *arguments], arguments, strict=False):
        if not argument and before not in MAY_BE_EMPTY:
            where = f"behind {before}" if before else "at the beginning"
            raise UsageError(f"an empty argument {where}; was a variable of the shell not set?")


def run_command(name: str, arguments: list[str]) -> int:
    """Parse a command's options and call it; its return value is the exit code, None for 0."""
    # typer and the command's own imports only now: the list of commands must not wait for them
    import typer

    # typer re-exports only this leaf of click's tree of errors; its base is what all of them share
    any_usage_error: Any = typer.BadParameter.__mro__[2]
    functions = functions_of(name)
    _refuse_empty(arguments)
    arguments = _current(name, arguments, functions)
    try:
        result = program(functions)(
            arguments, prog_name=f"dawnchorus {name}", standalone_mode=False
        )
    except any_usage_error as error:
        say(f"dawnchorus {name}: {error.format_message()}")
        say(f"See: dawnchorus {name} --help")
        return int(error.exit_code)
    except typer.Exit as stop:
        return int(stop.exit_code)
    return result if isinstance(result, int) else 0


def functions_of(name: str) -> Functions:
    """The functions of a command by the words behind its name: ``()``, or ``("make", "watkins")``.

    A command's module has one function ``command``, or a list ``subcommands``. A dict ``groups``
    beside the list has words with subcommands of their own.
    """
    module = vars(import_module(f"dawnchorus.cli.{name}"))
    if "command" in module:
        return {(): module["command"]}
    functions: Functions = {_words(function): function for function in module["subcommands"]}
    for word, members in module.get("groups", {}).items():
        functions |= {(word, *_words(function)): function for function in members}
    return functions


def _words(function: Callable[..., Any]) -> tuple[str]:
    # a command may be called what Python calls something else: filter_
    return (function.__name__.rstrip("_").replace("_", "-"),)


def program(functions: Functions) -> Typer:
    """A command as typer has it."""
    import typer

    style: dict[str, Any] = {"add_completion": False, "rich_markup_mode": None}
    # plain help, the same in a file as on a terminal
    root = typer.Typer(**style, pretty_exceptions_enable=False)
    if len(functions) == 1 and () not in functions:
        # typer takes a single subcommand for the command itself, and its word for an argument
        root.callback()(lambda: None)
    groups: dict[str, Typer] = {}
    for words, function in functions.items():
        place = root
        for word in words[:-1]:
            if word not in groups:
                groups[word] = typer.Typer(**style, help=f"See the subcommands of {word}.")
                root.add_typer(groups[word], name=word)
            place = groups[word]
        hidden = new_name(function) is not None
        add = place.command(words[-1] if words else None, hidden=hidden, no_args_is_help=False)
        add(_interruptible(_finite(function)))
    return root


def _current(name: str, arguments: list[str], functions: Functions) -> list[str]:
    """Arguments with the subcommand that is meant without a word, and today's names of flags."""
    default = vars(import_module(f"dawnchorus.cli.{name}")).get("default")
    if default and arguments and arguments[0].startswith("-") and arguments[0] != "--help":
        arguments = [default, *arguments]
    # the longest words first: "make watkins" is a command, and so may "make" be
    for n_words in (2, 1, 0):
        words = tuple(arguments[:n_words])
        if words in functions:
            now = new_name(functions[words])
            if now is not None:
                say(f"warning: {' '.join((name, *words))} is now {now}")
            return [*words, *current(functions[words], arguments[n_words:])]
    return arguments


def _finite(function: Callable[..., Any]) -> Callable[..., Any]:
    """A command that refuses ``inf`` and ``nan``, which are numbers to Python and to no option."""

    @wraps(function)
    def checked(**given: Any) -> Any:
        for name, value in given.items():
            if isinstance(value, float) and not isfinite(value):
                raise UsageError(f"--{name.replace('_', '-')} {value}: need a number")
        return function(**given)

    return checked


def _interruptible(function: Callable[..., Any]) -> Callable[..., Any]:
    """A command whose Ctrl-C reaches `main`; typer would end it without a word, --debug or not."""
    from typer import Abort

    @wraps(function)
    def checked(**given: Any) -> Any:
        try:
            return function(**given)
        except (KeyboardInterrupt, Abort) as stop:  # Abort: Ctrl-C or Ctrl-D at a question
            raise RunInterruptedError("interrupted") from stop

    return checked
