"""Xeno-canto: a GBIF download, the publisher's own archive, or answers of its API.

Source: https://xeno-canto.org; the dataset on GBIF; API version 3 (version 2's spellings are read
too). Only the foreground species is the label.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from dawnchorus.clips.licences import normalise_licence
from dawnchorus.configs.json_file import read_json
from dawnchorus.errors import TaskError, shown
from dawnchorus.sources.gbif import describe, not_an_animal, recordings
from dawnchorus.sources.names.scientific import PublishedName
from dawnchorus.sources.source_row import SourceRow, place_of, seconds_of, when

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dawnchorus.sources.report import SourceReport

DATASET: Final = "xeno-canto"
# recordings of nobody knows what, under names that look like species
PLACEHOLDERS: Final = {"mystery mystery", "identity unknown", "sonus naturalis"}
NUMBERS: Final = (
    re.compile(r"\bxc[ _-]?(\d+)", re.IGNORECASE),  # XC123, XC123-Turdus.mp3
    re.compile(r"\b(\d+)@xc", re.IGNORECASE),
    re.compile(r"xeno-canto\.org/(\d+)\b"),
    # files from before the numbers had a prefix
    re.compile(r"(?:^|/)(\d+)[-_. ][^/]*(?:mp3|wav|ogg|flac|m4a)$", re.IGNORECASE),
)
RESTRICTED: Final = "no URL of the sound (restricted)"


def read(place: Path, report: SourceReport) -> Iterator[SourceRow]:
    """Rows of an archive (zip or folder), or of a folder of API pages (``page-00001.json`` ...).

    Raises:
        TaskError: It is neither.
    """
    if place.suffix.lower() == ".json":
        yield from _api_rows([place], report)
    elif pages := sorted(place.glob("page-*.json")) if place.is_dir() else []:
        yield from _api_rows(pages, report)
    else:
        yield from _archive_rows(place, report)


def recording_number(text: str) -> int | None:
    """The catalogue number in a number, URL or file name; None if there is none."""
    plain = unquote(text.strip())
    matches = (pattern.search(plain) for pattern in NUMBERS)
    return next((int(found[1]) for found in matches if found), None)


def _archive_rows(place: Path, report: SourceReport) -> Iterator[SourceRow]:
    for recording in recordings(place, report):
        row, media = recording.occurrence, recording.media
        stated = (row["catalognumber"], row["key"], row["occurrenceid"])
        # the number stands in another column in each form of the archive
        numbers = map(recording_number, (*stated, "" if media is None else media["identifier"]))
        number = next((number for number in numbers if number is not None), None)
        name = recording.name if number is None else f"XC{number}"
        refusal = _refusal(row["scientificname"], row["species"])
        if refusal or (refusal := not_an_animal(row)):
            report.drop(refusal, name)
        elif media is None or not media["identifier"]:
            report.drop(RESTRICTED, name)
        else:
            yield describe(recording, id=f"{DATASET}/{name}", dataset=DATASET)


def _refusal(*names: str) -> str | None:
    placeholder = any(name.lower() in PLACEHOLDERS for name in names)
    return "placeholder, not a species" if placeholder else None


def _api_rows(pages: list[Path], report: SourceReport) -> Iterator[SourceRow]:
    for page in pages:
        try:
            content = read_json(page)
        except (OSError, ValueError) as error:
            raise TaskError(f"{page}: not a readable page of the API: {error}") from error
        if not isinstance(content, dict) or not isinstance(content.get("recordings"), list):
            raise TaskError(f"{page}: need an object with 'recordings', found {shown(content)}")
        # the service sends a record without an id now and then
        for position, record in enumerate(content["recordings"]):
            if isinstance(record, dict) and str(record.get("id") or "").isdigit():
                yield from _api_row(record, report)
            else:
                report.bad_line(page.name, position, "a record without an id")


def _api_row(record: dict[str, Any], report: SourceReport) -> Iterator[SourceRow]:
    # every scalar is text, "" or null
    text = {key: "" if value is None else str(value).strip() for key, value in record.items()}
    name = f"XC{text['id']}"
    scientific = " ".join(part for part in (text.get(key, "") for key in ("gen", "sp")) if part)
    refusal = _refusal(scientific, text.get("en", ""))
    if refusal:
        report.drop(refusal, name)
    elif not text.get("file"):
        report.drop(RESTRICTED, name)
    else:
        yield _from_api(text, record, scientific)


def _from_api(text: dict[str, str], record: dict[str, Any], scientific: str) -> SourceRow:
    # versions 2 and 3 of the API name some fields differently
    def get(*keys: str) -> str:
        return next((text[key] for key in keys if text.get(key)), "")

    name = f"XC{text['id']}"
    page = _absolute(get("url")) or f"https://xeno-canto.org/{text['id']}"
    latitude, longitude = place_of(get("lat"), get("lon", "lng"))
    also = record.get("also") or []
    return SourceRow(
        id=f"{DATASET}/{name}",
        dataset=DATASET,
        published=PublishedName(f"{scientific} {get('ssp')}".strip()),
        url=_absolute(get("file")),
        form=unquote(get("file-name")).rpartition(".")[2].lower(),
        source=page,
        licence=normalise_licence(get("lic")),
        recordist=get("rec"),
        attribution=", ".join(part for part in (get("rec"), name, page) if part),
        group=f"{DATASET}:{get('rec')}" if get("rec") else f"{DATASET}/{name}",
        latitude=latitude,
        longitude=longitude,
        place=", ".join(part for part in (get("loc"), get("cnt")) if part),
        recorded_at=when(get("date"), get("time")),
        duration_s=seconds_of(get("length")),
        background=tuple(str(one).strip() for one in also if one and str(one).strip()),
        notes=(
            ("type", get("type")),
            ("quality", get("q")),
            ("sex", get("sex")),
            ("stage", get("stage")),
            ("method", get("method")),
            ("remarks", get("rmk")),
        ),
    )


def _absolute(url: str) -> str:
    return f"https:{url}" if url.startswith("//") else url
