"""Which column of a table is read as what; none that looks like times or labels is ignored."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

from dawnchorus.errors import UsageError
from dawnchorus.text_tables import column_names as known
from dawnchorus.text_tables.paths import plain_path
from dawnchorus.text_tables.values import SAMPLES, UNITS, is_missing

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    Cells = Callable[[str], Sequence[str]]

PATH, LABELS, START, STOP, LENGTH = "path", "labels", "start_s", "stop_s", "length_s"
SHOWN: Final = 6  # names of columns in a message


_OURS: Final = {"label": LABELS, "file": PATH, "start": START, "stop": STOP, "end": STOP,
                "end_s": STOP, "length": LENGTH}  # fmt: skip


def our_column(name: str) -> str:
    """A name that a user gave one of our columns, such as ``Label``, as we have it."""
    key = name.casefold()
    return _OURS.get(key, key if key in {PATH, LABELS, START, STOP, LENGTH} else name)


@dataclass(frozen=True, slots=True)
class TimeColumn:
    """A column of times: ``scale`` is seconds a unit, None where it counts samples."""

    column: str
    scale: float | None = 1.0

    def __str__(self) -> str:
        """As it is shown to the user."""
        units = {None: " (samples)", 1e-3: " (milliseconds)", 1e-6: " (microseconds)",
                60.0: " (minutes)", 3600.0: " (hours)"}  # fmt: skip
        return self.column + units.get(self.scale, "")


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnRoles:
    """What each column of a table is read as.

    Attributes:
        path: columns that, put together, lead to the recording; empty: the table's own name does.
        start, stop, length, file_offset: columns of times, None where there is none; ``stop`` and
            ``length`` are never both there.
        labels: the column of the labels; several: a column for each class, 0 or 1 in it.
        one_hot: whether it is those.
        rate: column of the rate that samples count at.
        plain: their columns to ours of the same kind.
        ignored: columns that are not read.
    """

    path: tuple[str, ...]
    start: TimeColumn | None = None
    stop: TimeColumn | None = None
    length: TimeColumn | None = None
    file_offset: TimeColumn | None = None
    labels: tuple[str, ...] = ()
    one_hot: bool = False
    rate: str | None = None
    plain: Mapping[str, str]
    ignored: tuple[str, ...] = ()

    @property
    def timed(self) -> tuple[TimeColumn, ...]:
        """All columns of times that are read."""
        return tuple(t for t in (self.start, self.stop, self.length, self.file_offset) if t)

    @property
    def both_ends(self) -> bool:
        """Whether spans have a start and a stop or length."""
        return self.start is not None and (self.stop or self.length) is not None

    def __str__(self) -> str:
        """``read: path = File, start_s = Start (s), ...; ignored: ...``."""
        parts = [f"path = {'/'.join(self.path) or 'the recording of the same name'}"]
        start = self.file_offset or self.start
        if start is None and self.stop is None:
            parts.append("whole recordings")
        else:
            stop = "the end of the recording" if self.stop is None else str(self.stop)
            parts += [f"start_s = {start or 0}", f"stop_s = {stop}"]
        if self.length is not None:
            parts[-1] = f"stop_s = {start} + {self.length}"
        elif self.file_offset is not None:
            parts[-1] = f"stop_s = {start} + {self.stop} - {self.start}"
        label = shown(self.labels)
        label = f"{len(self.labels)} columns of 0 and 1 ({label})" if self.one_hot else label
        parts.append(f"labels = {label or 'none'}")
        parts += [f"{ours} = {theirs}" for theirs, ours in self.plain.items()]
        return f"read: {', '.join(parts)}; ignored: {', '.join(self.ignored) or 'nothing'}"


def assign_columns(
    where: object,
    names: Sequence[str],
    cells: Cells,
    *,
    given: Mapping[str, str],
    fixed: Collection[str] = (),
    others: Iterable[str] = (),
    pathless: Callable[[], bool] = lambda: False,
) -> ColumnRoles:
    """Find out what each column is.

    Args:
        where: the table, for messages.
        names: of its columns.
        cells: the cells of a column.
        given: our column to theirs, as the user says.
        fixed: our columns that are not to be looked for.
        others: our columns that are found by their own names alone.
        pathless: whether a table of spans without paths is known to belong to one recording.

    Raises:
        UsageError: A column is not there, two may be meant, or one that is not read looks like
            times or labels.
    """
    # what the user says goes before what names look like
    for ours, theirs in given.items():
        if theirs not in names:
            raise UsageError(f"{where}: no column {theirs!r} for {ours!r}; columns: {list(names)}")
    finder = _ColumnFinder(
        where, [name for name in names if name not in given.values()], cells, given
    )
    path = finder.path()
    # each step takes its columns away, so that none is read as two things
    start, stop, length, file_offset = finder.times()
    if not path and PATH not in fixed and (start is None or not pathless()):
        raise finder.no_path()
    labels, one_hot = ((), False) if LABELS in fixed else finder.labels()
    rate = finder.take(known.RATE) if any(t and t.scale is None for t in (start, stop)) else None
    roles = {PATH, LABELS, START, STOP, LENGTH}
    plain = {theirs: ours for ours, theirs in given.items() if ours not in roles}
    for ours in others:
        called = None if ours in {*given, *fixed, *roles} else finder.called(ours)
        plain |= {called: ours} if called else {}
    if not labels and LABELS not in fixed:
        labels, one_hot = finder.one_hot()
    finder.check_times(start, stop or length)
    if not labels and LABELS not in fixed:
        finder.check_labels(spans=start is not None)
    return ColumnRoles(
        path=path,
        start=start,
        stop=stop,
        length=length,
        file_offset=file_offset,
        labels=labels,
        one_hot=one_hot,
        rate=rate,
        plain=plain,
        ignored=tuple(finder.free),
    )


class _ColumnFinder:
    """Takes column after column of those that nobody has taken yet."""

    def __init__(
        self, where: object, free: list[str], cells: Cells, given: Mapping[str, str]
    ) -> None:
        self.where = where
        self.free = free
        self.cells = cells
        self.given = given

    def take(self, keys: Iterable[str]) -> str | None:
        """The first free column whose key is one of these, in their order."""
        for key in keys:
            for name in self.free:
                if known.column_key(name) == key:
                    self.free.remove(name)
                    return name
        return None

    def called(self, ours: str) -> str | None:
        """A free column with one of our names."""
        also = {"licence": ("license",), "id": ("clipid", "itemid")}.get(ours, ())
        return self.take((known.column_key(ours), *also))

    def path(self) -> tuple[str, ...]:
        """Columns that lead to the recording; none: no column is known to."""
        if PATH in self.given:
            return (self.given[PATH],)
        candidates = [
            name for key in known.PATH for name in self.free if known.column_key(name) == key
        ]
        if not candidates:
            if any(known.looks_like_path(self.cells(name)) for name in self.free):
                raise self.no_path()
            return ()
        exact = [name for name in candidates if known.column_key(name) == PATH]
        candidates, chosen = exact or candidates, candidates[0]
        if len(candidates) > 1 and not self._same_files(candidates):
            raise self._which(candidates, PATH)
        if known.column_key(chosen) == "infile":
            folders = [name for key in known.FOLDERS if (name := self.take((key,)))]
            self.free.remove(chosen)
            return (*folders, chosen)
        self.free.remove(chosen)
        return (chosen,)

    def no_path(self) -> UsageError:
        """No column names the recordings."""
        return UsageError(
            f"{self.where}: which column is the path? name it: --column path=COLUMN; columns: "
            f"{self.free}"
        )

    def _same_files(self, candidates: Sequence[str]) -> bool:
        """Whether columns name the same files, with more or fewer folders before them."""
        columns = [
            [PurePosixPath(plain_path(cell)).name for cell in self.cells(name)]
            for name in candidates
        ]
        return all(column == columns[0] for column in columns)

    def times(
        self,
    ) -> tuple[TimeColumn | None, TimeColumn | None, TimeColumn | None, TimeColumn | None]:
        """Start, stop, length, and offset in the file."""
        start = self._given_time(START) or self._one_time(known.START, START)
        stop = self._given_time(STOP) or self._one_time(known.STOP, STOP)
        length = self._given_time(LENGTH)
        offsets = self._candidates(known.OFFSET)
        lengths = [] if length else self._candidates(known.LENGTH)
        # "offset" is a start beside a length (Kaleidoscope), a stop beside an onset (crowsetta)
        if offsets and START not in self.given and STOP not in self.given:
            if start is None and stop is None and lengths:
                start = self._use(offsets[0])
            elif start is not None and stop is None:
                onset = known.key_and_unit(start.column)[0].startswith("onset")
                if lengths and not onset:
                    columns = [start.column, offsets[0].column, lengths[0].column]
                    raise UsageError(
                        f"{self.where}: {columns}: is {offsets[0].column!r} a stop? say --column "
                        f"{STOP}={offsets[0].column} or --column {LENGTH}={lengths[0].column}"
                    )
                stop = self._use(offsets[0])
        if start is not None and stop is None and length is None and lengths:
            length = self._use(lengths[0])
        file_offset = None
        if start is not None and stop is not None and START not in self.given:
            file_offset = self._one_time(known.FILE_OFFSET, "the offset in the file")
        return start, stop, None if stop else length, file_offset

    def _given_time(self, ours: str) -> TimeColumn | None:
        if ours not in self.given:
            return None
        theirs = self.given[ours]
        unit = known.key_and_unit(theirs)[1]
        return TimeColumn(theirs, None if unit in SAMPLES else UNITS.get(unit or "s", 1.0))

    def _candidates(self, keys: Collection[str]) -> list[TimeColumn]:
        """Free columns with one of the keys, those first whose header says seconds."""
        found = _ranked(self.free, keys)
        best = min((order for order, _ in found), default=0)
        return [timed for order, timed in found if order == best]

    def _one_time(self, keys: Collection[str], ours: str) -> TimeColumn | None:
        found = self._candidates(keys)
        exact = [timed for timed in found if known.is_called(timed.column, ours)]
        found = exact or found
        if len(found) > 1:
            raise self._which([timed.column for timed in found], ours)
        return self._use(found[0]) if found else None

    def _use(self, timed: TimeColumn) -> TimeColumn:
        self.free.remove(timed.column)
        return timed

    def labels(self) -> tuple[tuple[str, ...], bool]:
        if LABELS in self.given:
            return (self.given[LABELS],), False
        for tier in known.LABELS:
            found = [name for name in self.free if known.column_key(name) in tier]
            # a column that nobody filled says nothing: Raven has one, whether used or not
            filled = [name for name in found if not all(map(is_missing, self.cells(name)))]
            if len(filled) > 1:  # crowsetta counts its annotations beside their labels
                filled = [name for name in filled if not self._counts_annotations(name)]
            if len(filled) > 1:
                raise self._which(filled, LABELS)
            if filled:
                self.free.remove(filled[0])
                return (filled[0],), False
        empty = [
            name for tier in known.LABELS for name in self.free if known.column_key(name) in tier
        ]
        if empty:
            self.free.remove(empty[0])
        return tuple(empty[:1]), False

    def _counts_annotations(self, name: str) -> bool:
        return known.column_key(name) == "annotation" and known.is_number(self.cells(name))

    def one_hot(self) -> tuple[tuple[str, ...], bool]:
        """Columns of 0 and 1, a class each, in a table without a column of labels."""
        # a class a column, as OpenSoundscape writes it
        flags = [name for name in self.free if known.is_binary(name, self.cells(name))]
        gaps = [name for name in self.free if known.is_nearly_binary(name, self.cells(name))]
        if gaps:
            raise UsageError(
                f"{self.where}: columns {shown([*flags, *gaps])} hold 0 and 1 and may be a class "
                f"each, but cells of {gaps[0]!r} are empty; write 0 or 1, or name the label: "
                "--column labels=COLUMN"
            )
        rest = [name for name in self.free if name not in flags and not known.is_metadata(name)]
        if not flags or (len(flags) == 1 and rest):
            return (), False
        odd = next((name for name in rest if known.is_number(self.cells(name))), None)
        if odd is not None:
            raise UsageError(
                f"{self.where}: columns {shown(flags)} hold 0 and 1 and may be a class each, but "
                f"{odd!r} holds other numbers; remove it, or name the label: --column "
                f"labels=COLUMN"
            )
        self.free = [name for name in self.free if name not in flags]
        return tuple(flags), True

    def check_times(self, start: TimeColumn | None, stop: TimeColumn | None) -> None:
        """Refuse a table that has a column that may hold times and was not read."""
        if start is not None and stop is not None:
            return
        if start is None and stop is not None and STOP not in self.given:
            raise UsageError(
                f"{self.where}: {stop.column!r} says where a label stops; where does it start? "
                f"name the column: --column start_s=COLUMN; columns: {self.free}"
            )
        odd = [n for n in self.free if known.looks_like_time(n, self.cells(n))]
        if odd:
            ours = START if start is None else STOP
            raise UsageError(
                f"{self.where}: {shown(odd)} may hold times and would not be read; say which is "
                f"which: --column {ours}={odd[0]} (units stand in the name: _s, _ms, _min, "
                "_samples), or remove the column"
            )

    def check_labels(self, *, spans: bool) -> None:
        """Refuse a table without labels that has a column that may hold some and was not read.

        In a table of spans that may also be numbers: scores or counts of each class.
        """
        odd = [
            name
            for name in self.free
            if known.looks_like_label(name, self.cells(name))
            or (spans and not known.is_metadata(name) and known.is_number(self.cells(name)))
        ]
        if odd:
            raise UsageError(
                f"{self.where}: no column is known to hold labels, and {shown(odd)} may; say "
                f"which: --column labels={odd[0]}, or if the clips have none, --value labels= (of "
                "data import)"
            )

    def _which(self, found: Sequence[str], ours: str) -> UsageError:
        example = f"--column {ours}={found[0]}" if ours in {PATH, LABELS, START, STOP} else "rename"
        return UsageError(f"{self.where}: which of {list(found)} is {ours!r}? name it: {example}")


def _ranked(names: Iterable[str], keys: Collection[str]) -> list[tuple[int, TimeColumn]]:
    """Columns with one of the keys and a unit that is known; lower ranks are preferred."""
    found = []
    for name in names:
        key, unit = known.key_and_unit(name)
        if key in keys and (unit is None or unit in UNITS or unit in SAMPLES):
            rank = 0 if UNITS.get(unit or "") == 1.0 else 1 if unit in UNITS else 2
            timed = TimeColumn(name, None if unit in SAMPLES else UNITS[unit or "s"])
            found.append((3 if unit in SAMPLES else rank, timed))
    return found


def first_length(names: Iterable[str]) -> TimeColumn | None:
    """The column that says how long something is, if there is one."""
    return next((timed for _, timed in sorted(_ranked(names, known.LENGTH), key=_rank)), None)


def _rank(item: tuple[int, TimeColumn]) -> int:
    return item[0]


def shown(names: Sequence[str]) -> str:
    """Some names, and how many more."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
