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
from dawnchorus.errors import DawnChorusError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

COMMANDS: Final = {
    "embed": "Turn recordings into embeddings, in a store.",
    "predict": "Name what is heard in recordings.",
    "probe": "Make a classifier of labelled clips, score it, and use it.",
    "store": "Look into a store, check, merge or export it.",
    "doctor": "Say what is in a folder of recordings, and what is wrong.",
    "models": "List the models that are known.",
    "describe": "Say everything about a model.",
    "verify": "Check a model's weights, for a bug report.",
    "push": "Put a model of your own on the Hugging Face hub.",
    "data": "Make, split, check, compare, sum up and pack training data.",
    "pretrain": "Train an encoder on clips without labels.",
    "posttrain": "Train a classifier and its encoder on labelled clips.",
    "benchmark": "Compare encoders on tasks by the paper's or by strict rules.",
}
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


def run_command(name: str, arguments: list[str]) -> int:
    """Parse a command's options and call it; its return value is the exit code, None for 0."""
    # typer and the command's own imports only now: the list of commands must not wait for them
    import typer

    # typer re-exports only this leaf of click's tree of errors; its base is what all of them share
    any_usage_error: Any = typer.BadParameter.__mro__[2]
    module = import_module(f"dawnchorus.cli.{name}")
    program = typer.Typer(
        add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False
    )
    names = []
    for function in vars(module).get("subcommands") or [module.command]:
        # a command may be called what Python calls something else: filter_
        names.append(function.__name__.rstrip("_").replace("_", "-"))
        program.command(names[-1], no_args_is_help=False)(_finite(function))
    arguments = _with_default(arguments, vars(module).get("default"), names)
    try:
        result = program(arguments, prog_name=f"dawnchorus {name}", standalone_mode=False)
    except any_usage_error as error:
        say(f"dawnchorus {name}: {error.format_message()}")
        say(f"See: dawnchorus {name} --help")
        return int(error.exit_code)
    except typer.Exit as stop:
        return int(stop.exit_code)
    return result if isinstance(result, int) else 0


def _finite(function: Callable[..., Any]) -> Callable[..., Any]:
    """A command that refuses ``inf`` and ``nan``, which are numbers to Python and to no option."""

    @wraps(function)
    def checked(**given: Any) -> Any:
        for name, value in given.items():
            if isinstance(value, float) and not isfinite(value):
                raise UsageError(f"--{name.replace('_', '-')} {value}: need a number")
        return function(**given)

    return checked


def _with_default(arguments: list[str], default: str | None, names: list[str]) -> list[str]:
    """Options without a subcommand are those of the command's default one."""
    if default is None or not arguments or arguments[0] in {*names, "--help"}:
        return arguments
    return [default, *arguments] if arguments[0].startswith("-") else arguments
