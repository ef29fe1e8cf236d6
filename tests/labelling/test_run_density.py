"""From a store to windows to judge, to verdicts, to a density that holds the planted truth."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from dawnchorus.annotations.annotation_table import (
    AnnotationRow,
    AnnotationTable,
    annotations_beside,
    changed,
    new_row,
)
from dawnchorus.cli.app import main
from dawnchorus.errors import DawnChorusWarning, StoreError, UsageError
from dawnchorus.labelling.density_plan import DensityPlan, new_plan_path, read_plans, write_plan
from dawnchorus.labelling.draw_judgements import draw_judgements
from dawnchorus.labelling.run_density import DensityReport, call_density
from dawnchorus.store.buffer import WindowRows
from dawnchorus.store.read import Store
from dawnchorus.store.write import StoreWriter
from store_samples import DIM, HEADER, row

SITES = ("north", "south")
QUERY = np.eye(DIM)[0]
N_RECORDINGS, N_WINDOWS = 24, 40


def name_of(recording: int) -> str:
    return f"{SITES[recording % 2]}/{recording:02d}.wav"


def plant(path: Path, recordings: range = range(N_RECORDINGS)) -> dict[tuple[str, int], bool]:
    """A store whose vectors point along the first axis where the call is; more of it in the south.

    The first number of a vector that is added to all others is what tells the call.
    """
    truth = {}
    with StoreWriter(path, HEADER) as writer:
        for recording in recordings:
            name, rng = name_of(recording), np.random.default_rng(recording)
            share = rng.beta(1, 9) if recording % 2 == 0 else rng.beta(4, 6)
            present = rng.random(N_WINDOWS) < share
            vectors = rng.normal(size=(N_WINDOWS, DIM)).astype(np.float32)
            vectors[:, 0] += 3 * present
            site = {
                "carried": (("site", SITES[recording % 2]),),
                "recorded_at": f"2026-05-0{1 + recording // 8}T0{4 + recording % 3}:00:00+02:00",
            }
            rows = WindowRows(
                window=np.arange(N_WINDOWS), start_sample=np.arange(N_WINDOWS) * 100,
                valid_samples=np.full(N_WINDOWS, 100), flags=np.zeros(N_WINDOWS, np.int64),
                vectors=vectors, scores=None,
            )  # fmt: skip
            writer.add(row(name, **site), rows)
            writer.finish(row(name, N_WINDOWS, "done", **site))
            truth |= {(name, n): bool(yes) for n, yes in enumerate(present)}
    return truth


def judge(store: Path, rows: list[AnnotationRow], truth: dict[tuple[str, int], bool]) -> None:
    """What an honest person says of suggestions."""
    table = AnnotationTable(annotations_beside(store))
    table.append(
        [changed(r, state="present" if truth[r.path, round(r.start_s)] else "absent") for r in rows]
    )


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "wood.store"


@pytest.fixture
def truth(store: Path) -> dict[tuple[str, int], bool]:
    return plant(store)


def density(store: Path, **more: object) -> DensityReport:
    return call_density(store, "wren", query=QUERY, **more)  # type: ignore[arg-type]


def test_windows_are_drawn_judged_and_counted(
    store: Path, truth: dict[tuple[str, int], bool]
) -> None:
    rows = draw_judgements(store, "wren", 150, query=QUERY)
    assert len(rows) == 150
    assert {(r.state, r.source, r.purpose, r.label) for r in rows} == {
        (None, "suggested", "estimate", "wren")
    }
    judge(store, rows, truth)
    report = density(store, by=[("site",), ("site", "hour")])
    whole = report.rows[0].density
    assert whole.low <= np.mean(list(truth.values())) <= whole.high
    assert (whole.n_windows, whole.n_judged) == (960, 150)
    assert (report.n_waiting, report.n_unsure) == (0, 0)
    by_site = {r.site: r.density for r in report.rows[1:3]}
    for site, found in by_site.items():
        share = np.mean([yes for (path, _), yes in truth.items() if path.startswith(site)])
        assert found.low <= share <= found.high
    assert by_site["north"].density < by_site["south"].density
    hours = [(r.site, r.local_hour) for r in report.rows[3:]]
    assert hours == [(site, hour) for site in SITES for hour in ("04", "05", "06")]
    assert sum(r.density.n_windows for r in report.rows[3:]) == 960
    # high scores are judged more often, so of the judged ones far more hold the call
    assert sum(b[1] for b in report.bins) == 960
    assert report.points[0].precision > 0.7


def test_labels_that_were_chosen_to_learn_never_enter(
    store: Path, truth: dict[tuple[str, int], bool]
) -> None:
    judge(store, draw_judgements(store, "wren", 80, query=QUERY), truth)
    before = density(store)
    table = AnnotationTable(annotations_beside(store))
    table.append(
        [new_row(p, float(n), n + 1.0, "wren", purpose="train") for p, n in list(truth)[:300]]
    )
    assert density(store) == before


def test_only_labels_to_learn_from_give_no_density(
    store: Path, truth: dict[tuple[str, int], bool]
) -> None:
    table = AnnotationTable(annotations_beside(store), create=True)
    table.append(
        [new_row(p, float(n), n + 1.0, "wren", purpose="train") for p, n in list(truth)[:50]]
    )
    with pytest.raises(UsageError, match="no window is judged for an estimate of 'wren'"):
        density(store)


def test_a_window_that_was_labelled_to_learn_is_asked_again_and_keeps_its_label(
    store: Path, truth: dict[tuple[str, int], bool]
) -> None:
    table = AnnotationTable(annotations_beside(store), create=True)
    table.append([new_row(p, float(n), n + 1.0, "wren", purpose="train") for p, n in truth])
    rows = draw_judgements(store, "wren", 60, query=QUERY)
    assert len({r.id for r in rows} - {r.id for r in table.rows(purpose="train")}) == 60
    assert len(table.rows(purpose="train", state="present")) == 960
    judge(store, rows, truth)
    assert density(store).rows[0].density.n_judged == 60


def test_other_scores_are_refused_until_windows_are_drawn_by_them(
    store: Path, truth: dict[tuple[str, int], bool]
) -> None:
    judge(store, draw_judgements(store, "wren", 60, query=QUERY), truth)
    other = np.ones(DIM)
    with pytest.raises(UsageError, match="were drawn by other scores"):
        call_density(store, "wren", query=other)
    rows = draw_judgements(store, "wren", 40, query=other)
    judge(store, rows, truth)
    assert call_density(store, "wren", query=other).rows[0].density.n_judged == 40
    assert density(store).rows[0].density.n_judged == 60
    names = [path.name for path in read_plans(annotations_beside(store), "wren")]
    assert names == ["density-wren.json", "density-wren-2.json"]


def test_more_windows_join_those_of_before(store: Path, truth: dict[tuple[str, int], bool]) -> None:
    first = draw_judgements(store, "wren", 50, query=QUERY)
    second = draw_judgements(store, "wren", 50, query=QUERY)
    places = {(r.path, r.start_s) for r in [*first, *second]}
    assert len(places) == 100
    judge(store, first, truth)
    report = density(store)
    assert (report.rows[0].density.n_judged, report.n_waiting) == (50, 50)


def test_a_verdict_counts_though_its_edges_were_moved_and_doubts_are_left_out(
    store: Path, truth: dict[tuple[str, int], bool]
) -> None:
    rows = draw_judgements(store, "wren", 60, query=QUERY)
    moved, unsure, fought, *others = rows
    judge(store, others, truth)
    table = AnnotationTable(annotations_beside(store))
    table.append(
        [
            changed(moved, state="present", start_s=moved.start_s + 0.4),
            changed(unsure, state="unsure"),
            changed(fought, state="present", author="ann"),
            changed(fought, state="absent", author="bob"),
        ]
    )
    report = density(store)
    assert report.rows[0].density.n_judged == 58
    assert report.n_unsure == 2


def test_windows_that_anybody_drew_at_random_count_without_a_plan(
    store: Path, truth: dict[tuple[str, int], bool]
) -> None:
    rng = np.random.default_rng(0)
    chosen = [list(truth)[at] for at in rng.choice(960, 120, replace=False)]
    table = AnnotationTable(annotations_beside(store), create=True)
    table.append(
        [
            new_row(p, float(n), n + 1.0, "wren", purpose="estimate",
                    state="present" if truth[p, n] else "absent")
            for p, n in chosen
        ]
    )  # fmt: skip
    found = density(store).rows[0].density
    assert found.n_judged == 120
    assert found.low <= np.mean(list(truth.values())) <= found.high


def test_recordings_that_came_later_are_said(
    store: Path, truth: dict[tuple[str, int], bool]
) -> None:
    judge(store, draw_judgements(store, "wren", 60, query=QUERY), truth)
    # the query's scores depend on the mean, so the new recordings must leave it nearly as it is
    plan_path, plan = next(iter(read_plans(annotations_beside(store), "wren").items()))
    write_plan(plan_path, plan.model_copy(update={"n_windows": 900}))
    with pytest.warns(DawnChorusWarning, match="60 windows came into the store after"):
        density(store)


def test_a_draw_that_was_killed_is_made_good(
    store: Path, truth: dict[tuple[str, int], bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    del truth

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(AnnotationTable, "append", killed)
        with pytest.raises(KeyboardInterrupt):
            draw_judgements(store, "wren", 30, query=QUERY)
    assert AnnotationTable(annotations_beside(store)).rows() == []
    rows = draw_judgements(store, "wren", 10, query=QUERY)
    assert len(rows) == 40
    (plan,) = read_plans(annotations_beside(store), "wren").values()
    assert {r.id for r in rows} == {d.id for d in plan.drawn}


def test_every_window_drawn_is_said(store: Path, truth: dict[tuple[str, int], bool]) -> None:
    draw_judgements(store, "wren", 5000, query=QUERY)
    with pytest.raises(UsageError, match="every window was drawn for 'wren' already"):
        draw_judgements(store, "wren", 1, query=QUERY)
    assert len(truth) == 960


def test_one_seed_draws_the_same_windows(tmp_path: Path) -> None:
    drawn = []
    for name in ("a.store", "b.store"):
        plant(tmp_path / name)
        rows = draw_judgements(tmp_path / name, "wren", 30, query=QUERY, seed=4)
        drawn.append([(r.path, r.start_s, r.id) for r in rows])
    assert drawn[0] == drawn[1]


@pytest.mark.parametrize("by", [("sight",), ("site", "site"), ()])
def test_strata_that_do_not_exist_are_refused(
    store: Path, truth: dict[tuple[str, int], bool], by: tuple[str, ...]
) -> None:
    del truth
    with pytest.raises(UsageError, match="need some of site, date, hour"):
        density(store, by=[by])


def test_a_damaged_plan_is_named(store: Path, truth: dict[tuple[str, int], bool]) -> None:
    rows = draw_judgements(store, "wren", 30, query=QUERY)
    judge(store, rows, truth)
    path = next(iter(read_plans(annotations_beside(store), "wren")))
    path.write_text('{"label": "wren"}')
    with pytest.raises(StoreError, match=r"density-wren\.json: this plan of a density cannot be"):
        density(store)


def test_labels_of_any_name_have_plans(tmp_path: Path) -> None:
    plan = DensityPlan(
        label="Täterä / ?", scored_by="x", edges=(0.5,), n_windows=3, seed=0, drawn=()
    )
    path = new_plan_path(tmp_path, plan.label)
    write_plan(path, plan)
    assert path.name == "density-T_ter.json"
    assert read_plans(tmp_path, plan.label) == {path: plan}
    assert read_plans(tmp_path, "other") == {}
    assert new_plan_path(tmp_path, "täter?").name == "density-t_ter.json"


@pytest.fixture
def scored(tmp_path: Path) -> Path:
    """A store with scores of its own, judged."""
    labelled = HEADER.model_copy(update={"labels": ("wren", "robin")})
    path, rng = tmp_path / "own.store", np.random.default_rng(0)
    truth = {}
    with StoreWriter(path, labelled) as writer:
        for recording in range(12):
            name = f"{recording}.wav"
            present = rng.random(30) < 0.3
            scores = np.clip(0.3 + 0.4 * present + rng.normal(0, 0.1, 30), 0, 1)
            rows = WindowRows(
                window=np.arange(30), start_sample=np.arange(30) * 100,
                valid_samples=np.full(30, 100), flags=np.zeros(30, np.int64),
                vectors=rng.normal(size=(30, DIM)).astype(np.float32),
                scores=np.stack([scores, 1 - scores], axis=1),
            )  # fmt: skip
            site = {"carried": (("site", SITES[recording % 2]),)}
            writer.add(row(name, **site), rows)
            writer.finish(row(name, 30, "done", **site))
            truth |= {(name, n): bool(yes) for n, yes in enumerate(present)}
    assert main(["label", "density", str(path), "--label", "wren", "--judge", "90"]) == 0
    judge(path, AnnotationTable(annotations_beside(path)).rows(), truth)
    assert len(Store(path).recordings()) == 12
    return path


def test_the_command_writes_table_picture_and_precision(
    scored: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    call = ["label", "density", str(scored), "--label", "wren", "--by", "site"]
    more = ["-o", str(tmp_path / "d.csv"), "--picture", str(tmp_path / "d.png"), "--thresholds"]
    assert main([*call, *more]) == 0
    out = capsys.readouterr().out
    assert "precision" in out
    lines = (tmp_path / "d.csv").read_text().splitlines()
    assert lines[0] == (
        "label,site,date,local_hour,n_windows,n_judged,density,low,high,method,note"
    )
    whole = lines[1].split(",")
    assert whole[:6] == ["wren", "", "", "", "360", "90"]
    assert float(whole[7]) <= float(whole[6]) <= float(whole[8])
    assert [line.split(",")[1] for line in lines[2:]] == ["north", "south"]
    assert (tmp_path / "d.png").read_bytes().startswith(b"\x89PNG")


def test_the_command_prints_json(scored: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["label", "density", str(scored), "--label", "wren", "--json", "-q"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["densities"][0]["n_judged"] == 90
    assert facts["scored_by"] == "the store's own scores"
    assert sum(n for _, n, *_ in facts["bins"]) == 360


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ([], "name it: --label wren"),
        (["--label", "owl"], "the store has no label 'owl'"),
        (["--label", "robin"], "no window is judged for an estimate of 'robin'"),
        (["--label", "wren", "--by", "hour"], "no recording of this store has a time"),
        (["--label", "wren", "--judge", "0"], "at least 1, got 0"),
    ],
)
def test_the_command_says_what_is_missing(
    scored: Path, capsys: pytest.CaptureFixture[str], more: list[str], message: str
) -> None:
    capsys.readouterr()
    assert main(["label", "density", str(scored), *more]) == 2
    assert message in capsys.readouterr().err


def test_a_label_in_other_letters_is_the_one_that_has_the_scores(scored: Path) -> None:
    report = call_density(scored, "WREN")
    assert report.rows[0].label == "wren"
    assert report.rows[0].density == call_density(scored, "wren").rows[0].density
    more = draw_judgements(scored, "Wren", 5)
    assert {row.label for row in more} == {"wren"}


def test_what_was_drawn_under_another_spelling_is_still_counted(scored: Path) -> None:
    # as drawn before spellings were made one
    folder = annotations_beside(scored)
    for path, plan in read_plans(folder, "wren").items():
        write_plan(path, plan.model_copy(update={"label": "Wren"}))
    rows = [new_row(row.path, row.start_s, row.end_s, "Wren", id=row.id, state=row.state,
                    purpose=row.purpose, author="cat")
            for row in AnnotationTable(folder).rows()]  # fmt: skip
    AnnotationTable(folder).append(rows)
    assert call_density(scored, "Wren").rows[0].density.n_judged == 90
