"""From a plan's options to what there is to compute: kinds of features, and cells of scores.

A cell is what is computed at once and finished as a whole: a probe on one kind of features, or the
distances (retrieval and clustering) of one kind of features.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, cast

from dawnchorus.benchmark.vector_table import VectorTable
from dawnchorus.configs.probes import TOKEN_PROBES
from dawnchorus.configs.readout import OUTPUT, OWN, Readout
from dawnchorus.errors import UsageError
from dawnchorus.models.encoder import facts_of

if TYPE_CHECKING:
    from dawnchorus.benchmark.competitors import Competitor
    from dawnchorus.benchmark.tasks.base import Task
    from dawnchorus.configs.benchmark import BenchmarkConfig
    from dawnchorus.configs.readout import Pooling, ReadoutPart

EACH, STACK, GRID = "each", "stack", "grid"
DISTANCES: Final = ""  # in the place of a probe: retrieval and clustering


@dataclass(frozen=True, slots=True, order=True)
class FeatureSpec:
    """What is taken of an encoder's output as a clip's features, as results name it.

    Attributes:
        readout: layers joined by commas, as `Readout` spells them; with ``stack:`` before them the
            layers lie side by side and are not joined; ``table`` for vectors from elsewhere.
        pooling: of layers that name none; ``grid8`` for tokens, averaged over 8 time steps of each
            row of patches, which is all that a probe on tokens sees of a clip.
    """

    readout: str
    pooling: str

    @property
    def grid_steps(self) -> int | None:
        """Time steps of features that are tokens; None for vectors."""
        steps = self.pooling.removeprefix(GRID)
        return int(steps) if steps != self.pooling else None

    @property
    def stacked(self) -> bool:
        """Whether layers lie side by side, ``(items, layers, dim)``."""
        return self.readout.startswith(STACK)

    @property
    def layers_and_pooling(self) -> Readout:
        """The readout that the two texts name; a grid needs no pooling."""
        pooling = None if self.grid_steps else cast("Pooling", self.pooling)
        return Readout.parse(self.readout.removeprefix(f"{STACK}:"), pooling)

    @property
    def text(self) -> str:
        """One spelling of what it is, for keys: the same vectors have the same."""
        if self.grid_steps or self.stacked:
            return f"{self.readout} {self.pooling}"
        return str(self.layers_and_pooling)


TABLE_FEATURES: Final = FeatureSpec("table", "given")


@dataclass(frozen=True, slots=True)
class Cell:
    """Scores that are computed and kept together.

    Attributes:
        probe: kind, or "" for retrieval and clustering.
        n_labels: clips a class that the probe is fitted on; None: all.
    """

    features: FeatureSpec
    probe: str
    n_labels: int | None = None


def cells_of(config: BenchmarkConfig, competitor: Competitor, task: Task) -> list[Cell]:
    """All that a plan asks of one competitor on one task, in order.

    Raises:
        UsageError: The model has no such layer, or a probe does not go with a readout.
    """
    probes = config.default_probes if config.probes is None else config.probes
    measures = task.measures_under(config.protocol)
    # layers side by side have no single vector to measure distances between
    vectors = [spec for spec in feature_specs(config, competitor) if not spec.stacked]
    cells = [Cell(spec, DISTANCES) for spec in vectors if measures.retrieval or measures.clustering]
    if measures.probe is None:
        return cells
    for probe in probes:
        for spec in _specs_for(probe, config, competitor):
            cells += [Cell(spec, probe, n) for n in (None, *config.n_labels)]
    return cells


def _specs_for(probe: str, config: BenchmarkConfig, competitor: Competitor) -> list[FeatureSpec]:
    specs = feature_specs(config, competitor)
    if probe not in TOKEN_PROBES:
        return specs
    if isinstance(competitor.source, VectorTable):
        return []  # a table has no tokens
    # readouts that differ in pooling or weight alone have the same tokens
    grids = (_tokens_of(spec, config.grid_steps) for spec in specs if not spec.stacked)
    return list(dict.fromkeys(grids))


def _tokens_of(spec: FeatureSpec, steps: int) -> FeatureSpec:
    """The same layers without pooling and weight, as a grid of tokens."""
    layers = dict.fromkeys(str(part.layer) for part in spec.layers_and_pooling.parts)
    return FeatureSpec(",".join(layers), f"{GRID}{steps}")


def feature_specs(config: BenchmarkConfig, competitor: Competitor) -> list[FeatureSpec]:
    """Every readout by every pooling; ``own``, ``each`` and ``stack`` are replaced by layers."""
    if isinstance(competitor.source, VectorTable):
        return [TABLE_FEATURES]
    specs = [
        FeatureSpec(readout, pooling)
        for named in config.readouts
        for readout in _readouts(named, config, competitor)
        for pooling in (_pooling(how, config, competitor) for how in config.poolings)
    ]
    return list(dict.fromkeys(specs))


def _readouts(named: str, config: BenchmarkConfig, competitor: Competitor) -> list[str]:
    n_layers = 0 if isinstance(competitor.source, VectorTable) else competitor.source.n_layers
    named = named or (OWN if config.protocol == "strict" else OUTPUT)
    if named == EACH:
        return [str(i) for i in range(n_layers)] or [OUTPUT]
    if named == STACK:
        return [f"{STACK}:{','.join(map(str, range(n_layers)))}"] if n_layers else []
    readout = _plain(competitor.readout) if named == OWN else Readout.parse(named)
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


def _pooling(named: str, config: BenchmarkConfig, competitor: Competitor) -> str:
    if named:
        return str(competitor.readout.parts[0].pooling) if named == OWN else named
    # the published table takes EAT's CLS token and the time average of all other encoders
    source = competitor.source
    reads_cls = not isinstance(source, VectorTable) and facts_of(source).paper_reads_cls
    return "cls" if config.protocol == "paper" and reads_cls else "valid"
