"""Pages that are made from the code: every command, option and config, as the code has them."""

from __future__ import annotations

import re
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Annotated, Any, Literal

import pytest
import typer
from pydantic import Field

import dawnchorus
from dawnchorus import configs
from dawnchorus.cli.app import COMMANDS, functions_of
from dawnchorus.cli.renamed import new_name
from doc_pages import DOCS

pytest.importorskip("sphinx")  # of the extra docs
ROOT = DOCS.parent


@pytest.fixture(scope="module")
def reference() -> ModuleType:
    """The extension of Sphinx that writes the pages."""
    sys.path.insert(0, str(DOCS / "_extensions"))
    try:
        return import_module("code_reference")
    finally:
        sys.path.pop(0)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_page_of_a_command_has_each_of_its_options_once(
    name: str, reference: ModuleType
) -> None:
    page = reference.command_page(name)
    assert page.startswith(f"# {name}\n")
    for title, command in reference.commands_of(name):
        short = title.removeprefix("dawnchorus ")
        section = page.split(f"## {short}\n")[-1] if f"## {short}\n" in page else page
        section = section.split("\n## ")[0]
        assert f"```text\n{title}" in section
        rows = re.findall(r"^\| (.*?) \| (.*) \|$", section, re.MULTILINE)
        shown = [flag for written, _ in rows for flag in re.findall(r"`(-[^`]*)`", written)]
        shown_params = [p for p in command.params if not p.hidden and p.name != "help"]
        flags = [flag for p in shown_params for flag in (*p.opts, *p.secondary_opts)]
        assert sorted(shown) == sorted(flag for flag in flags if flag.startswith("-"))
        for param in (p for p in command.params if getattr(p, "hidden", False)):
            assert param.opts[0] not in shown


@pytest.mark.parametrize("name", COMMANDS)
def test_the_page_of_a_command_has_its_example_as_a_shell_block(
    name: str, reference: ModuleType
) -> None:
    page = reference.command_page(name)
    examples = re.findall(r"```sh\n(.*?)```", page, re.DOTALL)
    n_now = sum(new_name(function) is None for function in functions_of(name).values())
    assert len(examples) >= n_now
    for example in examples:
        assert all(line.startswith("dawnchorus ") for line in example.splitlines())
    assert "Example:" not in page


def test_old_names_stand_on_no_page(reference: ModuleType) -> None:
    for name in COMMANDS:
        page = reference.command_page(name)
        for words, function in functions_of(name).items():
            if new_name(function) is not None:
                assert f"## {' '.join((name, *words))}\n" not in page


def test_the_list_of_commands_leads_to_a_page_of_each(reference: ModuleType) -> None:
    page = reference.index_page()
    assert re.findall(r"^\| \[`(\w+)`\]\((\w+)\.md\) \| (.*) \|$", page, re.MULTILINE) == [
        (name, name, text) for name, text in COMMANDS.items()
    ]
    tree = page.split("```{toctree}")[1].split("```")[0].split()
    assert tree == [":hidden:", *COMMANDS]


def test_the_page_of_configs_has_every_field_of_every_config(reference: ModuleType) -> None:
    page = reference.configs_page()
    sections = {part.split("\n")[0]: part for part in page.split("\n## ")[1:]}
    kinds = {name: getattr(configs, name) for name in configs.__all__}
    with_fields = {
        name: kind.model_fields
        for name, kind in kinds.items()
        if isinstance(kind, type) and issubclass(kind, configs.Config) and kind.model_fields
    }
    assert set(sections) == set(with_fields)
    for name, fields in with_fields.items():
        keys = re.findall(r"^\| `(\w+)` \|", sections[name], re.MULTILINE)
        assert keys == list(fields), name
        required = re.findall(r"^\| `(\w+)` \| .* \| required \|", sections[name], re.MULTILINE)
        assert required == [key for key, field in fields.items() if field.is_required()], name


def test_an_option_is_written_as_one_types_it(reference: ModuleType) -> None:
    def command(
        paths: Annotated[list[str], typer.Argument(help="Files | folders.")],
        *,
        hop: Annotated[float, typer.Option("-H", "--hop", help="See --window <s>.")] = 0.5,
        plain: Annotated[bool, typer.Option("--plain/--rich", help="No bar.")] = False,
        secret: Annotated[str | None, typer.Option(hidden=True)] = None,
        output: Annotated[Path | None, typer.Option(help="Where to.")] = None,
    ) -> None:
        """Do it -- with --hop, not low-pass.

        Example: dawnchorus it a.wav
        """

    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    app.command()(command)
    section = "\n".join(reference.command_section("dawnchorus it", typer.main.get_command(app)))
    assert section == "\n".join(
        [
            "```text", "dawnchorus it PATHS... [OPTIONS]", "```", "",
            "Do it -- with `--hop`, not low-pass.", "",
            "```sh", "dawnchorus it a.wav", "```", "",
            "| argument | meaning |", "|---|---|",
            "| `PATHS...` | Files \\| folders. |", "",
            "| option | meaning |", "|---|---|",
            "| `-H`{.option}, `--hop`{.option} | See `--window` &lt;s>. Default: `0.5`. |",
            "| `--rich`{.option}, `--plain`{.option} | No bar. |",
            "| `--output`{.option} | Where to. |", "",
        ]
    )  # fmt: skip


@pytest.mark.parametrize(
    ("annotation", "text"),
    [
        (int, "int"),
        (str | None, "str | None"),
        (Literal["a", "b"], "'a' | 'b'"),
        (tuple[float, ...], "tuple[float, ...]"),
        (dict[str, Path | None], "dict[str, Path | None]"),
        (configs.FitConfig, "FitConfig"),
    ],
)
def test_a_type_is_written_without_its_module(
    annotation: Any, text: str, reference: ModuleType
) -> None:
    assert reference.type_text(annotation) == text


def test_a_field_has_its_default_and_a_config_in_it_only_its_name(reference: ModuleType) -> None:
    class Made(configs.Config):
        """One."""

        rate: int = Field(description="of | sound")
        name: str | None = Field(default=None, description="a <b>")
        fit: configs.FitConfig = Field(default=configs.FitConfig(), description="how")

    assert reference.config_section("Made", Made)[6:] == [
        "| `rate` | `int` | required | of \\| sound |",
        "| `name` | `str \\| None` | `None` | a &lt;b> |",
        "| `fit` | `FitConfig` | `FitConfig()` | how |",
        "",
    ]


@pytest.mark.parametrize(
    ("text", "moved"),
    [
        ("[a](docs/glossary.md)", "[a](../glossary.md)"),
        ("[a](docs/glossary.md#clip)", "[a](../glossary.md#clip)"),
        ("[a](CHANGELOG.md)", "[a](changelog.md)"),
        ("[a](benchmarks/README.md)", "[a](speed.md)"),
        ("[a](src/dawnchorus/py.typed)", "[a](../../src/dawnchorus/py.typed)"),
        # what is no file stays as it is
        ("[a](https://a.org/b.md)", "[a](https://a.org/b.md)"),
        ("[a](#below)", "[a](#below)"),
        ("a (b) [c]", "a (b) [c]"),
    ],
)
def test_links_of_a_page_hold_from_its_new_folder(
    text: str, moved: str, reference: ModuleType
) -> None:
    assert reference.relinked(text, ROOT, DOCS / "project") == moved


def test_pages_are_written_once_and_stale_ones_are_removed(
    reference: ModuleType, tmp_path: Path
) -> None:
    (tmp_path / "reference" / "commands").mkdir(parents=True)
    names = "\n".join(f".. autofunction:: dawnchorus.{name}" for name in dawnchorus.__all__)
    (tmp_path / "reference" / "python.md").write_text(names, encoding="utf-8")
    stale = tmp_path / "reference" / "commands" / "gone.md"
    stale.write_text("# gone", encoding="utf-8")
    site = SimpleNamespace(srcdir=str(tmp_path))
    reference.write_pages(site)
    commands = {path.stem for path in (tmp_path / "reference" / "commands").iterdir()}
    assert commands == {"index", *COMMANDS}
    assert {path.stem for path in (tmp_path / "project").iterdir()} == {
        "contributing", "changelog", "release", "speed"
    }  # fmt: skip
    # a page that did not change keeps its time, and Sphinx does not read it again
    made = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.md")}
    reference.write_pages(site)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.md")} == made


def test_a_public_name_that_the_python_page_lacks_is_a_warning(
    reference: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []

    def warn(text: str, *names: str) -> None:
        told.append(text % names)

    monkeypatch.setattr(reference, "log", SimpleNamespace(warning=warn))
    page = (DOCS / "reference" / "python.md").read_text(encoding="utf-8")
    reference.warn_of_missing_names(page)
    assert told == []
    reference.warn_of_missing_names(page.replace("dawnchorus.predict\n", "dawnchorus.foretell\n"))
    assert told == ["reference/python.md does not show dawnchorus.predict"]
