"""From a plan's options to what is to be computed: readings of an encoder, and groups of scores.

A reading is one way to turn an encoder's output for a clip into numbers. A group is what is
computed at once and is finished as a whole: a probe on a reading, or the distances of a reading.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, cast

from dawnchorus.benchmark.external import Table
from dawnchorus.configs.probes import TOKEN_PROBES
from dawnchorus.configs.readout import OUTPUT, OWN, Readout
from dawnchorus.errors import UsageError
from dawnchorus.models.eat import EAT

if TYPE_CHECKING:
    from dawnchorus.benchmark.encoders import Entrant
    from dawnchorus.benchmark.tasks.base import Task
    from dawnchorus.configs.benchmark import BenchmarkConfig
    from dawnchorus.configs.readout import Pooling, ReadoutPart

EACH, STACK, GRID = "each", "stack", "grid"
DISTANCES: Final = ""  # in the place of a probe: retrieval and clustering


@dataclass(frozen=True, slots=True, order=True)
class Reading:
    """What is read of an encoder, as results name it.

    Attributes:
        readout: the text of a `Readout`; ``stack:`` in front: its parts side by side, not joined;
            ``table`` for vectors from elsewhere.
        pooling: of layers that name none; ``grid8``: tokens, averaged to 8 time steps of each row
            of patches, which is all that a probe on tokens sees of a clip.
    """

    readout: str
    pooling: str

    @property
    def grid_steps(self) -> int | None:
        """Time steps of a reading of tokens."""
        found = self.pooling.removeprefix(GRID)
        return int(found) if found != self.pooling else None

    @property
    def stacked(self) -> bool:
        """Whether layers lie side by side, ``(items, layers, dim)``."""
        return self.readout.startswith(STACK)

    @property
    def wanted(self) -> Readout:
        """The readout that the two texts say; a grid needs no pooling."""
        pooling = None if self.grid_steps else cast("Pooling", self.pooling)
        return Readout.parse(self.readout.removeprefix(f"{STACK}:"), pooling)


TABLE_READING: Final = Reading("table", "given")


@dataclass(frozen=True, slots=True)
class Group:
    """Scores that are computed and kept together.

    Attributes:
        probe: kind, or "" for retrieval and clustering.
        n_labels: clips a class that the probe is fitted on; None: all.
    """

    reading: Reading
    probe: str
    n_labels: int | None = None


def groups_of(config: BenchmarkConfig, entrant: Entrant, task: Task) -> list[Group]:
    """All that a plan asks of one model on one task, in order.

    Raises:
        UsageError: The model has no such layer, or a probe does not go with a read-out.
    """
    probes = config.default_probes if config.probes is None else config.probes
    asked = task.measures_under(config.protocol)
    flat = [one for one in readings(config, entrant) if not one.stacked]
    groups = [Group(one, DISTANCES) for one in flat if asked.retrieval or asked.clustering]
    if asked.probe is None:
        return groups
    for probe in probes:
        for reading in _readings_for(probe, config, entrant):
            groups += [Group(reading, probe, n) for n in (None, *config.n_labels)]
    return groups


def _readings_for(probe: str, config: BenchmarkConfig, entrant: Entrant) -> list[Reading]:
    found = readings(config, entrant)
    if probe not in TOKEN_PROBES:
        return found
    if isinstance(entrant.source, Table):
        return []  # a table has no tokens
    layers = (_layers_only(one, config.grid_steps) for one in found if not one.stacked)
    return list(dict.fromkeys(layers))


def _layers_only(reading: Reading, steps: int) -> Reading:
    layers = dict.fromkeys(str(part.layer) for part in reading.wanted.parts)
    return Reading(",".join(layers), f"{GRID}{steps}")


def readings(config: BenchmarkConfig, entrant: Entrant) -> list[Reading]:
    """Every read-out by every pooling, with what ``own``, ``each`` and the protocol mean for it."""
    if isinstance(entrant.source, Table):
        return [TABLE_READING]
    found = [
        Reading(readout, pooling)
        for asked in config.readouts
        for readout in _readouts(asked, config, entrant)
        for pooling in (_pooling(one, config, entrant) for one in config.poolings)
    ]
    return list(dict.fromkeys(found))


def _readouts(asked: str, config: BenchmarkConfig, entrant: Entrant) -> list[str]:
    n_layers = 0 if isinstance(entrant.source, Table) else entrant.source.n_layers
    if not asked:
        asked = OWN if config.protocol == "strict" else OUTPUT
    if asked == EACH:
        return [str(i) for i in range(n_layers)] or [OUTPUT]
    if asked == STACK:
        return [f"{STACK}:{','.join(map(str, range(n_layers)))}"] if n_layers else []
    readout = _plain(entrant.readout) if asked == OWN else Readout.parse(asked)
    return [str(Readout(tuple(_from_the_start(part, n_layers) for part in readout.parts)))]


def _plain(own: Readout) -> Readout:
    """A model's own readout, in which its usual pooling is left to that of the plan."""
    usual = own.parts[0].pooling
    parts = (replace(p, pooling=None) if p.pooling == usual else p for p in own.parts)
    return Readout(tuple(parts))


def _from_the_start(part: ReadoutPart, n_layers: int) -> ReadoutPart:
    """Block indices counted from 0, so that one layer has one name in the results.

    Raises:
        UsageError: There is no such block.
    """
    if isinstance(part.layer, str):
        return part
    if not -n_layers <= part.layer < n_layers:
        raise UsageError(
            f"readout {str(part)!r}: no such layer; need {-n_layers} to {n_layers - 1}, or {OUTPUT}"
        )
    return replace(part, layer=part.layer % n_layers)


def _pooling(asked: str, config: BenchmarkConfig, entrant: Entrant) -> str:
    if asked == OWN:
        return str(entrant.readout.parts[0].pooling)
    if asked:
        return asked
    # the published table reads EAT's CLS token and the time average of all other encoders
    paper = config.protocol == "paper" and isinstance(entrant.source, EAT)
    return "cls" if paper else "valid"
