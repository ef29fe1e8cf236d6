"""Puts a report together and writes it: a part for each protocol, tables before pictures."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from importlib.metadata import version
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from dawnchorus.benchmark.report.bars import bar_pictures
from dawnchorus.benchmark.report.confusion import confusion_pictures
from dawnchorus.benchmark.report.facts import (
    detail_tables,
    leak_tables,
    settings_table,
    task_table,
)
from dawnchorus.benchmark.report.inputs import Beside
from dawnchorus.benchmark.report.lines import label_pictures, layer_pictures
from dawnchorus.benchmark.report.maps import map_pictures
from dawnchorus.benchmark.report.paired import compare_models, paired_pictures, paired_table
from dawnchorus.benchmark.report.scores import read_results, scores_of
from dawnchorus.benchmark.report.section import sections
from dawnchorus.benchmark.report.style import look
from dawnchorus.benchmark.report.tables import score_tables, summary_table
from dawnchorus.errors import DependencyError
from dawnchorus.store.files import write_whole

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from dawnchorus.benchmark.report.cells import Cell, Line, Table
    from dawnchorus.benchmark.report.section import Section
    from dawnchorus.benchmark.report.style import Look, Picture

PROTOCOLS: Final = {
    "paper": "Follows the code behind the published table, quirks and all, so that its figures can "
    "be set beside the published ones.",
    "strict": "Mends what makes the published figures hard to trust. Never compare these with "
    "published figures, or with those of the other protocol.",
}
ONLY_VAL: Final = (
    "Scored on validation only: what is shown as the best of several was chosen on these very "
    "scores. Good for choosing, not for reporting."
)
PICTURES: Final = "pictures"
FEATURES: Final = "features"


@dataclass(frozen=True, slots=True)
class Chapter:
    """Tables and pictures under one heading; folded away in HTML and left out of Markdown if so."""

    title: str
    tables: tuple[Table, ...]
    pictures: tuple[Picture, ...] = ()
    folded: bool = False


@dataclass(frozen=True, slots=True)
class Part:
    """One protocol."""

    protocol: str
    about: str
    chapters: tuple[Chapter, ...]


@dataclass(frozen=True, slots=True)
class ReportFiles:
    """What was written."""

    markdown: Path
    html: Path
    pictures: tuple[Path, ...]
    n_scores: int
    protocols: tuple[str, ...]


def benchmark_report(
    results: Path | pa.Table,
    out: Path,
    *,
    beside: Path | None = None,
    cache: Path | None = None,
    where: Mapping[str, str] | None = None,
    reference: str | None = None,
    title: str = "Benchmark",
    progress: Callable[[int], None] = lambda _n: None,
) -> ReportFiles:
    """Write ``report.md``, ``report.html`` and ``pictures/*.png``.

    Args:
        results: rows of results, or the file or folder that holds them.
        out: folder to write into.
        beside: folder of the run, with its predictions and items (see
            `dawnchorus.benchmark.report.inputs`); None: that of the results, if they are on disk.
        cache: folder of features; None: ``features`` in that of the run.
        where: text columns of the results and the value wanted, such as ``{"probe": "linear"}``.
        reference: model that the others are compared with, item by item.
        title: of the page.
        progress: called with 1 after each picture and comparison.

    Raises:
        TaskError: There are no results, or they lack a column.
        DependencyError: matplotlib or jinja2 is not installed.
    """
    if not isinstance(results, pa.Table):
        beside = beside or (results if results.is_dir() else results.parent)
        results = read_results(results)
    scores = scores_of(results, where)
    found = sections(scores)
    models = sorted({score.model for score in scores})
    looks = {model: look(place) for place, model in enumerate(models)}
    lies = None if beside is None else Beside(beside, cache or beside / FEATURES)
    parts = [_part(one, looks, lies, reference, progress=progress) for one in found]
    told = {
        "title": title,
        "parts": parts,
        "about": f"dawnchorus {version('dawnchorus')}; {len(scores):,} scores of "
        f"{len(models)} models on {len({score.task for score in scores})} tasks",
    }
    return _write(out, told, len(scores))


def _part(
    section: Section,
    looks: Mapping[str, Look],
    beside: Beside | None,
    reference: str | None,
    *,
    progress: Callable[[int], None],
) -> Part:
    summary = summary_table(section)
    chapters = [
        Chapter("What was compared", (task_table(section), settings_table(section))),
        Chapter(
            "Scores",
            (*([summary] if summary else []), *score_tables(section)),
            tuple(bar_pictures(section, looks)),
        ),
        Chapter("By layer", (), tuple(layer_pictures(section, looks))),
        Chapter("By number of labels", (), tuple(label_pictures(section, looks))),
        Chapter("With and without known items", tuple(leak_tables(section))),
    ]
    if beside is not None:
        compared = compare_models(section, beside, reference, progress=progress)
        if compared is not None:
            tables = (paired_table(section, compared),)
            pictures = tuple(paired_pictures(section, compared, looks))
            chapters.append(Chapter("Model against model", tables, pictures))
        chapters.append(
            Chapter("What is taken for what", (), tuple(confusion_pictures(section, beside)))
        )
        chapters.append(Chapter("Maps", (), tuple(map_pictures(section, beside))))
    chapters.append(Chapter("Every read-out and probe", tuple(detail_tables(section)), folded=True))
    kept = tuple(chapter for chapter in chapters if chapter.tables or chapter.pictures)
    progress(sum(len(chapter.pictures) for chapter in kept))
    about = PROTOCOLS.get(section.protocol, "")
    if section.split == "val":
        about = f"{about} {ONLY_VAL}".strip()
    return Part(section.protocol, about, kept)


def _write(out: Path, told: dict[str, Any], n_scores: int) -> ReportFiles:
    parts: list[Part] = told["parts"]
    page = _page(told)
    folder = out / PICTURES
    folder.mkdir(parents=True, exist_ok=True)
    pictures = [p for part in parts for chapter in part.chapters for p in chapter.pictures]
    for picture in pictures:
        write_whole(folder / f"{picture.name}.png", picture.png)
    write_whole(out / "report.html", page.encode())
    write_whole(out / "report.md", _markdown(told).encode())
    return ReportFiles(
        out / "report.md",
        out / "report.html",
        tuple(folder / f"{picture.name}.png" for picture in pictures),
        n_scores,
        tuple(part.protocol for part in parts),
    )


def _page(told: Mapping[str, Any]) -> str:
    """The page, with every picture in it."""
    try:
        from jinja2 import Environment  # noqa: PLC0415  an extra
    except ImportError as error:
        raise DependencyError("jinja2", "benchmark", "a page of results") from error
    text = files("dawnchorus.benchmark.report").joinpath("page.html.j2").read_text("utf-8")
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters["base64"] = lambda data: base64.b64encode(data).decode()
    return environment.from_string(text).render(told)


def _markdown(told: Mapping[str, Any]) -> str:
    lines = [f"# {told['title']}", "", told["about"], ""]
    for part in told["parts"]:
        lines += [f"## Protocol {part.protocol}", "", part.about, ""]
        for chapter in part.chapters:
            if chapter.folded:
                continue
            lines += [f"### {chapter.title}", ""]
            for table in chapter.tables:
                lines += [*_table(table), ""]
            for picture in chapter.pictures:
                place = f"{PICTURES}/{picture.name}.png"
                lines += [
                    f"![{picture.title}]({place})",
                    "",
                    f"*{picture.title}.* {picture.caption}",
                    "",
                ]
    return "\n".join(lines)


def _table(table: Table) -> list[str]:
    head = ["| " + " | ".join(map(_plain, table.headings)) + " |"]
    head.append("|" + "---|" * len(table.headings))
    body = [_line(line) for line in table.lines]
    notes = [part for note in table.notes for part in ("", _plain(note))]
    return [f"**{table.title}**", "", *head, *body, *notes]


def _line(line: Line) -> str:
    name = f"*{_plain(line.name)}*" if line.kind != "own" else _plain(line.name)
    return "| " + " | ".join([name, *map(_cell, line.cells)]) + " |"


def _cell(cell: Cell) -> str:
    text = f"**{_plain(cell.text)}**" if cell.best else _plain(cell.text)
    mark = f"<sup>{cell.mark}</sup>" if cell.mark else ""
    detail = f" ({_plain(cell.detail)})" if cell.detail else ""
    return text + mark + detail


def _plain(text: str) -> str:
    """Text that Markdown takes as it is."""
    return text.replace("|", "\\|").replace("<", "&lt;").replace("_", "\\_")
