"""The report of a run: one HTML page with pictures and sound that needs nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Final

from dawnchorus.activity.examples import best_examples
from dawnchorus.activity.report_examples import examples_html
from dawnchorus.activity.report_labels import label_html, rows_by_hour
from dawnchorus.activity.report_style import STYLE
from dawnchorus.activity.report_tables import (
    facts_html,
    found_html,
    method_html,
    recorded_html,
    settings_html,
    troubles_html,
)
from dawnchorus.activity.svg import plain
from dawnchorus.errors import UsageError
from dawnchorus.paths import as_path
from dawnchorus.progress import NO_PROGRESS
from dawnchorus.store.files import write_whole

if TYPE_CHECKING:
    from pathlib import Path

    from dawnchorus.activity.run import Activity
    from dawnchorus.progress import Progress

MOST_LABELS: Final = 24  # on a page; the table has them all
MOST_SITES: Final = 12  # of a label, those with most calls
EXAMPLES: Final = 3
SUFFIXES: Final = (".html", ".htm")
# nothing from elsewhere, no script: what is in the page is all there is
POLICY: Final = (
    "default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'; "
    "base-uri 'none'; form-action 'none'"
)
HATCH: Final = (
    '<svg width="0" height="0" aria-hidden="true" style="position:absolute"><defs>'
    '<pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse" '
    'patternTransform="rotate(45)"><rect class="hatch-back" width="6" height="6"/>'
    '<path class="hatch-line" d="M0 0V6"/></pattern></defs></svg>'
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportOptions:
    """What a page says beside its numbers.

    Attributes:
        title: of the page.
        command: that makes it again, as it is typed; empty: not known.
        examples: of each label at most, 0 for none.
    """

    title: str = "Calls per recorded hour"
    command: str = ""
    examples: int = EXAMPLES


USUAL: Final = ReportOptions()


def check_report(path: Path, options: ReportOptions) -> None:
    """Refuse a page that cannot be made, before anything is counted.

    Raises:
        UsageError: The suffix is another one, or the number of examples is nonsense.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise UsageError(f"{path}: a report is a web page; need a file that ends in .html")
    if options.examples < 0:
        raise UsageError(f"examples {options.examples}: need 0 or more")


def write_report(
    activity: Activity,
    path: str | Path,
    options: ReportOptions = USUAL,
    progress: Progress = NO_PROGRESS,
) -> None:
    """Write the page. With the same input and versions it has the same bytes.

    An example takes about 0.3 MB, so the usual twelve labels with three each make 10 MB at most.
    Recordings that are not there any more are said to have no sound.

    Args:
        activity: what it is of.
        path: the page (``.html``).
        options: its title, examples, and the command that makes it again.
        progress: is told of the examples that are cut.

    Raises:
        UsageError: The path is no page.
        StoreError: The file cannot be written.
    """
    target = as_path(path)
    check_report(target, options)
    content = make_report(activity, options, progress)
    write_whole(target, content.encode("utf-8", "backslashreplace"))


def make_report(
    activity: Activity, options: ReportOptions = USUAL, progress: Progress = NO_PROGRESS
) -> str:
    """The page as text; arguments and errors as of `write_report`."""
    labels = activity.labels[:MOST_LABELS]
    examples = best_examples(activity, options.examples, progress)
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta name="color-scheme" content="light dark">',
        f"<title>{plain(options.title)}</title><style>{STYLE}</style></head><body>{HATCH}",
        f"<header><h1>{plain(options.title)}</h1>",
        facts_html(activity),
        "</header>",
        _notes(activity),
        _contents(labels),
        '<h2 id="recorded">What was recorded</h2>',
        recorded_html(activity),
        '<h2 id="found">What was found</h2>',
        found_html(activity),
    ]
    by_hour = rows_by_hour(activity)
    for number, label in enumerate(labels):
        parts.append(f'<section class="label" id="label{number}">')
        parts.append(
            label_html(activity, label, by_hour[label], number=number, most_sites=MOST_SITES)
        )
        parts.append(examples_html(examples[label]))
        parts.append("</section>")
    parts += [
        '<h2 id="troubles">Damaged recordings</h2>',
        troubles_html(activity),
        '<h2 id="method">How to read this</h2>',
        method_html(activity),
        '<h2 id="settings">How it was made</h2>',
        settings_html(activity, options.command, version("dawnchorus")),
        "</body></html>\n",
    ]
    return "\n".join(parts)


def _notes(activity: Activity) -> str:
    if not activity.warnings:
        return ""
    lines = "".join(f"<li>{plain(text)}</li>" for text in activity.warnings)
    return f'<aside class="notes"><b>Before you read the numbers</b><ul>{lines}</ul></aside>'


def _contents(labels: tuple[str, ...]) -> str:
    places = [("recorded", "What was recorded"), ("found", "What was found")]
    places += [(f"label{number}", label) for number, label in enumerate(labels)]
    places += [("troubles", "Damaged recordings"), ("method", "How to read this"),
               ("settings", "How it was made")]  # fmt: skip
    links = "".join(f'<a href="#{at}">{plain(words)}</a>' for at, words in places)
    return f'<nav aria-label="Contents">{links}</nav>'
