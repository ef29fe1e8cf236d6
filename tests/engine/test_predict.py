"""`predict`: the probabilities of the model, in files that other programs open."""

from __future__ import annotations

import csv
import os
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import crowsetta
import numpy as np
import pyarrow.parquet as pq
import pytest
import soundfile
import torch

from dawnchorus.audio.decode.read import read_audio
from dawnchorus.configs import PredictConfig
from dawnchorus.engine.detections.label_names import read_label_list
from dawnchorus.engine.detections.thresholds import make_rule
from dawnchorus.engine.detections.writer import DetectionWriter
from dawnchorus.engine.embed import embed
from dawnchorus.engine.predict import predict
from dawnchorus.errors import DawnChorusWarning, RunInterruptedError, StoreError, UsageError
from dawnchorus.models.card import Card
from dawnchorus.models.eat import EAT
from dawnchorus.models.label_facts import LabelFacts
from dawnchorus.probes.calibration import sigmoid
from dawnchorus.store.read import Store
from watched_progress import WatchedProgress

WriteSound = Callable[..., Path]


@pytest.fixture
def folder(tmp_path: Path, write_sound: WriteSound) -> Path:
    """Two recordings of 2.5 s and 1.2 s, at other rates than the model's."""
    write_sound(tmp_path / "recordings" / "a.wav", 2.5, 44_100, seed=1)
    write_sound(tmp_path / "recordings" / "b.flac", 1.2, 48_000, 2, seed=2)
    return tmp_path / "recordings"


def test_rows_hold_the_models_own_probabilities(folder: Path, tiny_encoder: EAT) -> None:
    report = predict(folder / "a.wav", model=tiny_encoder, top_k=5)
    rows = report.table.to_pylist()
    samples = torch.from_numpy(read_audio(folder / "a.wav", sample_rate=16_000))
    for window, (start, stop) in enumerate([(0, 16_000), (16_000, 32_000), (32_000, 40_000)]):
        with torch.no_grad():
            wanted = tiny_encoder.encode(samples[None, start:stop]).logits.sigmoid()[0]
        mine = [row for row in rows if row["window"] == window]
        assert [row["rank"] for row in mine] == [1, 2, 3, 4, 5]
        for row in mine:
            index = tiny_encoder.labels.index(row["label"])
            assert row["probability"] == pytest.approx(float(wanted[index]), abs=1e-5)
        probabilities = [row["probability"] for row in mine]
        assert probabilities == sorted(probabilities, reverse=True)


def test_positions_count_at_the_recordings_own_rate_and_stop_with_it(
    folder: Path, tiny_encoder: EAT
) -> None:
    table = predict(folder, model=tiny_encoder, top_k=1).table
    rows = [(r["start_sample"], r["stop_sample"], r["sample_rate"]) for r in table.to_pylist()]
    assert rows == [
        (0, 44_100, 44_100),
        (44_100, 88_200, 44_100),
        (88_200, 110_250, 44_100),
        (0, 48_000, 48_000),
        (48_000, 57_600, 48_000),
    ]
    for row in table.to_pylist():
        assert row["start_s"] == pytest.approx(row["start_sample"] / row["sample_rate"])
        assert row["stop_s"] == pytest.approx(row["stop_sample"] / row["sample_rate"])


def test_without_a_limit_the_models_own_thresholds_rule(folder: Path, tiny_encoder: EAT) -> None:
    rows = predict(folder, model=tiny_encoder, top_k=5).table.to_pylist()
    scores = sorted(row["probability"] for row in rows if row["label"] == "wren")
    facts = LabelFacts(level="song", threshold=0.999, thresholds={"wren": scores[1]})
    card = Card(name="tiny", config=tiny_encoder.config, label_facts=facts)
    known = EAT(tiny_encoder.config, name="tiny", labels=tiny_encoder.labels)
    known.load_state_dict(tiny_encoder.state_dict())
    known.card = card
    report = predict(folder, model=known.eval())
    assert {(row["label"], row["level"]) for row in report.table.to_pylist()} == {("wren", "song")}
    assert sorted(report.table["probability"].to_pylist()) == scores[1:]
    (count,) = report.label_counts
    assert (count.label, count.level, count.n_detections) == ("wren", "song", len(scores) - 1)
    assert (count.n_recordings, count.highest) == (2, scores[-1])
    with pytest.warns(DawnChorusWarning, match="label_counts"):
        assert report.found == (count,)
    # a model that nobody has measured
    half = predict(folder, model=tiny_encoder)
    assert half.n_rows == sum(row["probability"] >= 0.5 for row in rows)


def test_windows_without_signal_give_nothing(
    tmp_path: Path, tiny_encoder: EAT, write_sound: WriteSound
) -> None:
    path = write_sound(tmp_path / "a.wav", 2.0)
    samples, rate = soundfile.read(path)
    soundfile.write(path, np.concatenate([np.zeros(rate), samples]), rate)
    report = predict(path, model=tiny_encoder, top_k=2)
    assert report.table["window"].to_pylist() == [1, 1, 2, 2]
    assert any("1 windows hold no signal" in warning for warning in report.warnings)
    embed(path, model=tiny_encoder, store=tmp_path / "s", predict=True)
    assert predict(tmp_path / "s", top_k=2).table["window"].to_pylist() == [1, 1, 2, 2]


def test_csv_and_parquet_hold_the_same_rows(
    folder: Path, tmp_path: Path, tiny_encoder: EAT
) -> None:
    in_memory = predict(folder, model=tiny_encoder, top_k=2).table.to_pylist()
    predict(folder, model=tiny_encoder, top_k=2, output=tmp_path / "x.csv")
    predict(folder, model=tiny_encoder, top_k=2, output=str(tmp_path / "new" / "x.parquet"))
    from_parquet = pq.read_table(tmp_path / "new" / "x.parquet").to_pylist()
    assert from_parquet == in_memory
    with (tmp_path / "x.csv").open(encoding="utf-8", newline="") as file:
        from_csv = list(csv.DictReader(file))
    assert len(from_csv) == len(in_memory)
    for line, row in zip(from_csv, in_memory, strict=True):
        assert set(line) == set(row)
        for name, value in row.items():
            if isinstance(value, float):
                assert float(line[name]) == pytest.approx(value, abs=1e-6)
            else:
                assert line[name] == ("" if value is None else str(value))


@pytest.mark.filterwarnings("ignore:The inplace keyword")  # crowsetta with the newest pandas
def test_raven_tables_are_read_by_another_program(
    folder: Path, tmp_path: Path, tiny_encoder: EAT
) -> None:
    rows = predict(folder, model=tiny_encoder, top_k=1).table.to_pylist()
    path = tmp_path / "all.selections.txt"
    predict(folder, model=tiny_encoder, top_k=1, output=path)
    raven = crowsetta.formats.bbox.Raven.from_file(path, annot_col="Label")
    boxes = raven.to_bbox()
    assert [box.label for box in boxes] == [row["label"] for row in rows]
    # times run on from file to file: b starts where a ends
    onsets = [0.0, 1.0, 2.0, 2.5, 3.5]
    np.testing.assert_allclose([box.onset for box in boxes], onsets, atol=1e-6)
    np.testing.assert_allclose([box.offset for box in boxes], [1, 2, 2.5, 3.5, 3.7], atol=1e-6)
    assert {box.high_freq for box in boxes} == {8000.0}
    with path.open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file, delimiter="\t"))
    assert [float(line["File Offset (s)"]) for line in lines] == [0.0, 1.0, 2.0, 0.0, 1.0]
    assert lines[3]["Begin File"] == "b.flac"
    assert Path(lines[3]["Begin Path"]) == (folder / "b.flac").absolute()
    assert [line["Selection"] for line in lines] == ["1", "2", "3", "4", "5"]


def test_an_empty_output_says_why(folder: Path, tmp_path: Path, tiny_encoder: EAT) -> None:
    loud = predict(folder, model=tiny_encoder, top_k=1).table.to_pylist()
    highest = max(row["probability"] for row in loud)
    report = predict(folder, model=tiny_encoder, threshold=1.0, output=tmp_path / "x.csv")
    assert report.n_rows == 0
    assert f"{highest:.3f}" in report.empty_because
    assert "threshold is 1.0" in report.empty_because
    assert set(report.without_detection) == {"a.wav", "b.flac"}
    assert (tmp_path / "x.csv").read_text().count("\n") == 1


def test_only_the_wanted_labels_are_ranked_and_unknown_names_reported(
    folder: Path, tmp_path: Path, tiny_encoder: EAT
) -> None:
    species = tmp_path / "species.txt"
    species.write_text("# my garden\nWren\n\nrobin \ndodo\n", encoding="utf-8")
    names, _ = read_label_list(species)
    assert names == ("Wren", "robin", "dodo")
    report = predict(folder, model=tiny_encoder, labels=names, top_k=2)
    assert report.unknown_labels == ("dodo",)
    assert set(report.table["label"].to_pylist()) == {"wren", "robin"}
    assert set(report.table["rank"].to_pylist()) == {1, 2}
    with pytest.raises(UsageError, match="did you mean blackbird"):
        predict(folder, model=tiny_encoder, labels=("blackbirt",))


def test_an_output_that_exists_is_kept_unless_told(
    folder: Path, tmp_path: Path, tiny_encoder: EAT
) -> None:
    (tmp_path / "x.csv").write_text("mine")
    with pytest.raises(UsageError, match="--overwrite"):
        predict(folder, model=tiny_encoder, output=tmp_path / "x.csv")
    assert (tmp_path / "x.csv").read_text() == "mine"
    predict(folder, model=tiny_encoder, output=tmp_path / "x.csv", overwrite=True)
    assert (tmp_path / "x.csv").read_text().startswith("path,window")
    with pytest.raises(UsageError, match=r"no format ends in '\.xls'"):
        predict(folder, model=tiny_encoder, output=tmp_path / "x.xls")


def test_a_recording_that_breaks_off_gives_rows_up_to_there(
    folder: Path, tiny_encoder: EAT, write_sound: WriteSound
) -> None:
    whole = write_sound(folder / "aa.flac", 20.0).read_bytes()
    (folder / "aa.flac").write_bytes(whole[: len(whole) // 2])
    report = predict(folder, model=tiny_encoder, batch_size=2, top_k=1)
    assert (report.n_found, report.n_done, report.n_failed) == (3, 3, 0)
    rows = [row for row in report.table.to_pylist() if row["path"].endswith("aa.flac")]
    assert 7 < max(row["stop_s"] for row in rows) < 13
    assert any("damaged" in warning for warning in report.warnings)


def test_a_recording_that_the_disk_takes_away_gives_no_rows(
    folder: Path, tiny_encoder: EAT, write_sound: WriteSound
) -> None:
    long = write_sound(folder / "0.wav", 120.0)  # the first: it is open when results come

    def truncate(_n: int) -> None:
        if long.stat().st_size > 1000:
            os.truncate(long, 1000)

    progress = WatchedProgress(truncate)
    report = predict(
        folder, model=tiny_encoder, batch_size=2, workers=1, progress=progress, top_k=1
    )
    assert (report.n_done, report.n_failed) == (2, 1)
    assert report.failures[0].reason in {"input-output", "changed"}
    paths = dict.fromkeys(report.table["path"].to_pylist())
    assert list(paths) == ["a.wav", "b.flac"]


def test_a_stopped_run_keeps_what_was_finished_under_a_name_that_says_so(
    folder: Path, tmp_path: Path, tiny_encoder: EAT, write_sound: WriteSound
) -> None:
    write_sound(folder / "b.flac", 40.0)  # more than is encoded ahead

    def interrupt(_n: int) -> None:
        if len(progress.steps) == 1:  # the second signal would end the process at once
            signal.raise_signal(signal.SIGINT)

    progress = WatchedProgress(interrupt)
    with pytest.raises(RunInterruptedError, match=r"x\.partial\.csv"):
        predict(
            folder,
            model=tiny_encoder,
            output=tmp_path / "x.csv",
            batch_size=4,
            workers=1,
            top_k=3,
            progress=progress,
        )
    assert not (tmp_path / "x.csv").exists()
    lines = (tmp_path / "x.partial.csv").read_text().splitlines()
    assert len(lines) == 1 + 9
    assert all("a.wav" in line for line in lines[1:])


def test_ctrl_c_at_the_moment_the_output_is_opened_is_answered_too(
    folder: Path, tmp_path: Path, tiny_encoder: EAT, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered = DetectionWriter.__enter__

    def then_signal(writer: DetectionWriter) -> DetectionWriter:
        opened = entered(writer)
        signal.raise_signal(signal.SIGINT)
        return opened

    monkeypatch.setattr(DetectionWriter, "__enter__", then_signal)
    with pytest.raises(RunInterruptedError, match=r"stopped: 0 of \d+ recordings"):
        predict(folder, model=tiny_encoder, output=tmp_path / "x.csv", top_k=3)
    assert not (tmp_path / "x.csv").exists()


def test_nothing_stays_behind_when_a_run_fails(
    folder: Path, tmp_path: Path, tiny_encoder: EAT, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_arguments: object, **_options: object) -> None:
        raise RuntimeError("out of memory")

    encode_features = EAT.encode_features
    calls = []

    def second_time(self: EAT, *arguments: object) -> object:
        calls.append(1)
        return encode_features(self, *arguments) if len(calls) == 1 else refuse()

    monkeypatch.setattr(EAT, "encode_features", second_time)
    with pytest.raises(RuntimeError, match="out of memory"):
        predict(folder, model=tiny_encoder, output=tmp_path / "x.parquet")
    assert [path.name for path in tmp_path.iterdir()] == ["recordings"]


def test_a_model_without_a_classifier_is_refused(folder: Path, tiny_encoder: EAT) -> None:
    bare = EAT(tiny_encoder.config.model_copy(update={"n_classes": 0}))
    with pytest.raises(UsageError, match="no labels"):
        predict(folder, model=bare)


def test_options_of_embed_alone_are_refused(folder: Path, tiny_encoder: EAT) -> None:
    with pytest.raises(UsageError, match="'readout'"):
        predict(folder, model=tiny_encoder, readout="output:cls")


def test_rules_agree_with_sorting_each_window() -> None:
    probabilities = np.random.default_rng(0).random((50, 7)).astype(np.float32)
    labels = [f"l{i}" for i in range(7)]
    rule, _ = make_rule(PredictConfig(top_k=3, threshold=0.6, labels=("l1", "L4", "l6")), labels)
    window, label, rank = rule.choose(probabilities)
    wanted = []
    for row, values in enumerate(probabilities):
        order = sorted((1, 4, 6), key=lambda i: -values[i])
        wanted += [(row, i, r) for r, i in enumerate(order[:3], 1) if values[i] >= 0.6]
    assert list(zip(window.tolist(), label.tolist(), rank.tolist(), strict=True)) == wanted


def test_a_score_at_its_threshold_is_a_row() -> None:
    labels, score = ["a", "b"], np.float32(0.7)
    rule, _ = make_rule(PredictConfig(threshold=0.7), labels)
    window, label, _ = rule.choose(np.array([[score, np.nextafter(score, np.float32(0))]]))
    assert (window.tolist(), label.tolist()) == ([0], [0])


def test_a_listed_label_without_a_threshold_has_to_reach_the_usual_one() -> None:
    labels = ["Turdus merula", "Erithacus rubecula", "Parus major", "rain"]
    facts = LabelFacts(threshold=0.6, thresholds={"Parus major": 0.8})
    names = ("Turdus merula_Eurasian Blackbird", "erithacus rubecula", "Parus major_Great Tit")
    listed = PredictConfig(labels=names, thresholds={names[0]: 0.3})
    rule, unknown = make_rule(listed, labels, facts)
    assert unknown == ()
    assert rule.columns.tolist() == [0, 1, 2]
    np.testing.assert_allclose(rule.lowest, [0.3, 0.6, 0.8], atol=1e-6)
    rule, _ = make_rule(listed.model_copy(update={"threshold": 0.5}), labels, facts)
    np.testing.assert_allclose(rule.lowest, [0.3, 0.5, 0.5], atol=1e-6)
    rule, _ = make_rule(listed.model_copy(update={"top_k": 1}), labels, facts)
    np.testing.assert_allclose(rule.lowest, [0.3, 0.6, 0.8], atol=1e-6)
    merged, _ = make_rule(PredictConfig(merge=True, low_threshold=0.7), labels, facts)
    np.testing.assert_allclose(merged.lowest, [0.6, 0.6, 0.7, 0.6], atol=1e-6)


def test_a_list_of_scientific_names_fits_labels_that_have_common_ones_too() -> None:
    labels = ["Turdus merula_Eurasian Blackbird", "Engine_Engine"]
    rule, unknown = make_rule(PredictConfig(labels=("Turdus merula",), top_k=1), labels)
    assert (rule.columns.tolist(), unknown) == ([0], ())
    listed = ("Passeridae_Sparrows", "clock_tick")
    rule, unknown = make_rule(PredictConfig(labels=listed, top_k=1), ["Passeridae", "clock"])
    assert (rule.columns.tolist(), unknown) == ([0], ("clock_tick",))


def test_sigmoid_agrees_with_torch_and_does_not_overflow() -> None:
    logits = np.array([-200.0, -20.0, -1.0, 0.0, 3.0, 200.0], np.float32)
    np.testing.assert_allclose(sigmoid(logits), torch.from_numpy(logits).sigmoid().numpy(), 1e-6)


def test_one_pass_keeps_scores_beside_vectors_and_predict_reads_them(
    folder: Path, tmp_path: Path, tiny_encoder: EAT
) -> None:
    embed(folder, model=tiny_encoder, store=tmp_path / "plain", dtype="float32")
    embed(folder, model=tiny_encoder, store=tmp_path / "s", dtype="float32", predict=True)
    vectors, _ = Store(tmp_path / "s").read()
    np.testing.assert_allclose(vectors, Store(tmp_path / "plain").read()[0], atol=2e-5)
    scores, table = Store(tmp_path / "s").read_scores(["path", "window"])
    assert scores.shape == (len(table), len(tiny_encoder.labels or ()))
    direct = predict(folder, model=tiny_encoder, top_k=5)
    stored = predict(tmp_path / "s", top_k=5)
    assert (stored.n_done, stored.n_windows) == (2, direct.n_windows)
    keys = ["path", "window", "start_s", "stop_s", "start_sample", "stop_sample", "label"]
    order = [(key, "ascending") for key in keys]
    one, other = (report.table.sort_by(order) for report in (direct, stored))
    assert one.select(keys).to_pylist() == other.select(keys).to_pylist()
    np.testing.assert_allclose(one["probability"], other["probability"], atol=1e-3)


def test_what_made_the_scores_of_a_store_cannot_be_chosen_afterwards(
    folder: Path, tmp_path: Path, tiny_encoder: EAT
) -> None:
    embed(folder, model=tiny_encoder, store=tmp_path / "s", predict=True)
    for chosen in ({"window_s": 0.5}, {"channel": 0}, {"model": "another"}):
        with pytest.raises(UsageError, match="cannot be chosen"):
            predict(tmp_path / "s", **chosen)
    assert predict(tmp_path / "s", model="tiny").n_done == 2


def test_segments_of_another_run_are_not_mixed_in(
    folder: Path, tmp_path: Path, tiny_encoder: EAT
) -> None:
    (tmp_path / "x.segments").mkdir()
    with pytest.raises(UsageError, match=r"x\.segments: exists already"):
        predict(folder, model=tiny_encoder, output=tmp_path / "x.csv", segments=1)
    assert not (tmp_path / "x.csv").exists()


def test_a_store_without_scores_cannot_be_asked_for_names(
    folder: Path, tmp_path: Path, tiny_encoder: EAT
) -> None:
    embed(folder, model=tiny_encoder, store=tmp_path / "s")
    for ask in (lambda: predict(tmp_path / "s"), Store(tmp_path / "s").read_scores):
        with pytest.raises(UsageError, match="embed --predict"):
            ask()
    with pytest.raises(StoreError, match="predict: False in the store, True asked for"):
        embed(folder, model=tiny_encoder, store=tmp_path / "s", predict=True)


@pytest.mark.parametrize(("rate", "highest_hz"), [(48_000, "8000.0"), (11_025, "5512.5")])
def test_a_selection_reaches_no_higher_than_recording_and_model_do(
    tmp_path: Path, tiny_encoder: EAT, write_sound: WriteSound, rate: int, highest_hz: str
) -> None:
    sound = write_sound(tmp_path / "a.wav", 1.0, rate)
    embed(sound, model=tiny_encoder, store=tmp_path / "s", predict=True)
    for number, named in enumerate((sound, tmp_path / "s")):
        model = tiny_encoder if named == sound else None
        output = tmp_path / f"{number}.txt"
        predict(named, model=model, top_k=1, output=output)
        with output.open(encoding="utf-8", newline="") as file:
            assert [line["High Freq (Hz)"] for line in csv.DictReader(file, delimiter="\t")] == [
                highest_hz
            ]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="a system without named pipes")
def test_a_list_of_labels_may_come_through_a_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with ThreadPoolExecutor(1) as writer:
        writer.submit((tmp_path / "pipe").write_text, "wren, 0.5\nrobin\n")
        assert read_label_list(tmp_path / "pipe") == (("wren", "robin"), {"wren": 0.5})
