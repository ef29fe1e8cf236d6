"""Labelled clips to a probe, and the probe on recordings."""

from __future__ import annotations

import csv
import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from sklearn.metrics import average_precision_score

from dawnchorus import embed, predict
from dawnchorus.configs import FitConfig, ProbeRunConfig, Readout
from dawnchorus.errors import TaskError, UsageError, WeightsError
from dawnchorus.models.eat import EAT
from dawnchorus.probes.features import Features
from dawnchorus.probes.fit import fit_probe
from dawnchorus.probes.fitted import EncoderMark, FittedProbe
from dawnchorus.probing import curve
from dawnchorus.probing.embed import from_store
from dawnchorus.probing.evaluate import probe_evaluate
from dawnchorus.probing.fit import probe_fit
from dawnchorus.probing.labels import form_of, label_clips, read_labels
from dawnchorus.probing.report import REPORT, write_report
from dawnchorus.probing.scores import class_scores, overall_scores
from dawnchorus.store.read import Store

RATE = 16_000
TONES = {"frog": 600.0, "owl": 1500.0, "wren": 5000.0}
# confidence 0: eight clips of a class cannot show a precision of 0.9
QUICK = ProbeRunConfig(fit=FitConfig(strengths=(0.1,)), device="cpu", confidence=0.0)


def call(label: str | None, seconds: float, seed: int) -> np.ndarray:
    """A tone of the label in noise; None: noise alone."""
    rng = np.random.default_rng(seed)
    time_s = np.arange(round(seconds * RATE)) / RATE
    noise = 0.02 * rng.normal(size=len(time_s))
    if label is None:
        return noise
    return noise + 0.3 * np.sin(2 * np.pi * TONES[label] * (1 + 0.03 * rng.normal()) * time_s)


def write_folders(folder: Path, n: int, seconds: float = 1.0, first: int = 0) -> Path:
    """A folder for each label."""
    for label in TONES:
        (folder / label).mkdir(parents=True)
        for k in range(n):
            seed = first + 1000 * list(TONES).index(label) + k
            soundfile.write(folder / label / f"{first + k}.wav", call(label, seconds, seed), RATE)
    return folder


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folders(tmp_path_factory.mktemp("calls"), 8)


@pytest.fixture(scope="module")
def probe(folders: Path, tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("probes") / "tones.probe"
    report = probe_fit(read_labels(folders), place, model=tiny_folder, config=QUICK)
    write_report(report)
    return place


def test_a_probe_of_folders_names_what_it_hears_in_a_long_recording(
    probe: Path, tmp_path: Path
) -> None:
    heard = ["wren", "frog", "frog", "owl", "wren", "owl"]
    sound = np.concatenate([call(label, 1.0, 77 + k) for k, label in enumerate(heard)])
    soundfile.write(tmp_path / "night.wav", sound, RATE)
    model = json.loads((probe / "probe.json").read_text())["notes"]["model"]
    report = predict(tmp_path / "night.wav", probe=probe, device="cpu", output=tmp_path / "x.csv")
    rows = list(csv.DictReader(io.StringIO((tmp_path / "x.csv").read_text())))
    assert report.n_windows == len(heard)
    assert Path(model).name == "tiny"
    own = FittedProbe.load(probe).thresholds
    assert set(own) == set(TONES)
    assert all(float(row["probability"]) >= own[row["label"]] - 1e-6 for row in rows)
    best = [(int(row["window"]), row["label"]) for row in rows if row["rank"] == "1"]
    assert best == list(enumerate(heard))


def test_a_probe_s_scores_are_its_own_probabilities_and_options_win_over_its_thresholds(
    probe: Path, folders: Path
) -> None:
    clip = folders / "owl" / "0.wav"
    table = predict(clip, probe=probe, device="cpu", top_k=3).table
    assert table is not None
    assert len(table) == 3
    assert sum(table["probability"].to_pylist()) == pytest.approx(1, abs=1e-5)
    one = predict(clip, probe=probe, device="cpu", threshold=0.0, labels=("wren",)).table
    assert one is not None
    assert one["label"].to_pylist() == ["wren"]


def test_the_report_and_the_notes_say_what_was_done(probe: Path) -> None:
    page = (probe / REPORT).read_text()
    assert "24 clips of 24 recordings, 24 windows of 1 s" in page
    assert "5 folds" in page
    assert (probe / "reliability.png").is_file()
    record = FittedProbe.load(probe).notes
    assert record.window_s == 1.0
    notes = record.to_json()
    assert notes["classes"]["owl"] == {"n_clips": 8, "n_groups": 8}
    assert notes["scores"]["accuracy"]["value"] > 0.9


def test_the_second_fit_encodes_nothing_and_gives_the_same_probe(
    folders: Path, tiny_folder: Path, tmp_path: Path, probe: Path
) -> None:
    cache = tmp_path / "cache"
    made = read_labels(folders)
    first = probe_fit(made, tmp_path / "a", model=tiny_folder, config=QUICK, cache=cache)
    again = probe_fit(made, tmp_path / "b", model=tiny_folder, config=QUICK, cache=cache)
    assert (first.n_cached, again.n_cached) == (0, 24)
    for name in ("a", "b"):
        weights = (tmp_path / name / "probe.safetensors").read_bytes()
        assert weights == (probe / "probe.safetensors").read_bytes()
    for part in cache.rglob("*.safetensors"):
        part.write_bytes(part.read_bytes()[:100])  # damaged: encoded anew
    third = probe_fit(made, tmp_path / "c", model=tiny_folder, config=QUICK, cache=cache)
    assert third.n_cached == 0
    other = QUICK.model_copy(update={"readout": Readout.parse("output:mean")})
    assert (
        probe_fit(made, tmp_path / "d", model=tiny_folder, config=other, cache=cache).n_cached == 0
    )
    rounded = QUICK.model_copy(update={"precision": "bfloat16"})
    assert (
        probe_fit(made, tmp_path / "e", model=tiny_folder, config=rounded, cache=cache).n_cached
        == 0
    )


def test_a_folder_that_holds_a_probe_is_not_overwritten_unasked(
    folders: Path, tiny_folder: Path, probe: Path
) -> None:
    with pytest.raises(UsageError, match="a probe already"):
        probe_fit(read_labels(folders), probe, model=tiny_folder, config=QUICK)


def test_clips_that_it_was_fitted_on_are_refused_unless_asked_for(
    folders: Path, probe: Path, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="fitted on"):
        probe_evaluate(probe, read_labels(folders), config=QUICK)
    assert probe_evaluate(probe, read_labels(folders), config=QUICK, seen=True).n_clips == 24
    fresh = write_folders(tmp_path / "fresh", 3, first=50)
    (fresh / "gull").mkdir()
    soundfile.write(fresh / "gull" / "1.wav", call(None, 1.0, 5), RATE)
    (fresh / "owl" / "seen.wav").write_bytes((folders / "owl" / "0.wav").read_bytes())
    found = probe_evaluate(probe, read_labels(fresh), config=QUICK)
    assert (found.n_clips, found.n_seen, found.n_unknown) == (9, 1, 1)
    assert found.unknown == ("gull",)
    assert found.evaluation.scores["accuracy"].value > 0.8


def test_a_probe_refuses_another_encoder(probe: Path, folders: Path) -> None:
    with pytest.raises(WeightsError, match="was fitted on tiny"):
        predict(folders / "owl" / "0.wav", probe=probe, model="dawnchorus_eat_tiny", device="cpu")


def test_a_store_gives_the_same_probe_and_the_same_rows_without_sound(
    folders: Path, probe: Path, tiny_folder: Path, tmp_path: Path
) -> None:
    store = tmp_path / "calls.store"
    embed(folders, store=store, model=tiny_folder, device="cpu", dtype="float32")
    made = read_labels(folders)
    report = probe_fit(made, tmp_path / "p", model=tiny_folder, store=store, config=QUICK)
    ours, theirs = report.probe, FittedProbe.load(probe)
    x = np.random.default_rng(0).normal(size=(5, ours.net.shape[0])).astype(np.float32)
    assert np.allclose(ours.logits(x), theirs.logits(x), rtol=1e-3, atol=1e-3)
    assert report.probe.notes.files == theirs.notes.files
    from_sound = predict(folders, probe=probe, device="cpu", top_k=1).table
    from_store = predict(store, probe=probe, top_k=1).table
    assert from_sound is not None
    assert from_store is not None
    assert from_store["label"].to_pylist() == from_sound["label"].to_pylist()
    assert np.allclose(from_store["probability"], from_sound["probability"], atol=1e-4)
    other = tmp_path / "other.store"
    embed(folders, store=other, model=tiny_folder, device="cpu", readout="output:mean")
    with pytest.raises(UsageError, match="readout output:mean"):
        predict(other, probe=probe)


def test_a_clip_s_labels_hold_for_windows_that_share_half_of_it_or_of_themselves(
    tiny_folder: Path, tmp_path: Path
) -> None:
    soundfile.write(tmp_path / "night.wav", call("wren", 6.0, 1), RATE)
    table = tmp_path / "clips.csv"
    table.write_text(
        "path,start_s,stop_s,label\n"
        "night.wav,0.4,1.4,wren\n"  # 0.6 of the first window, 0.4 of the second
        "night.wav,2.9,3.2,owl\n"  # a third of it in one window, two thirds in the next
        "night.wav,4.5,6.0,frog\n"  # half of a window, and one whole
    )
    embed(tmp_path / "night.wav", store=tmp_path / "s", model=tiny_folder, window_s=1.0)
    clips = label_clips(read_labels(table))
    windows = from_store(clips, Store(tmp_path / "s"))
    starts = Store(tmp_path / "s").read(["start_s"])
    found = []
    for vector, clip in zip(windows.vectors, windows.clip, strict=True):
        (row,) = np.flatnonzero((starts[0] == vector).all(axis=1))
        found.append((int(clip), starts[1]["start_s"][int(row)].as_py()))
    assert found == [(0, 0.0), (1, 3.0), (2, 4.0), (2, 5.0)]


def test_a_store_that_moved_with_its_recordings_is_found_by_its_clips(
    folders: Path, tiny_folder: Path, tmp_path: Path
) -> None:
    shutil.copytree(folders, tmp_path / "old")
    embed(tmp_path / "old", store=tmp_path / "s", model=tiny_folder, device="cpu", window_s=1.0)
    shutil.move(tmp_path / "old", tmp_path / "new")
    found = from_store(label_clips(read_labels(tmp_path / "new")), Store(tmp_path / "s"))
    assert len(found.vectors) == 24
    # other recordings with the names of these are not taken for them
    for file in (tmp_path / "new").rglob("*.wav"):
        soundfile.write(file, call(None, 1.0, 3), RATE)
    with pytest.raises(TaskError, match="no window"):
        from_store(label_clips(read_labels(tmp_path / "new")), Store(tmp_path / "s"))


def test_val_chooses_test_is_left_alone_and_a_shared_recording_is_refused(
    folders: Path, tiny_folder: Path, tmp_path: Path
) -> None:
    table = tmp_path / "clips.csv"
    sides = ["train"] * 4 + ["val"] * 3 + ["test"]
    rows = [
        f"{folders / label / f'{k}.wav'},{label},{sides[k]},{label}{k}"
        for label in TONES
        for k in range(8)
    ]
    table.write_text("\n".join(["path,label,split,group", *rows]) + "\n")
    report = probe_fit(read_labels(table), tmp_path / "p", model=tiny_folder, config=QUICK)
    assert (report.n_clips, report.n_test) == (21, 3)
    assert report.evaluation is not None
    assert len(report.evaluation.truth) == 9
    assert report.probe.notes.n_train == 12
    table.write_text(table.read_text().replace("owl5", "owl1"))  # of val and of train
    with pytest.raises(TaskError, match="both train and val"):
        probe_fit(read_labels(table), tmp_path / "q", model=tiny_folder, config=QUICK)


def test_clips_of_nothing_make_a_probe_with_any_number_of_labels(
    folders: Path, tiny_folder: Path, tmp_path: Path
) -> None:
    table = tmp_path / "clips.csv"
    rows = [f"{folders / label / f'{k}.wav'},{label}" for label in TONES for k in range(8)]
    for k in range(8):
        soundfile.write(tmp_path / f"n{k}.wav", call(None, 1.0, 900 + k), RATE)
        rows.append(f"{tmp_path / f'n{k}.wav'},noise")
    table.write_text("\n".join(["path,label", *rows]) + "\n")
    config = QUICK.model_copy(update={"background": ("noise",)})
    report = probe_fit(read_labels(table), tmp_path / "p", model=tiny_folder, config=config)
    assert report.probe.classes == ("frog", "owl", "wren")
    assert report.probe.multi_label
    assert not report.warnings
    quiet = predict(tmp_path / "n0.wav", probe=report.probe, model=tiny_folder, device="cpu")
    assert quiet.n_rows == 0


def test_a_validation_clip_of_a_label_that_train_lacks_does_not_change_the_probe(
    folders: Path, tiny_folder: Path, tmp_path: Path
) -> None:
    table = tmp_path / "clips.csv"
    sides = ["train"] * 5 + ["val"] * 3
    rows = [
        f"{folders / label / f'{k}.wav'},{label},{sides[k]}" for label in TONES for k in range(8)
    ]
    table.write_text("\n".join(["path,label,split", *rows]) + "\n")
    plain = probe_fit(read_labels(table), tmp_path / "p", model=tiny_folder, config=QUICK)
    soundfile.write(tmp_path / "robin.wav", call(None, 1.0, 950), RATE)
    table.write_text(table.read_text() + f"{tmp_path / 'robin.wav'},robin,val\n")
    report = probe_fit(read_labels(table), tmp_path / "q", model=tiny_folder, config=QUICK)
    assert not report.probe.multi_label
    assert report.probe.classes == plain.probe.classes
    assert report.n_clips == plain.n_clips == 24
    assert report.warnings[0].startswith("1 clips of split val have labels that no clip to train")
    assert "(robin): left out" in report.warnings[0]
    several = QUICK.model_copy(update={"multi_label": True})
    report = probe_fit(read_labels(table), tmp_path / "r", model=tiny_folder, config=several)
    assert report.n_clips == 25
    assert "(robin): those labels are not scored" in report.warnings[0]


def test_few_clips_and_one_recording_are_warned_of_and_bad_files_listed(
    folders: Path, tiny_folder: Path, tmp_path: Path
) -> None:
    table = tmp_path / "clips.csv"
    rows = [f"{folders / label / f'{k}.wav'},{label},{k}" for label in TONES for k in range(8)]
    rows = [row for row in rows if not (",owl," in row and row[-1] not in "012")]
    rows = [row.rsplit(",", 1)[0] + ",same" if ",wren," in row else row for row in rows]
    table.write_text("\n".join(["path,label,site", *rows]) + "\n")
    config = QUICK.model_copy(update={"group_by": ("site",)})
    report = probe_fit(read_labels(table), tmp_path / "p", model=tiny_folder, config=config)
    said = " ".join(report.warnings)
    assert "owl: 3 clips" in said
    assert "wren: all 8 clips are of one recording" in said
    (tmp_path / "broken.wav").write_bytes(b"no sound at all")
    table.write_text(table.read_text() + f"{tmp_path / 'broken.wav'},owl,9\n")
    again = probe_fit(read_labels(table), tmp_path / "q", model=tiny_folder, config=config)
    assert len(again.failures) == 1
    table.write_text(
        "\n".join(["path,label,site", *(row.rsplit(",", 1)[0] + ",same" for row in rows)]) + "\n"
    )
    alone = config.model_copy(update={"fit": FitConfig(probe_type="mlp")})
    with pytest.raises(TaskError, match="of one recording or group, and mlp chooses how long"):
        probe_fit(read_labels(table), tmp_path / "r", model=tiny_folder, config=alone)


def test_long_clips_are_cut_into_windows_that_share_their_labels_and_group(
    tiny_folder: Path, tmp_path: Path
) -> None:
    folder = write_folders(tmp_path / "long", 5, seconds=2.3)
    config = QUICK.model_copy(update={"window_s": 1.0})
    report = probe_fit(read_labels(folder), tmp_path / "p", model=tiny_folder, config=config)
    # 0.3 s is more than a quarter of a window
    assert (report.n_clips, report.n_windows) == (15, 45)
    assert report.evaluation is not None
    assert len(report.evaluation.truth) == 45


def test_a_learning_curve_is_scored_and_drawn(
    folders: Path, tiny_folder: Path, tmp_path: Path
) -> None:
    config = QUICK.model_copy(update={"few_shot": (1, 4)})
    report = probe_fit(read_labels(folders), tmp_path / "p", model=tiny_folder, config=config)
    write_report(report)
    assert [point.n_clips for point in report.curve] == [1, 4, None]
    assert report.curve[1].value > 0.8
    assert report.evaluation is not None
    assert report.curve[2].value == report.evaluation.scores["macro_recall"].value
    assert (tmp_path / "p" / "learning_curve.png").is_file()


def test_a_learning_curve_counts_clips_not_their_windows(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_folders(tmp_path / "long", 4, seconds=3.0)
    seen = []
    plain = curve.refit

    def fit(config: FitConfig, probe: FittedProbe, train: Features) -> FittedProbe:
        seen.append(len(train))
        return plain(config, probe, train)

    monkeypatch.setattr(curve, "refit", fit)
    config = QUICK.model_copy(update={"window_s": 1.0, "few_shot": (2,)})
    probe_fit(read_labels(folder), tmp_path / "p", model=tiny_folder, config=config)
    assert set(seen) == {2 * len(TONES) * 3}  # two clips a class, three windows a clip


def test_a_learning_curve_with_all_clips_of_each_class_is_the_score_of_the_whole(
    tiny_folder: Path, tmp_path: Path
) -> None:
    """Of scores that no calibration changed: the folds are those of the headline."""
    folder = write_folders(tmp_path / "hard", 6)
    for k, path in enumerate(sorted(folder.rglob("*.wav"))):
        if k % 3 == 0:  # nothing to be heard, so that some are wrong; folds count windows
            soundfile.write(path, call(None, 1.0 + k % 4, 70 + k), RATE)
    changes = {"few_shot": (6,), "calibration": "none", "window_s": 1.0}
    config = QUICK.model_copy(update=changes)
    report = probe_fit(read_labels(folder), tmp_path / "p", model=tiny_folder, config=config)
    most, whole = report.curve
    assert whole.value < 1
    assert most.low == most.high == pytest.approx(whole.value)


def test_raven_and_audacity_annotations_are_told_apart_and_read(
    tiny_folder: Path, tmp_path: Path
) -> None:
    heard = [label for _ in range(5) for label in TONES]
    sound = np.concatenate([call(label, 0.5, k) for k, label in enumerate(heard)])
    soundfile.write(tmp_path / "rec.wav", sound, RATE)
    spans = [(0.5 * k, 0.5 * k + 0.5, label) for k, label in enumerate(heard)]
    audacity = tmp_path / "rec.txt"
    audacity.write_text("".join(f"{a}\t{b}\t{label}\n" for a, b, label in spans))
    assert form_of([audacity]) == "audacity"
    made = read_labels(audacity)
    assert len(made.manifest) == 15
    # one recording: nothing can be held out, and that is said
    config = QUICK.model_copy(update={"fit": FitConfig()})
    report = probe_fit(made, tmp_path / "p", model=tiny_folder, config=config)
    assert report.evaluation is None
    assert "2 groups or more" in " ".join(report.warnings)
    write_report(report)
    raven = tmp_path / "rec.Table.1.selections.txt"
    lines = [f"{k}\t{a}\t{b}\t{label}\n" for k, (a, b, label) in enumerate(spans)]
    raven.write_text("Selection\tBegin Time (s)\tEnd Time (s)\tSpecies\n" + "".join(lines))
    assert form_of([raven]) == "raven"
    clips = label_clips(read_labels(raven))
    assert clips.classes == ("frog", "owl", "wren")
    assert clips.truth.sum(axis=0).tolist() == [5, 5, 5]
    assert len(np.unique(clips.group)) == 1


def test_what_is_no_labelled_clips_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        read_labels(tmp_path / "x.csv")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="a folder for each label"):
        read_labels(tmp_path / "empty")


def test_a_probe_on_tokens_or_on_layers_apart_names_recordings_as_well(
    tiny_encoder: EAT, folders: Path
) -> None:
    names = tuple(TONES)
    paths = [folders / label / f"{k}.wav" for label in names for k in range(4)]
    waves = np.stack([soundfile.read(path, dtype="float32")[0] for path in paths])
    out = tiny_encoder.encode(torch.from_numpy(waves), layers=[0, 1])
    y = np.repeat(np.eye(3), 4, axis=0)
    layered = np.stack([out.pool("mean", k).detach().numpy() for k in (0, 1)], axis=1)
    tokens = out.layers[1].detach().numpy()
    attention = FitConfig(
        probe_type="attention", attention_dim=8, num_heads=1, dropout_rate=0,
        schedule={"learning_rates": (1e-2,), "n_epochs": 15},
    )  # fmt: skip
    cases: list[tuple[FitConfig, np.ndarray, tuple[str, ...]]] = [
        (attention, tokens, ("1",)),
        (FitConfig(strengths=(0.1,)), layered, ("0", "1")),
    ]
    for config, x, readout in cases:
        fitted = fit_probe(
            config, Features(x, y), Features(x, y), names, False,
            encoder=EncoderMark.of(tiny_encoder),
            readout=Readout.parse(readout or "output", "mean"),
        )  # fmt: skip
        table = predict(paths, probe=fitted, model=tiny_encoder, top_k=1).table
        assert table is not None
        expected = fitted.probabilities(x).max(axis=1)
        assert np.allclose(table["probability"], expected, atol=1e-4)


def test_scores_without_an_error_have_no_interval_that_says_nothing() -> None:
    truth = np.tile(np.eye(2, dtype=bool), (10, 1))
    group = np.arange(20)
    found = overall_scores(truth, 0.8 * truth + 0.1, group, multi_label=False)
    assert found["accuracy"].value == found["macro_recall"].value == 1.0
    assert found["accuracy"].low == pytest.approx(0.025 ** (1 / 20), abs=1e-6)
    for name in ("macro_recall", "mean_average_precision"):
        assert np.isnan(found[name].low)
        assert "score alike" in found[name].reason
    scores = np.where(truth, 0.9, 0.1)
    scores[0] = scores[0, ::-1]
    some = overall_scores(truth, scores, group, multi_label=False)["macro_recall"]
    assert some.low < some.value <= some.high <= 1.0


def test_a_class_that_every_clip_has_is_not_ranked() -> None:
    truth = np.array([[1, 1], [1, 0], [1, 1], [1, 0], [1, 0]], bool)
    scores = np.array([[0.5, 0.1], [0.4, 0.9], [0.3, 0.2], [0.2, 0.3], [0.1, 0.4]])
    group = np.arange(5)
    found = overall_scores(truth, scores, group, multi_label=True)["mean_average_precision"]
    assert found.value == pytest.approx(average_precision_score(truth[:, 1], scores[:, 1]))
    counts = {"a": (5, 5), "b": (2, 2)}
    first, second = class_scores(truth, scores, group, counts, multi_label=True)
    assert first.average_precision is None
    assert second.average_precision == pytest.approx(found.value)
    alone = overall_scores(truth[:, :1], scores[:, :1], group, multi_label=True)
    assert np.isnan(alone["mean_average_precision"].value)
    assert alone["mean_average_precision"].reason


def test_one_clip_a_class_gives_a_probe_and_says_what_is_missing(
    tiny_folder: Path, tmp_path: Path
) -> None:
    folder = write_folders(tmp_path / "few", 1)
    config = ProbeRunConfig(device="cpu", few_shot=(1,))
    report = probe_fit(read_labels(folder), tmp_path / "p", model=tiny_folder, config=config)
    assert report.evaluation is None
    assert report.probe.notes.chosen == {"strength": 0.1}
    said = " ".join(report.warnings)
    assert "every class has one clip, so nothing was chosen" in said
    assert "no scores, calibration, thresholds or learning curve" in said
    write_report(report)
    with pytest.raises(UsageError, match="no threshold for any of its classes"):
        predict(folder, probe=report.probe, model=tiny_folder, device="cpu")


def test_embeddings_that_are_all_the_same_are_said(tiny_folder: Path, tmp_path: Path) -> None:
    folder = write_folders(tmp_path / "same", 2)
    for path in folder.rglob("*.wav"):
        soundfile.write(path, np.zeros(RATE), RATE)
    report = probe_fit(read_labels(folder), tmp_path / "p", model=tiny_folder, config=QUICK)
    assert "embeddings of all windows are the same" in " ".join(report.warnings)
