"""Pages that are made when the site is built, and are not kept in the repository.

- ``reference/commands/``: a page for each command, from its typed options and help.
- ``reference/configs.md``: a table of fields for each config.
- ``project/``: pages that lie elsewhere in the repository, such as CONTRIBUTING.md.

Each public name has to stand on ``reference/python.md``. One that does not is a warning, and a
warning is an error.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from types import UnionType
from typing import TYPE_CHECKING, Any, Literal, Union, get_args, get_origin

import typer
from sphinx.util import logging

import dawnchorus
from dawnchorus import configs
from dawnchorus.cli import app as program
from dawnchorus.cli.renamed import new_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic.fields import FieldInfo
    from sphinx.application import Sphinx

log = logging.getLogger(__name__)

REPOSITORY = Path(__file__).parents[2]
# files outside of docs/ that the site has too; a link to any other file outside is a broken one
PROJECT_PAGES = {
    "CONTRIBUTING.md": "contributing",
    "CHANGELOG.md": "changelog",
    "RELEASE.md": "release",
    "benchmarks/README.md": "speed",
}
LINK = re.compile(r"(\]\()(?!#|\w+:)([^)#\s]+)")


def setup(sphinx: Sphinx) -> dict[str, Any]:
    """Called by Sphinx: write the pages before it looks for sources."""
    sphinx.connect("builder-inited", write_pages)
    sphinx.connect("source-read", point_to_project_pages)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def point_to_project_pages(sphinx: Sphinx, page: str, source: list[str]) -> None:
    """On GitHub a link leads out of docs/ to a file; on the site, to the page made of it."""
    folder = (Path(sphinx.srcdir) / page).parent
    source[0] = relinked(source[0], folder, folder)


def relinked(text: str, written_in: Path, read_in: Path) -> str:
    """Links of a text that moved from one folder to another."""

    def link(match: re.Match[str]) -> str:
        target = (written_in / match[2]).resolve()
        inside = target.relative_to(REPOSITORY).as_posix()
        if inside in PROJECT_PAGES:
            target = REPOSITORY / "docs" / "project" / f"{PROJECT_PAGES[inside]}.md"
        return match[1] + Path(os.path.relpath(target, read_in)).as_posix()

    return LINK.sub(link, text)


def write_pages(sphinx: Sphinx) -> None:
    """Write what changed, so that a second build reads only that again."""
    docs = Path(sphinx.srcdir)
    pages = {f"reference/commands/{name}.md": command_page(name) for name in program.COMMANDS}
    pages["reference/commands/index.md"] = index_page()
    pages["reference/configs.md"] = configs_page()
    pages |= {f"project/{name}.md": project_page(file) for file, name in PROJECT_PAGES.items()}
    for name, text in pages.items():
        path = docs / name
        path.parent.mkdir(exist_ok=True)
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
    for stale in set(docs.glob("reference/commands/*.md")) - {docs / name for name in pages}:
        stale.unlink()
    warn_of_missing_names((docs / "reference/python.md").read_text(encoding="utf-8"))


def project_page(file: str) -> str:
    """A file from outside of docs/, with links that hold from its new folder."""
    path = REPOSITORY / file
    return relinked(path.read_text(encoding="utf-8"), path.parent, REPOSITORY / "docs" / "project")


def warn_of_missing_names(page: str) -> None:
    """A public name that the page of the Python interface does not show."""
    shown = set(re.findall(r"^\.\. auto\w+:: dawnchorus\.(\w+)$", page, re.MULTILINE))
    for name in set(dawnchorus.__all__) - shown - {"__version__"}:
        log.warning("reference/python.md does not show dawnchorus.%s", name)


# commands


def index_page() -> str:
    """The list of all commands, and what they have in common."""
    rows = [f"| [`{name}`]({name}.md) | {text} |" for name, text in program.COMMANDS.items()]
    return "\n".join(
        [
            "# Commands",
            "",
            "Every command has `--help` with the same text as here.",
            "",
            "| command | does |",
            "|---|---|",
            *rows,
            "",
            "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 finished but some inputs failed, "
            "130 interrupted. `--debug` with any command shows the traceback of an error. Results "
            "go to standard output or a file, messages to standard error.",
            "",
            "```{toctree}",
            ":hidden:",
            *program.COMMANDS,
            "```",
            "",
        ]
    )


def command_page(name: str) -> str:
    """A command, or each of its subcommands, with usage and options."""
    commands = list(commands_of(name))
    lines = [f"# {name}", ""]
    if len(commands) > 1:
        lines += [program.COMMANDS[name], ""]
    for title, command in commands:
        if len(commands) > 1:
            lines += [f"## {title.removeprefix('dawnchorus ')}", ""]
        lines += command_section(title, command)
    return "\n".join(lines)


def commands_of(name: str) -> Iterator[tuple[str, Any]]:  # Any: typer's own click
    """Every command that takes options, with the words that call it; old names are left out."""
    for words, function in program.functions_of(name).items():
        if new_name(function) is not None:
            continue
        app = typer.Typer(add_completion=False, rich_markup_mode=None)
        app.command()(function)
        yield " ".join(("dawnchorus", name, *words)), typer.main.get_command(app)


def command_section(title: str, command: Any) -> list[str]:
    """What a command says of itself, and its options as a table."""
    shown = [p for p in command.params if not getattr(p, "hidden", False) and p.name != "help"]
    arguments = [p for p in shown if p.param_type_name == "argument"]
    options = [p for p in shown if p.param_type_name == "option"]
    words = [argument_text(p) for p in arguments]
    lines = ["```text", " ".join([title, *words, *(["[OPTIONS]"] if options else [])]), "```", ""]
    lines += [*help_text(command.help or ""), ""]
    for heading, params in (("argument", arguments), ("option", options)):
        if params:
            lines += [f"| {heading} | meaning |", "|---|---|", *map(parameter_row, params), ""]
    return lines


def help_text(text: str) -> list[str]:
    """The docstring of a command; its example becomes a block of code."""
    paragraphs = [part.strip() for part in re.sub(r"\f.*", "", text, flags=re.DOTALL).split("\n\n")]
    lines = []
    for paragraph in paragraphs:
        example = re.match(r"Examples?: *\n?(.*)", paragraph, re.DOTALL)
        if example:
            lines += ["```sh", *(line.strip() for line in example[1].splitlines()), "```", ""]
        else:
            lines += [with_options_as_code(paragraph), ""]
    return lines[:-1]


def with_options_as_code(text: str) -> str:
    """Names of options in a sentence, set as code."""
    return re.sub(r"(?<![\w`-])(--?[a-z][a-z-]*)", r"`\1`", text)


def argument_text(param: Any) -> str:
    """An argument as it stands in the line of usage."""
    text = str(param.name).upper() + ("..." if param.nargs == -1 else "")
    return text if param.required else f"[{text}]"


def parameter_row(param: Any) -> str:
    """One row: how a parameter is written, and what it does."""
    if param.param_type_name == "argument":
        written = f"`{argument_text(param)}`"
    else:
        spellings = [*param.opts, *param.secondary_opts]
        written = ", ".join(f"`{each}`{{.option}}" for each in sorted(spellings, key=len))
    notes = [param.help or ""]
    if param.required and param.param_type_name == "option":
        notes.append("Required.")
    if param.show_default and param.default not in (None, False, "", (), []):
        notes.append(f"Default: {default_text(param.default)}.")
    return f"| {written} | {with_options_as_code(in_cell(' '.join(filter(None, notes))))} |"


def default_text(default: Any) -> str:
    """A default as one would type it."""
    values = default if isinstance(default, (list, tuple)) else [default]
    return ", ".join(f"`{getattr(value, 'value', value)}`" for value in values)


def in_cell(text: str) -> str:
    """Text for a cell of a table in Markdown."""
    return re.sub(r"\s+", " ", text).replace("|", "\\|").replace("<", "&lt;")


# configs


def configs_page() -> str:
    """All configs of ``dawnchorus.configs``, a table of fields each."""
    lines = [
        "# Configs",
        "",
        "Every option as a frozen config: `from dawnchorus.configs import EmbedConfig`. An unknown "
        "key or a value that makes no sense is an error that names it. The same keys stand in the "
        "files that `pretrain`, `posttrain` and `benchmark --plan` read.",
        "",
    ]
    for name in configs.__all__:
        config = getattr(configs, name)
        if isinstance(config, type) and issubclass(config, configs.Config) and config.model_fields:
            lines += config_section(name, config)
    return "\n".join(lines)


def config_section(name: str, config: type[configs.Config]) -> list[str]:
    """One config: its first line and its fields."""
    first, *_ = (config.__doc__ or "").split("\n\n")
    rows = [field_row(key, field) for key, field in config.model_fields.items()]
    head = ["| key | type | default | meaning |", "|---|---|---|---|"]
    return [f"## {name}", "", in_cell(first), "", *head, *rows, ""]


def field_row(key: str, field: FieldInfo) -> str:
    """One field: name, type, default, what it means."""
    kind = f"`{in_cell(type_text(field.annotation))}`"
    default = "required" if field.is_required() else f"`{in_cell(field_default(field))}`"
    return f"| `{key}` | {kind} | {default} | {in_cell(field.description or '')} |"


def type_text(annotation: Any) -> str:
    """A type as one would write it, without the modules that it comes from."""
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return " | ".join(map(repr, parts))
    if origin in {Union, UnionType}:
        return " | ".join(map(type_text, parts))
    name = getattr(origin or annotation, "__name__", str(annotation)).replace("NoneType", "None")
    return (
        f"{name}[{', '.join(map(type_text, parts))}]" if parts else name.replace("Ellipsis", "...")
    )


def field_default(field: FieldInfo) -> str:
    """A default; a config of its own by its name, since its fields stand in its own table."""
    default = field.get_default(call_default_factory=True, validated_data={})
    return f"{type(default).__name__}()" if isinstance(default, configs.Config) else repr(default)
