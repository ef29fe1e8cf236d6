"""The picture of a density shows all of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import matplotlib.figure
import pytest

from dawnchorus.errors import UsageError
from dawnchorus.labelling.density import Density
from dawnchorus.labelling.density_files import _title, plot_density
from dawnchorus.labelling.run_density import DensityReport, DensityRow


def report(*rows: tuple[str, str, float]) -> DensityReport:
    found = [
        DensityRow("wren", site, "", hour, Density(100, 10, at, at / 2, at * 1.1, "own"))
        for site, hour, at in [("", "", 0.2), *rows]
    ]
    return DensityReport(tuple(found), (), (), "a probe", 0, 0)


def test_every_panel_is_high_enough_for_the_highest_interval(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    figures = []
    saved = matplotlib.figure.Figure.savefig

    def kept(self: matplotlib.figure.Figure, *args: object, **more: object) -> None:
        figures.append(self)
        saved(self, *args, **more)

    monkeypatch.setattr(matplotlib.figure.Figure, "savefig", kept)
    rows = [("north", "04", 0.02), ("north", "05", 0.01), ("south", "04", 0.6)]
    plot_density(report(*rows), tmp_path / "d.png")
    north, south = figures[0].axes
    assert north.get_ylim() == south.get_ylim()
    assert north.get_ylim()[0] == 0
    assert 66 < north.get_ylim()[1] < 75
    assert [axes.get_title(loc="left") for axes in (north, south)] == ["wren north", "wren south"]


def test_the_title_names_the_level_of_the_intervals() -> None:
    whole = report()
    assert _title((), whole.level) == "Share of windows with the call, 90% interval"
    assert "97.5% interval" in _title(whole.rows, replace(whole, level=0.975).level)


def test_strata_of_two_kinds_are_no_picture(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="need one --by"):
        plot_density(report(("north", "", 0.1), ("north", "04", 0.1)), tmp_path / "d.png")
