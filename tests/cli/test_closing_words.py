"""What commands say at the end: counts that add up, the first of many troubles, a model's facts."""

from __future__ import annotations

import json
import platform
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from conftest import LABELS, TINY
from dawnchorus import __version__
from dawnchorus.cli import describe, findings, runs
from dawnchorus.cli.app import main
from dawnchorus.cli.output import table_lines
from dawnchorus.engine.detections.label_counts import LabelCount
from dawnchorus.engine.dry_run import DryRun
from dawnchorus.engine.report import PredictReport, RunReport
from dawnchorus.errors import UsageError
from dawnchorus.failures import Failure
from dawnchorus.labels import write_label_map
from dawnchorus.models.card import Card, Fingerprint, HubLocation
from dawnchorus.models.fingerprint import fingerprint, fixed_signal
from dawnchorus.models.label_facts import Evidence, LabelFacts, ScoreCalibration
from dawnchorus.models.load import load_model
from program_inputs import Inputs

Capture = pytest.CaptureFixture[str]
BAD = Failure("d/b.wav", "truncated", "d/b.wav: ends after 3 of 10 s")
DONE: dict[str, Any] = {
    "model": "tiny", "device": "cpu", "precision": "float32", "n_found": 9, "n_done": 4,
    "n_skipped": 3, "n_failed": 2,
    "n_windows": 60, "duration_s": 7200.0, "elapsed_s": 10.0, "n_workers": 2, "failures": (BAD,),
    "seconds": {"read": 1.0, "resample": 2.0, "frontend": 4.0, "encoder": 12.0, "write": 0.5},
    "warnings": ("a.wav is silent",), "n_corrected": 1,
}  # fmt: skip
PLANNED = DryRun(
    model="tiny", device="cpu", precision="bfloat16", n_workers=2, n_found=9, n_there=3,
    refused=(BAD,), n_remote=4,
    hours=1.5, n_windows=5400, windows_per_s=45.0, written_mb=1234.56, free_mb=2000.0,
)  # fmt: skip


# runs: the end of embed and predict


def test_a_run_ends_with_counts_speed_limit_and_what_failed(capsys: Capture) -> None:
    assert runs.close(RunReport(**DONE), as_json=False, quiet=False) == 3
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.splitlines() == [
        "warning: a.wav is silent",
        "9 recordings found = 4 done + 3 skipped (there already) + 2 failed",
        "1 of the skipped were brought up to date: start, time zone, site and other columns",
        "60 windows of 2.00 h of sound in 10.0 s: 720 times real time, tiny on cpu in float32",
        # the encoder ran in two threads, so 16 s of it are 8 s of the clock
        "busy, of that time: reading 30%, encoder 80%, writing 5%; the limit was encoder",
        "failed (truncated): d/b.wav: ends after 3 of 10 s",
    ]


def test_a_run_with_nothing_to_do_says_nothing_of_speed(capsys: Capture) -> None:
    idle = DONE | {"n_windows": 0, "duration_s": 0.0, "n_corrected": 0, "warnings": ()}
    idle |= {"n_done": 0, "n_skipped": 9, "n_failed": 0, "failures": ()}
    assert runs.close(RunReport(**idle), as_json=False, quiet=False) == 0
    assert capsys.readouterr().err.splitlines() == [
        "9 recordings found = 0 done + 9 skipped (there already) + 0 failed"
    ]
    # a model of a user may not count its time
    unmeasured = DONE | {"seconds": dict.fromkeys(DONE["seconds"], 0.0)}
    runs.close(RunReport(**unmeasured), as_json=False, quiet=False)
    assert "busy" not in capsys.readouterr().err


def test_quiet_still_names_what_failed(capsys: Capture) -> None:
    assert runs.close(RunReport(**DONE), as_json=False, quiet=True) == 3
    told = capsys.readouterr()
    assert (told.out, told.err) == ("", "failed (truncated): d/b.wav: ends after 3 of 10 s\n")


def test_a_report_in_json_has_every_field_and_one_old_name(capsys: Capture) -> None:
    counts = (LabelCount("wren", "species", 3, 2, 0.9),)
    report = PredictReport(
        **DONE, audio_root=Path("/d"), label_counts=counts, demonstration=False,
        output=Path("/o/x.csv"), table=pa.table({"a": [1]}), n_rows=3, segments=None,
        without_detection=("d/c.wav",), unknown_labels=(), empty_because=None,
    )  # fmt: skip
    assert runs.close(report, as_json=True, quiet=False) == 3
    told = capsys.readouterr()
    facts = json.loads(told.out)
    assert told.err == ""
    assert facts.pop("real_time_factor") == 720.0
    assert facts.pop("found") == facts["label_counts"]  # its old name
    assert facts["label_counts"][0] == {
        "label": "wren", "level": "species", "n_detections": 3, "n_recordings": 2, "highest": 0.9
    }  # fmt: skip
    assert set(facts) == set(PredictReport.__dataclass_fields__) - {"table"}
    assert facts["failures"] == [
        {"path": "d/b.wav", "reason": "truncated", "message": "d/b.wav: ends after 3 of 10 s"}
    ]
    assert (facts["output"], facts["audio_root"]) == ("/o/x.csv", "/d")
    assert facts["seconds"]["encoder"] == 12.0


def test_a_dry_run_says_size_time_and_room(capsys: Capture) -> None:
    assert runs.close_dry(PLANNED, as_json=False) == 3
    told = capsys.readouterr()
    assert told.out.splitlines() == [
        "9 recordings found, 3 of them in the store already, 1 damaged or refused",
        "4 behind URLs, which were not fetched: they come on top of this",
        "1.50 h of sound to read, 5400 windows",
        "about 2.0 minutes, at the 45.0 windows a second of the batches tried "
        "(tiny on cpu in bfloat16, 2 batches at once)",
        "about 1,234.6 MB to write, 2,000 MB are free there",
        "nothing was written",
    ]
    assert told.err == ("damaged or refused (truncated): d/b.wav: d/b.wav: ends after 3 of 10 s\n")


@pytest.mark.parametrize(
    ("changed", "said", "unsaid"),
    [
        (
            {"windows_per_s": None},
            "no recording could be tried, so there is no estimate",
            "minutes",
        ),
        ({"windows_per_s": 0.0}, "no recording could be tried, so there is no estimate", "minutes"),
        ({"free_mb": 1234.56}, "warning: this does not fit on that disk", "not fetched: they come"),
        ({"free_mb": None}, "about 1,234.6 MB to write\n", "free there"),
        ({"n_remote": 1}, "1 behind URLs", "warning"),
    ],
)
def test_a_dry_run_says_what_it_cannot_know(
    changed: dict[str, Any], said: str, unsaid: str, capsys: Capture
) -> None:
    assert (
        runs.close_dry(replace(PLANNED, **{"refused": (), "n_remote": 0} | changed), as_json=False)
        == 0
    )
    told = capsys.readouterr()
    assert told.err == ""
    assert said in told.out
    assert unsaid not in told.out


def test_a_dry_run_in_json_has_the_seconds_too(capsys: Capture) -> None:
    assert runs.close_dry(PLANNED, as_json=True) == 3
    told = capsys.readouterr()
    facts = json.loads(told.out)
    assert told.err == ""
    assert facts.pop("seconds") == 120.0
    assert set(facts) == set(DryRun.__dataclass_fields__)
    assert facts["refused"][0]["reason"] == "truncated"


def test_inputs_are_paths_and_then_the_list(tmp_path: Path, capsys: Capture) -> None:
    listing = tmp_path / "list.csv"
    listing.write_text("path\na.wav\n")
    assert runs.inputs(["x", "y"], listing, quiet=True) == ["x", "y", listing]
    assert capsys.readouterr().err == ""
    assert runs.inputs(None, listing) == [listing]
    assert "path" in capsys.readouterr().err  # which column is read as what
    for nothing in (None, []):
        with pytest.raises(UsageError, match="need recordings or folders"):
            runs.inputs(nothing, None)
    with pytest.raises(UsageError, match=r"--recordings list\.txt: need a \.csv file"):
        runs.inputs(["x"], Path("list.txt"))


# findings


@dataclass(frozen=True)
class Report:
    n_clips: int
    failures: tuple[Failure, ...]


@pytest.mark.parametrize("n", [0, 1, 20, 21, 500])
def test_the_first_twenty_are_said_and_the_others_counted(n: int, capsys: Capture) -> None:
    texts = [f"message {k}" for k in range(n)]
    for say, begin, end in (
        (findings.say_notes, "", "more notes (all of them: --json)"),
        (findings.say_left_out, "left out: ", "more"),
    ):
        say(texts)
        shown = [f"{begin}{text}" for text in texts[:20]]
        rest = [f"... and {n - 20} {end}"] if n > 20 else []
        told = capsys.readouterr()
        assert (told.out, told.err.splitlines()) == ("", shown + rest)


def test_a_report_calls_its_failures_bad_in_json() -> None:
    report = Report(3, (BAD,))
    told = {"path": "d/b.wav", "verdict": "truncated", "message": BAD.message}
    assert findings.failures_as_json([BAD]) == [told]
    assert findings.report_as_json(report) == {"n_clips": 3, "bad": [told]}
    # a large table is handed on, not copied
    assert findings.fields_of(report)["failures"] is report.failures


def test_columns_of_a_table_are_as_wide_as_they_need() -> None:
    lines = table_lines(["name", "n"], [["a long one", 3], ["b", "12,000"], ["", ""]])
    assert lines == ["name        n", "a long one  3", "b           12,000", ""]
    assert table_lines(["name", "n"], []) == ["name  n"]


# describe and verify


def facts_of(words: str, capsys: Capture) -> Iterator[tuple[str, str]]:
    width = 18 if words.startswith("describe") else 20
    for line in capsys.readouterr().out.splitlines():
        yield line[:width].strip(), line[width:]


@pytest.mark.parametrize(
    ("location", "sha256", "said"),
    [
        (None, None, ""),
        ({"revision": "abc123"}, None, "abc123, whatever is uploaded later"),
        ({}, None, "the newest; no sha256 is known to hold it against"),
        ({}, "0" * 64, "the newest; a file that was replaced is refused"),
    ],
)
def test_describe_says_which_state_of_a_repository_is_read(
    location: dict[str, str] | None, sha256: str | None, said: str
) -> None:
    place = {"repo": "lab/birds", "file": "model.safetensors"}
    hub = None if location is None else HubLocation(**place, **location)
    card = Card(name="x", config=TINY, hub=hub, sha256=sha256)
    told = describe.revision(card)
    assert told.startswith(said)
    assert bool(told) == (hub is not None)
    # where the card names no commit, the reader is told how to name one
    assert ("hf://lab/birds@COMMIT" in told) == (location == {})


def test_describe_says_thresholds_and_notes_and_leaves_out_what_is_empty(
    tiny_folder: Path, tmp_path: Path, capsys: Capture
) -> None:
    folder = tmp_path / "tiny"
    shutil.copytree(tiny_folder, folder)
    known = LabelFacts(
        threshold=0.25,
        thresholds={"wren": 0.5, "robin": 0.125},
        evidence={"wren": Evidence(precision=0.9, low=0.75, high=1.0, n_recordings=7)},
        shared_evidence=Evidence(precision=0.8, low=0.7, high=0.9, n_recordings=99),
        calibration=ScoreCalibration(slope=0.5, offset=-1.0, origin="of a few"),
        origin="made up",
    )
    Card(
        name="tiny", config=TINY, licence="CC0-1.0", label_facts=known, notes=("loud", "small")
    ).write(folder / "card.yaml")
    assert main(["describe", str(folder)]) == 0
    facts = list(facts_of("describe", capsys))
    told = "0.25 (80% right, 70% to 90%, 99 recordings), 2 labels have their own; made up"
    assert ("thresholds", told) in facts
    assert ("calibration", "sigmoid of 0.5 x logit -1; of a few") in facts
    assert [text for key, text in facts if key == "note"] == ["loud", "small"]
    assert ("name", "tiny") in facts
    assert ("licence", "CC0-1.0") in facts
    assert all(text for _, text in facts)
    assert not {"revision", "what", "trained on"} & {key for key, _ in facts}
    assert main(["describe", str(folder), "--list-labels"]) == 0
    rows = capsys.readouterr().out.splitlines()
    shared = "0.25,shared,0.8,0.7,0.9,99"
    columns = "threshold,threshold_is,precision,precision_low,precision_high,recordings"
    assert [row.split(",", 2)[-1] for row in rows] == [
        columns, shared, shared, "0.125,own,,,,", shared, "0.5,own,0.9,0.75,1.0,7"
    ]  # fmt: skip
    # and without a threshold of most labels nothing is promised of single ones
    Card(name="tiny", config=TINY).write(folder / "card.yaml")
    main(["describe", str(folder)])
    assert "thresholds" not in dict(facts_of("describe", capsys))


def test_describe_refuses_to_list_the_labels_of_a_model_without_any(
    tiny_folder: Path, tmp_path: Path, capsys: Capture
) -> None:
    folder = tmp_path / "tiny"
    shutil.copytree(tiny_folder, folder)
    (folder / "label_map.json").unlink()
    assert main(["describe", str(folder), "--list-labels"]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert f"dawnchorus: {folder}: there is no label map with this model" in told.err


def test_verify_says_all_that_a_report_of_a_bug_needs(tiny_folder: Path, capsys: Capture) -> None:
    assert main(["verify", str(tiny_folder)]) == 0
    facts = dict(facts_of("verify", capsys))
    model = load_model(tiny_folder, device="cpu")
    assert facts["model"] == "tiny"
    assert facts["labels"].startswith(f"{len(LABELS)}, ")
    assert facts["parameters"] == str(sum(p.numel() for p in model.parameters()))
    assert facts["tensors not needed"] == "0"
    assert facts["sha256 on card"] == "none"
    assert facts["fingerprint"].startswith("none on card; starts ")
    first = [float(text) for text in facts["fingerprint"].split()[-4:]]
    assert first == [round(v, 4) for v in fingerprint(model).values[:4]]
    assert (facts["dawnchorus"], facts["torch"]) == (__version__, torch.__version__)
    assert facts["python"] == platform.python_version()
    assert (list(facts)[-1], facts["verdict"]) == ("verdict", "right")


def _without_card(folder: Path) -> None:
    (folder / "card.yaml").unlink()


def _with_other_labels(folder: Path) -> None:
    write_label_map(folder / "label_map.json", LABELS[:3])


def _off(folder: Path) -> None:
    known = fingerprint(load_model(folder, device="cpu"))
    values = (known.values[0] + 2 * known.atol, *known.values[1:])
    Card(name="tiny", config=TINY, fingerprint=Fingerprint(values=values, atol=known.atol)).write(
        folder / "card.yaml"
    )


def test_verify_tells_right_weights_that_compute_other_values(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    # a machine that computes otherwise: weights whose bytes are known are loaded all the same
    signal = fixed_signal
    monkeypatch.setattr("dawnchorus.models.fingerprint.fixed_signal", lambda rate: 2 * signal(rate))
    assert main(["verify", "dawnchorus_eat_tiny"]) == 1
    facts = dict(facts_of("verify", capsys))
    assert facts["sha256 on card"] == "same"
    assert facts["verdict"] == (
        "WRONG: the weights are those of the card, this machine computes other values"
    )
    off = float(facts["fingerprint"].split()[2].rstrip(","))
    assert off > float(facts["fingerprint"].split()[-1])


@pytest.mark.parametrize(
    ("harm", "code", "key", "said"),
    [
        (_without_card, 1, "", "layout without their card, which says the window"),
        (_with_other_labels, 1, "verdict", "the weights are right, their labels are not"),
        (_off, 1, "", "off by 0.002 (tolerance 0.001); the weights are not the ones described"),
    ],
)
def test_verify_says_what_is_not_right(
    harm: Any, code: int, key: str, said: str, tiny_folder: Path, tmp_path: Path, capsys: Capture
) -> None:
    folder = tmp_path / "tiny"
    shutil.copytree(tiny_folder, folder)
    harm(folder)
    assert main(["verify", str(folder)]) == code
    told = capsys.readouterr()
    if key:
        facts = {line[:20].strip(): line[20:] for line in told.out.splitlines()}
        assert facts[key] == said
        assert facts["labels"].startswith("refused: the label map")
        assert "has 3 labels, the classifier 5" in facts["labels"]
    else:
        assert told.out == ""
        assert said in told.err


# benchmark report and leaks


def test_a_report_goes_beside_the_results_and_says_where(
    inputs: Inputs, tmp_path: Path, capsys: Capture
) -> None:
    results = tmp_path / "results"
    shutil.copytree(inputs["results"], results)
    # by its file; of the folder the other tests of the command make one
    assert main(["benchmark", "report", str(results / "results.csv"), "--title", "May", "-q"]) == 0
    first, second = capsys.readouterr().out.splitlines()
    page = results / "report" / "report.html"
    n_pictures = len(list((page.parent / "pictures").iterdir()))
    assert first.startswith(f"{page}: ")
    assert first.endswith(f" scores, {n_pictures} pictures (strict)")
    assert second == f"{page.with_suffix('.md')}: the same for a repository"
    assert "<title>May</title>" in page.read_text(encoding="utf-8")


def test_leaks_shows_twenty_hits_and_says_what_could_not_be_read(
    tmp_path: Path, capsys: Capture
) -> None:
    for name, split in (("test", "test"), ("train", "train")):
        rows = [
            {"id": f"{name}{k}", "path": f"{name}/XC{1000 + k}.wav", "labels": ["wren"],
             "split": split} for k in range(25)
        ]  # fmt: skip
        pq.write_table(pa.Table.from_pylist(rows), tmp_path / f"{name}.parquet")
    call = ["benchmark", "leaks", str(tmp_path / "test.parquet"), "-q", "-o", str(tmp_path / "a")]
    call += ["--against", str(tmp_path / "train.parquet")]
    assert main([*call, "--written-only"]) == 0
    told = capsys.readouterr()
    *hits, last = told.out.splitlines()
    assert len(hits) == 20
    assert hits[0] == "test0 and train0: source id, xeno-canto:1000 (1.00)"
    audit = tmp_path / "a"
    assert last == f"25 of 25 test items are known from 25 training clips; written: {audit}"
    assert pq.read_table(audit / "hits.parquet").num_rows == 25
    # with sound: no file is there, and what they hold is not known
    assert main(call) == 3
    told = capsys.readouterr()
    assert len(told.err.splitlines()) == 20
    assert "XC10" in told.err
    assert main([*call, "--json"]) == 3
    told = capsys.readouterr()
    facts = json.loads(told.out)
    assert (facts["n_test"], facts["n_known"], facts["n_unreadable"]) == (25, 25, 50)
    assert (facts["sound"], told.err) == (True, "")


def test_leaks_takes_the_split_that_it_is_told(tmp_path: Path, capsys: Capture) -> None:
    rows = [
        {"id": str(k), "path": f"XC{k}.wav", "labels": ["wren"], "split": split}
        for k, split in enumerate(("test", "val", "train"))
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "m.parquet")
    rows = [{**row, "path": f"copy/{row['path']}", "split": "train"} for row in rows]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "n.parquet")
    call = ["benchmark", "leaks", str(tmp_path / "m.parquet"), "--written-only", "-o"]
    call += [str(tmp_path / "a"), "--against", str(tmp_path / "n.parquet"), "--json", "-q"]
    for flags, n_test in (([], 1), (["--split", "val"], 1), (["--split", "all"], 3)):
        assert main([*call, *flags]) == 0
        assert json.loads(capsys.readouterr().out)["n_test"] == n_test
