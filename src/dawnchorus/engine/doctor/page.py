"""The doctor's report as one HTML page that needs nothing else, with a picture of coverage."""

from __future__ import annotations

from datetime import datetime, timedelta
from html import escape
from importlib.metadata import version
from typing import TYPE_CHECKING, Final

from dawnchorus.audio.levels import ADVICE
from dawnchorus.engine.doctor.finding import OK, Finding, counted
from dawnchorus.filename_text import printable
from dawnchorus.store.files import write_whole

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from dawnchorus.engine.doctor.scan import DoctorReport, FolderSummary

N_BINS: Final = 240  # columns of the picture
BIN, ROW, LABEL, TOP = 4, 22, 260, 20  # pixels: a column, a row, the names, the dates
PALEST: Final = 0.45  # of a column with a little sound
MOST_LETTERS: Final = 34  # of a folder's name beside its row
MAX_ROWS: Final = 60  # folders in the picture; the table has them all
MAX_BAD: Final = 500  # recordings listed; the CSV has them all
MIN_TICK_GAP: Final = 90  # pixels
TICK_STEPS: Final = [
    timedelta(minutes=minutes)
    for minutes in (1, 5, 15, 60, 180, 360, 720, *(1440 * days for days in (1, 2, 7, 14, 30, 90)))
]
STYLE: Final = """
body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:1900px;padding:0 1rem;
color:#222}
h1,p,td,th{overflow-wrap:anywhere}
table{border-collapse:collapse;margin:1rem 0;width:100%}
td,th{padding:.25rem .8rem;text-align:left;vertical-align:top}
tr{border-top:1px solid #ddd}th{border-bottom:2px solid #888;overflow-wrap:normal}
td.n{text-align:right;white-space:nowrap}
.folders td:first-child{min-width:15rem}
.folders td:nth-child(n+5):nth-child(-n+7){white-space:nowrap}
tr.remark{border-top:0;color:#555}tr.remark td{padding:0 .8rem .5rem 2.4rem;white-space:normal}
.verdicts{width:auto}.bad td:nth-child(2),.bad td:nth-child(3){white-space:nowrap}
svg{width:100%;height:auto}svg text{font:12px system-ui,sans-serif;fill:#333}
"""


def write_page(report: DoctorReport, path: Path) -> None:
    """Write the page.

    Raises:
        StoreError: The file cannot be written.
    """
    write_whole(path, make_page(report).encode("utf-8", "backslashreplace"))


def make_page(report: DoctorReport) -> str:
    """The page as text."""
    how = "every file decoded to its end" if report.deep else "headers only; --deep decodes all"
    n_bad = sum(finding.verdict != OK for finding in report.findings)
    parts = [
        f"<!doctype html><html lang=en><meta charset=utf-8><title>Recordings in "
        f"{escape(printable(report.root.name))}</title><style>{STYLE}</style>",
        f"<h1>Recordings in {escape(printable(str(report.root)))}</h1>",
        f"<p>{counted(len(report.findings), 'recording')}, {report.hours:.1f} h of readable sound; "
        f"{n_bad} with something wrong ({how}). dawnchorus {version('dawnchorus')}</p>",
        "<h2>Coverage</h2>",
        coverage(report),
        *(f"<p>{escape(line)}</p>" for line in (report.clocks, *report.clock_warnings)),
        *(f"<p>{escape(line)}</p>" for line in report.unread),
        "<h2>Folders and recorders</h2>",
        _folders(report.folders),
    ]
    if n_bad:
        parts += ["<h2>What is wrong</h2>", _verdicts(report), _bad(report.findings)]
    return "\n".join([*parts, "</html>\n"])


def _table(headings: Sequence[str], rows: Iterable[Sequence[object]], *, kind: str) -> str:
    """A table; rows that are longer than the headings end with a remark, which goes below."""
    head = "".join(f"<th>{escape(text)}" for text in headings)
    # HTML needs no closing tags of cells and rows, and a page of 100,000 rows is smaller without
    n = len(headings)
    body = "".join(
        "<tr>" + "".join(map(_cell, row[:n])) + "".join(_remark(text, n) for text in row[n:])
        for row in rows
    )
    return f"<table class={kind}><tr>{head}{body}</table>"


def _remark(text: object, n_columns: int) -> str:
    return f"<tr class=remark><td colspan={n_columns}>{escape(str(text))}" if text else ""


def _cell(value: object) -> str:
    number = isinstance(value, int | float)
    text = f"{value:.1f}" if isinstance(value, float) else str(value)
    return f"<td{' class=n' if number else ''}>{escape(text)}"


def _folders(folders: Sequence[FolderSummary]) -> str:
    names = "folder recorder recordings hours rates from to wrong"
    rows = (
        [
            folder.folder,
            folder.recorder,
            folder.n_recordings,
            folder.hours,
            ", ".join(f"{rate} Hz" for rate in folder.rates),
            folder.first,
            folder.last,
            ", ".join(f"{verdict} {n}" for verdict, n in folder.verdicts.items()),
            "; ".join(folder.oddities),
        ]
        for folder in folders
    )
    return _table(names.split(), rows, kind="folders")


def _verdicts(report: DoctorReport) -> str:
    rows = [(verdict, n) for verdict, n in report.verdicts.items() if verdict != OK]
    return _table(["verdict", "recordings"], rows, kind="verdicts")


def _bad(findings: Sequence[Finding]) -> str:
    bad = [finding for finding in findings if finding.verdict != OK]
    rows = [(f.path, f.verdict, _how_much(f), f.message) for f in bad[:MAX_BAD]]
    more = f"<p>and {len(bad) - MAX_BAD} more</p>" if len(bad) > MAX_BAD else ""
    return _table(["recording", "verdict", "readable"], rows, kind="bad") + more


def _how_much(finding: Finding) -> str:
    if finding.verdict in ADVICE:
        return "yes"
    return "in part" if finding.readable and finding.duration_s else "no"


def coverage(report: DoctorReport) -> str:
    """SVG: a row a folder, time to the right, the darker the more of it was recorded."""
    dated = [(finding, span) for finding in report.findings if (span := finding.span)]
    if not dated:
        return "<p>No recording says when it began, so there is nothing to draw.</p>"
    first = min(start for _, (start, _) in dated)
    last = max(stop for _, (_, stop) in dated)
    last = max(last, first + timedelta(minutes=1))  # one recording of 0 s has no width
    width_s = (last - first).total_seconds() / N_BINS
    names = sorted({finding.folder for finding, _ in dated})
    height = TOP + ROW * min(len(names), MAX_ROWS) + 10
    lines = [
        f'<svg viewBox="0 0 {LABEL + BIN * N_BINS + 60} {height}" role="img" '
        f'aria-label="when each folder was recorded">',
        *_ticks(first, last, height),
    ]
    for row, name in enumerate(names[:MAX_ROWS]):
        in_folder = [(finding, span) for finding, span in dated if finding.folder == name]
        lines += _row(name, TOP + ROW * row, in_folder, first, width_s)
    lines.append("</svg>")
    unknown = len(report.findings) - len(dated)
    bin_text = _duration(width_s)
    caption = f"Each column is {bin_text}; the darker, the more of it was recorded. Red: damaged."
    if unknown:
        caption += f" Not drawn, for want of a start time: {counted(unknown, 'recording')}."
    if len(names) > MAX_ROWS:
        caption += f" The first {MAX_ROWS} of {len(names)} folders."
    return "\n".join(lines) + f"<p>{caption}</p>"


def _row(
    name: str,
    y: int,
    recordings: Sequence[tuple[Finding, tuple[datetime, datetime]]],
    first: datetime,
    width_s: float,
) -> list[str]:
    covered = [0.0] * N_BINS
    damaged = [False] * N_BINS
    for finding, (start, stop) in recordings:
        begin = (start - first).total_seconds() / width_s
        end = (stop - first).total_seconds() / width_s
        for column in range(int(begin), min(int(end) + 1, N_BINS)):
            # the part of this column that the recording fills
            covered[column] += max(0.0, min(end, column + 1) - max(begin, column))
        if finding.verdict != OK:
            damaged[min(int(begin), N_BINS - 1)] = True
    # its end says more than its beginning: the recorder, not the disk
    shown = name if len(name) <= MOST_LETTERS else f"…{name[1 - MOST_LETTERS :]}"
    rows = [
        f'<text x="{LABEL - 8}" y="{y + 14}" text-anchor="end">{escape(shown)}'
        f"<title>{escape(name)}</title></text>",
        # what was not recorded, so that a short recording is seen in it
        f'<rect x="{LABEL}" y="{y + 2}" width="{BIN * N_BINS}" height="{ROW - 4}" fill="#eee"/>',
    ]
    for column, share in enumerate(covered):
        if share > 0 or damaged[column]:
            shade = 1.0 if damaged[column] else PALEST + (1 - PALEST) * min(share, 1.0)
            colour = "#b22" if damaged[column] else "#246"
            rows.append(
                f'<rect x="{LABEL + BIN * column}" y="{y + 2}" width="{BIN}" height="{ROW - 4}" '
                f'fill="{colour}" opacity="{shade:.2f}"/>'
            )
    return rows


def _ticks(first: datetime, last: datetime, height: int) -> list[str]:
    span = last - first
    most = BIN * N_BINS // MIN_TICK_GAP
    # the shortest step whose ticks do not run into each other
    step = next((step for step in TICK_STEPS if span / step <= most), span / most)
    # from midnight, so that ticks stand at round hours
    moment = datetime.combine(first.date(), datetime.min.time())
    lines = []
    while moment <= last:
        if moment >= first:
            text = moment.strftime("%Y-%m-%d" if step >= timedelta(days=1) else "%m-%d %H:%M")
            x = LABEL + round(BIN * N_BINS * ((moment - first) / span))
            lines.append(
                f'<line x1="{x}" x2="{x}" y1="{TOP - 4}" y2="{height}" stroke="#ddd"/>'
                f'<text x="{x}" y="{TOP - 7}" text-anchor="middle">{text}</text>'
            )
        moment += step
    return lines


def _duration(seconds: float) -> str:
    for unit, size in (("days", 86_400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} seconds"
