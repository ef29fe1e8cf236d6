"""Watkins Marine Mammal Sound Database: a folder per species, and a table beside them or not.

Source: https://whoicf2.whoi.edu/science/B/whalesounds/. A folder's name is one label, commas and
underscores included (``Fin,_Finback_Whale``). Files are named by record number: two digits of the
year, three of the tape, three characters of the cut. Cuts of one tape stay on one side of a split.
Rates go from a few kHz to far over 100 kHz and are read from each file.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from dawnchorus.audio.decode.read import HIGHEST_HZ, LOWEST_HZ, read_info
from dawnchorus.errors import AudioError, TaskError
from dawnchorus.sources.names.scientific import PublishedName, parse_name
from dawnchorus.sources.source_row import SourceRow
from dawnchorus.sources.source_table import SourceTable
from dawnchorus.text_tables.files import TextFile

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dawnchorus.sources.report import SourceReport

DATASET: Final = "watkins"
TERMS: Final = "Watkins terms"
CREDIT: Final = (
    "Watkins Marine Mammal Sound Database, Woods Hole Oceanographic Institution and the New "
    "Bedford Whaling Museum"
)
RECORD_NUMBER: Final = re.compile(r"(\d{5})[0-9A-Za-z]{3}")
FIRST_YEAR: Final = "40"  # of the collection; smaller ones would be of this century
# why a file cannot be read, where the one-word reason is a riddle
UNREADABLE: Final = {"rate": f"sampled at under {LOWEST_HZ} or over {HIGHEST_HZ} Hz"}
SOUND_SUFFIXES: Final = {".wav", ".flac", ".aif", ".aiff", ".mp3", ".ogg"}
# columns that may name a file, and those that may name its species, best first
PATH_COLUMNS: Final = ("audiopath", "path", "file", "filename", "id", "recordnumber")
NAME_COLUMNS: Final = ("canonicalname", "scientificname", "species", "speciesscientific")
# Names as the database spells them, without underscores, marks and case, to those of the Society
# for Marine Mammalogy
SPECIES: Final = {
    "atlanticspotteddolphin": "Stenella frontalis",
    "beardedseal": "Erignathus barbatus",
    "belugawhitewhale": "Delphinapterus leucas",
    "bluewhale": "Balaenoptera musculus",
    "bottlenosedolphin": "Tursiops truncatus",
    "boutuamazonriverdolphin": "Inia geoffrensis",
    "bowheadwhale": "Balaena mysticetus",
    "clymenedolphin": "Stenella clymene",
    "commersonsdolphin": "Cephalorhynchus commersonii",
    "commondolphin": "Delphinus delphis",
    "dallsporpoise": "Phocoenoides dalli",
    "duskydolphin": "Lagenorhynchus obscurus",
    "falsekillerwhale": "Pseudorca crassidens",
    "finfinbackwhale": "Balaenoptera physalus",
    "finlessporpoise": "Neophocaena phocaenoides",
    "frasersdolphin": "Lagenodelphis hosei",
    "grampusrissosdolphin": "Grampus griseus",
    "grayseal": "Halichoerus grypus",
    "graywhale": "Eschrichtius robustus",
    "harborporpoise": "Phocoena phocoena",
    "harbourporpoise": "Phocoena phocoena",
    "harborseal": "Phoca vitulina",
    "harbourseal": "Phoca vitulina",
    "harpseal": "Pagophilus groenlandicus",
    "heavisidesdolphin": "Cephalorhynchus heavisidii",
    "hoodedseal": "Cystophora cristata",
    "humpbackwhale": "Megaptera novaeangliae",
    "irawaddydolphin": "Orcaella brevirostris",
    "juanfernandezfurseal": "Arctocephalus philippii",
    "killerwhale": "Orcinus orca",
    "leopardseal": "Hydrurga leptonyx",
    "longbeakedpacificcommondolphin": "Delphinus capensis",
    "longfinnedpilotwhale": "Globicephala melas",
    "melonheadedwhale": "Peponocephala electra",
    "minkewhale": "Balaenoptera acutorostrata",
    "narwhal": "Monodon monoceros",
    "newzealandfurseal": "Arctocephalus forsteri",
    "northernrightwhale": "Eubalaena glacialis",
    "pantropicalspotteddolphin": "Stenella attenuata",
    "ribbonseal": "Histriophoca fasciata",
    "ringedseal": "Pusa hispida",
    "rossseal": "Ommatophoca rossii",
    "roughtootheddolphin": "Steno bredanensis",
    "seaotter": "Enhydra lutris",
    "shortfinnedpacificpilotwhale": "Globicephala macrorhynchus",
    "southernrightwhale": "Eubalaena australis",
    "spermwhale": "Physeter macrocephalus",
    "spinnerdolphin": "Stenella longirostris",
    "spottedseal": "Phoca largha",
    "stellersealion": "Eumetopias jubatus",
    "stripeddolphin": "Stenella coeruleoalba",
    "tucuxidolphin": "Sotalia fluviatilis",
    "walrus": "Odobenus rosmarus",
    "weddellseal": "Leptonychotes weddellii",
    "westindianmanatee": "Trichechus manatus",
    "whitebeakeddolphin": "Lagenorhynchus albirostris",
    "whitesideddolphin": "Lagenorhynchus acutus",
}


def read(place: Path, report: SourceReport, table: Path | None = None) -> Iterator[SourceRow]:
    """Rows of a folder of folders.

    Args:
        place: holds a folder per species.
        report: counts what is left out.
        table: of the files, with a column for the file (path, name or record number) and one for
            the scientific name; None for the only CSV or TSV file in ``place``, if there is one.

    Raises:
        TaskError: There are no folders, or the table lacks its columns.
    """
    if not place.is_dir():
        raise TaskError(f"{place}: need a folder that holds a folder per species")
    names = _names(table or _only_table(place), report)
    folders = sorted(folder for folder in place.iterdir() if folder.is_dir())
    if not folders:
        raise TaskError(f"{place}: holds no folder; need one per species")
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.suffix.lower() in SOUND_SUFFIXES and path.is_file():
                yield from _row(folder.name, path, names, report)


def _row(
    folder: str, path: Path, names: dict[str, str], report: SourceReport
) -> Iterator[SourceRow]:
    id = f"{DATASET}/{folder}/{path.stem}"
    # what the table says of a file goes before what its folder is called
    name = names.get(path.stem.lower()) or scientific_name(folder)
    if name is None:
        report.drop("name of the folder is not known", id)
        return
    try:
        info = read_info(path)
    except AudioError as error:
        report.drop(UNREADABLE.get(error.reason, f"sound is {error.reason}"), id)
        return
    number = RECORD_NUMBER.fullmatch(path.stem)
    n_samples = info.n_samples
    yield SourceRow(
        id=id,
        dataset=DATASET,
        published=PublishedName(name),
        path=str(path.resolve()),
        form=path.suffix.lower().removeprefix("."),
        source="https://whoicf2.whoi.edu/science/B/whalesounds/",
        licence=TERMS,
        attribution=CREDIT,
        group=f"{DATASET}:{number[1]}" if number else id,
        recorded_at=f"19{number[1][:2]}" if number and number[1] >= FIRST_YEAR else "",
        duration_s=None if n_samples is None else n_samples / info.sample_rate,
        notes=(("folder", folder), ("sample rate", f"{info.sample_rate} Hz")),
    )


def scientific_name(folder: str) -> str | None:
    """The species of a folder, which may be named in either language."""
    # two words, the second in lower case: "Orcinus_orca", but not "Killer_Whale"
    if not parse_name(folder.replace("_", " ")).problem and folder.count("_") == 1:
        words = folder.replace("_", " ")
        if words[words.index(" ") + 1 :].islower():
            return words
    return SPECIES.get(re.sub(r"[^a-z]", "", folder.lower()))


def _only_table(place: Path) -> Path | None:
    tables = [path for path in place.iterdir() if path.suffix.lower() in {".csv", ".tsv"}]
    if len(tables) > 1:
        raise TaskError(f"{place}: holds {len(tables)} tables; name the one to use")
    return tables[0] if tables else None


def _names(path: Path | None, report: SourceReport) -> dict[str, str]:
    """Scientific name by a file's name without suffix, in lower case."""
    if path is None:
        return {}
    if not path.is_file():
        raise TaskError(f"{path}: no such table")
    table = SourceTable(TextFile(path), report.bad_line)
    file_column = next((name for name in PATH_COLUMNS if name in table.columns), None)
    name_column = next((name for name in NAME_COLUMNS if name in table.columns), None)
    if file_column is None or name_column is None:
        raise TaskError(
            f"{path}: need a column of files ({', '.join(PATH_COLUMNS)}) and one of names "
            f"({', '.join(NAME_COLUMNS)}); found {', '.join(table.columns)}"
        )
    rows = table.rows([file_column, name_column])
    return {Path(row[file_column]).stem.lower(): row[name_column] for row in rows}
