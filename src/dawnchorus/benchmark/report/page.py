"""Puts a report together and writes it: a part for each protocol, the summary first in each."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from importlib.metadata import version
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from dawnchorus.benchmark.figures import read_figures
from dawnchorus.benchmark.report.bars import bar_pictures
from dawnchorus.benchmark.report.confusion import confusion_pictures
from dawnchorus.benchmark.report.curves import label_pictures, layer_pictures
from dawnchorus.benchmark.report.facts import (
    detail_tables,
    leak_tables,
    settings_table,
    task_table,
)
from dawnchorus.benchmark.report.maps import map_pictures
from dawnchorus.benchmark.report.paired import compare_models, forest_picture, paired_table
from dawnchorus.benchmark.report.protocol_scores import by_protocol
from dawnchorus.benchmark.report.reported_scores import read_results, scores_of
from dawnchorus.benchmark.report.run_folder import RunFolder
from dawnchorus.benchmark.report.style import model_style
from dawnchorus.benchmark.report.summary import opening_picture, opening_table
from dawnchorus.benchmark.report.tables import score_tables, summary_table
from dawnchorus.errors import DependencyError
from dawnchorus.progress import NO_PROGRESS
from dawnchorus.store.files import write_whole

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from dawnchorus.benchmark.report.protocol_scores import ProtocolScores
    from dawnchorus.benchmark.report.style import ModelStyle, Picture
    from dawnchorus.benchmark.report.table_cells import ReportTable, TableCell
    from dawnchorus.progress import Progress

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
class PageSection:
    """Tables and pictures under one heading.

    Attributes:
        folded: its tables are folded away in HTML, and left out of Markdown.
        wordy: its tables hold words more than numbers, and are aligned to the left.
    """

    title: str
    tables: tuple[ReportTable, ...] = ()
    pictures: tuple[Picture, ...] = ()
    folded: bool = False
    wordy: bool = False


@dataclass(frozen=True, slots=True)
class ProtocolPart:
    """One protocol."""

    protocol: str
    about: str
    sections: tuple[PageSection, ...]


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
    cache: Path | None = None,
    where: Mapping[str, str] | None = None,
    reference: str | None = None,
    figures: Path | None = None,
    title: str = "Benchmark",
    progress: Progress = NO_PROGRESS,
) -> ReportFiles:
    """Write ``report.md``, ``report.html`` and ``pictures/*.png``.

    Args:
        results: rows of results, or the file or folder that holds them.
        out: folder to write into.
        cache: folder of features; None: ``features`` beside the results. What else may lie there
            is in `dawnchorus.benchmark.report.run_folder`.
        where: text columns of the results and the value wanted, such as ``{"probe": "linear"}``.
        reference: model that the others are compared with, item by item.
        figures: scores that others report, see `dawnchorus.benchmark.figures.read_figures`.
        title: of the page.
        progress: gets a stage without a total.

    Raises:
        TaskError: There are no results, or they lack a column.
        UsageError: The reference is not in the results, or the figures cannot be read.
        DependencyError: matplotlib or jinja2 is not installed.
    """
    run: RunFolder | None = None
    if not isinstance(results, pa.Table):
        folder = results if results.is_dir() else results.parent
        run = RunFolder(folder, cache or folder / FEATURES)
        results = read_results(results)
    scores = scores_of(results, where)
    models = sorted({score.model for score in scores})
    styles = {model: model_style(place) for place, model in enumerate(models)}
    reported = () if figures is None else read_figures(figures)
    advance = progress.start("pictures")
    parts = []
    for section in by_protocol(scores, reported):
        sections = _sections(section, styles, run, reference)
        about = PROTOCOLS.get(section.protocol, "")
        if section.split == "val":
            about = f"{about} {ONLY_VAL}".strip()
        parts.append(ProtocolPart(section.protocol, about, sections))
        advance(1)
    page = {
        "title": title,
        "parts": parts,
        "about": f"dawnchorus {version('dawnchorus')}; {len(scores):,} scores of "
        f"{len(models)} models on {len({score.task for score in scores})} tasks",
    }
    return _write(out, page, len(scores))


def _sections(
    section: ProtocolScores,
    styles: Mapping[str, ModelStyle],
    run: RunFolder | None,
    reference: str | None,
) -> tuple[PageSection, ...]:
    """From the summary to the details; what has nothing to show is left out."""
    means = summary_table(section)
    compared = None if run is None else compare_models(section, run, reference)
    sections = [
        PageSection("Summary", (opening_table(section),), (opening_picture(section, styles),)),
    ]
    if compared is not None:
        sections.append(
            PageSection(
                "Model against model",
                (paired_table(section, compared),),
                (forest_picture(section, compared, styles),),
            )
        )
    sections += [
        PageSection(
            "Scores by task",
            (*([means] if means else []), *score_tables(section)),
            tuple(bar_pictures(section, styles)),
        ),
        PageSection("By layer", (), tuple(layer_pictures(section, styles))),
        PageSection("By number of labels", (), tuple(label_pictures(section, styles))),
        PageSection("With and without known items", tuple(leak_tables(section))),
    ]
    if run is not None:
        confusions, maps = confusion_pictures(section, run), map_pictures(section, run)
        sections.append(PageSection("What is taken for what", (), tuple(confusions)))
        sections.append(PageSection("Maps", (), tuple(maps)))
    sections += [
        PageSection(
            "What was compared", (task_table(section), settings_table(section)), wordy=True
        ),
        PageSection("Every readout and probe", tuple(detail_tables(section)), folded=True),
    ]
    return tuple(one for one in sections if one.tables or one.pictures)


def _write(out: Path, page: Mapping[str, Any], n_scores: int) -> ReportFiles:
    parts: list[ProtocolPart] = page["parts"]
    html, markdown = _rendered("page.html.j2", page), _rendered("page.md.j2", page)
    folder = out / PICTURES
    folder.mkdir(parents=True, exist_ok=True)
    pictures = [p for part in parts for section in part.sections for p in section.pictures]
    for picture in pictures:
        write_whole(folder / f"{picture.name}.png", picture.png)
    write_whole(out / "report.html", html.encode())
    write_whole(out / "report.md", markdown.encode())
    return ReportFiles(
        out / "report.md",
        out / "report.html",
        tuple(folder / f"{picture.name}.png" for picture in pictures),
        n_scores,
        tuple(part.protocol for part in parts),
    )


def _rendered(template: str, page: Mapping[str, Any]) -> str:
    """A page from its template; HTML holds every picture, Markdown links to them."""
    try:
        from jinja2 import Environment  # noqa: PLC0415  an extra
    except ImportError as error:
        raise DependencyError("jinja2", "benchmark", "a page of results") from error
    text = files("dawnchorus.benchmark.report").joinpath(template).read_text("utf-8")
    environment = Environment(
        autoescape=template.endswith(".html.j2"), trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["base64"] = lambda data: base64.b64encode(data).decode()
    environment.filters["plain"] = _plain
    environment.filters["cell"] = _markdown_cell
    return environment.from_string(text).render(page)


def _markdown_cell(cell: TableCell) -> str:
    text = f"**{_plain(cell.text)}**" if cell.best else _plain(cell.text)
    mark = f"<sup>{cell.mark}</sup>" if cell.mark else ""
    detail = f" ({_plain(cell.detail)})" if cell.detail else ""
    return text + mark + detail


def _plain(text: str) -> str:
    """Text that Markdown takes as it is."""
    return text.replace("|", "\\|").replace("<", "&lt;").replace("_", "\\_")
