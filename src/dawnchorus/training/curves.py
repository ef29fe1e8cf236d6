"""A picture of a run's curves, drawn from its log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

NOT_CURVES: Final = frozenset({"step", "left_s", "memory_mb"})
SMOOTHED_OVER: Final = 25  # points of the log
COLUMNS: Final = 3


def curves_of(records: Sequence[Mapping[str, Any]]) -> dict[str, tuple[list[int], list[float]]]:
    """Steps and values of everything that a log follows, by name."""
    curves: dict[str, tuple[list[int], list[float]]] = {}
    for record in records:
        if "event" in record:
            continue
        for name, value in record.items():
            if name not in NOT_CURVES and isinstance(value, int | float):
                steps, values = curves.setdefault(name, ([], []))
                steps.append(record["step"])
                values.append(value)
    return curves


def draw_curves(records: Sequence[Mapping[str, Any]], path: Path) -> str | None:
    """Draw every curve of a log into one PNG.

    Returns:
        None, or why there is no picture.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415  an extra
        from matplotlib.figure import Figure  # noqa: PLC0415  an extra
    except ImportError:
        return "no curves.png: matplotlib is not installed; pip install 'dawnchorus[plot]'"
    curves = curves_of(records)
    if not curves:
        return None
    n_rows = -(-len(curves) // COLUMNS)
    # without pyplot, which would keep every figure of a long run
    figure = Figure(figsize=(4.2 * COLUMNS, 2.6 * n_rows))
    FigureCanvasAgg(figure)
    for number, (name, (steps, values)) in enumerate(curves.items()):
        _draw(figure.add_subplot(n_rows, COLUMNS, number + 1), name, steps, values)
    inches = figure.get_figheight()
    figure.subplots_adjust(0.06, 0.5 / inches, 0.985, 1 - 0.35 / inches, 0.22, 0.5)
    # renamed when whole: somebody may look at the picture while the run draws it again
    beside = path.with_name(f".{path.name}")
    figure.savefig(beside, format="png", dpi=100)
    beside.replace(path)
    return None


def _draw(axes: Any, name: str, steps: Sequence[int], values: Sequence[float]) -> None:
    is_score = name.startswith("val_")
    axes.set_title(name, fontsize=10, loc="left")
    axes.tick_params(labelsize=8)
    axes.grid(alpha=0.25)
    axes.set_xlabel("step", fontsize=8)
    if is_score or len(values) < SMOOTHED_OVER or name == "lr":
        axes.plot(steps, values, color="tab:blue", marker="o" if is_score else "", markersize=3)
        return
    axes.plot(steps, values, color="tab:blue", alpha=0.3, linewidth=0.8)
    axes.plot(steps, _smooth(values), color="tab:blue", linewidth=1.6)


def _smooth(values: Sequence[float]) -> list[float]:
    """Mean over the points around each one, fewer at the ends."""
    half = SMOOTHED_OVER // 2
    pieces = [values[max(0, i - half) : i + half + 1] for i in range(len(values))]
    return [sum(piece) / len(piece) for piece in pieces]
