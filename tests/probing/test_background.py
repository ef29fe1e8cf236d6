"""Background by its label, and out of the parts of recordings that no annotation covers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from dawnchorus.clips.build import ImportedClips
from dawnchorus.clips.manifest import Clip, Manifest
from dawnchorus.configs import FitConfig, ProbeRunConfig
from dawnchorus.errors import DawnChorusWarning, TaskError, UsageError
from dawnchorus.probing.background import background_labels, with_unannotated
from dawnchorus.probing.evaluate import probe_evaluate
from dawnchorus.probing.fit import probe_fit
from dawnchorus.probing.labels import label_clips, read_labels
from dawnchorus.probing.select import training_clips

RATE = 16_000


def clips(*labels: str) -> ImportedClips:
    """A clip of each label."""
    rows = [
        Clip(
            id=f"{k}",
            path=f"{k}.wav",
            dataset="d",
            level="file",
            start_s=0.0,
            stop_s=1.0,
            labels=(label,),
            kind="species",
            split="",
        )
        for k, label in enumerate(labels)
    ]
    return ImportedClips(Manifest.of(rows, Path()))


def test_background_is_known_by_its_name_in_any_case_and_a_wrong_one_is_refused() -> None:
    made = clips("owl", "Noise", "noise", "owl", "wren")
    assert background_labels(["NOISE"], made.manifest) == ("Noise", "noise")
    for name, hint in (("nosie", "did you mean 'noise'"), ("xyz", "labels are Noise, noise, owl")):
        with pytest.raises(UsageError, match=rf"--background {name}: no clip has .*{hint}"):
            training_clips(made, ProbeRunConfig(background=(name,)))
    found = training_clips(made, ProbeRunConfig(background=("nOise",)))
    assert found.classes == ("owl", "wren")
    assert found.background == ("Noise", "noise")
    assert label_clips(made, background=["NOISE"]).truth.sum(axis=1).tolist() == [1, 0, 0, 1, 1]


def test_a_class_without_any_other_clip_is_refused_with_what_to_do() -> None:
    for config in (ProbeRunConfig(), ProbeRunConfig(multi_label=False)):
        with pytest.raises(TaskError, match=r"all 3 clips .* label owl.* --background noise"):
            training_clips(clips("owl", "owl", "owl"), config)


def tone(path: Path, hz: float, seconds: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    wave = 0.3 * np.sin(2 * np.pi * hz * np.arange(round(seconds * RATE)) / RATE)
    soundfile.write(path, wave + 0.02 * rng.normal(size=len(wave)), RATE)


def test_a_probe_remembers_its_background(tiny_folder: Path, tmp_path: Path) -> None:
    for folder, names in (("fit", ("owl", "noise")), ("more", ("owl", "Noise"))):
        for label in names:
            (tmp_path / folder / label).mkdir(parents=True)
            for k in range(4):
                seed = 10 * len(folder) + k
                tone(tmp_path / folder / label / f"{k}.wav", 900 * len(label), 1.0, seed)
    config = ProbeRunConfig(fit=FitConfig(strengths=(0.1,)), device="cpu", background=("NOISE",))
    made = read_labels(tmp_path / "fit")
    report = probe_fit(made, tmp_path / "p", model=tiny_folder, config=config)
    assert report.probe.classes == ("owl",)
    assert report.probe.notes.background == ("noise",)
    plain = ProbeRunConfig(device="cpu")
    found = probe_evaluate(tmp_path / "p", read_labels(tmp_path / "more"), config=plain)
    assert (found.n_clips, found.n_unknown, found.unknown) == (8, 0, ())
    other = plain.model_copy(update={"background": ("rain",)})
    with pytest.raises(UsageError, match="--background rain: no clip"):
        probe_evaluate(tmp_path / "p", read_labels(tmp_path / "more"), config=other)


@pytest.fixture
def annotated(tmp_path: Path) -> ImportedClips:
    """Two recordings of 12 s with a few calls, and one that is a call from end to end."""
    for name, seconds in (("a", 12.0), ("b", 12.0), ("c", 1.0)):
        tone(tmp_path / f"{name}.wav", 800, seconds, ord(name))
    table = tmp_path / "clips.csv"
    table.write_text(
        "path,start_s,stop_s,label,group\n"
        "a.wav,1,2,owl,north\na.wav,1.5,2.5,wren,north\na.wav,10,11,owl,north\n"
        "b.wav,0,1,owl,south\nc.wav,0,1,wren,east\n"
    )
    return read_labels(table)


def test_parts_that_no_annotation_covers_become_clips_without_a_label(
    annotated: ImportedClips,
) -> None:
    made = with_unannotated(annotated, seed=3)
    old, new = made.manifest[: len(annotated.manifest)], made.manifest[len(annotated.manifest) :]
    assert [clip.id for clip in old] == [clip.id for clip in annotated.manifest]
    assert [Path(clip.path).name for clip in new] == ["a.wav"] * 3 + ["b.wav"]
    assert "4 pieces of 1 s from parts of 2 recordings" in made.notes[-1]
    for clip in new:
        assert clip.labels == ()
        assert clip.duration_s == pytest.approx(1.0)
        assert clip.start_s >= 0
        assert clip.stop_s <= 12.0 + 1e-9
        for other in old:
            if other.path == clip.path:
                assert clip.stop_s <= other.start_s + 1e-9 or clip.start_s >= other.stop_s - 1e-9
    assert new.table["group"].to_pylist() == ["north"] * 3 + ["south"]
    assert with_unannotated(annotated, seed=3).manifest.table.equals(made.manifest.table)
    found = training_clips(made, ProbeRunConfig())
    assert found.multi_label
    assert (~found.truth.any(axis=1)).sum() == 4


def test_recordings_without_a_free_part_are_refused(tmp_path: Path) -> None:
    tone(tmp_path / "a.wav", 800, 2.0, 0)
    (tmp_path / "clips.csv").write_text("path,start_s,stop_s,label\na.wav,0.1,1.9,owl\n")
    with pytest.raises(TaskError, match="no recording has a part"):
        with_unannotated(read_labels(tmp_path / "clips.csv"))


def test_the_old_name_of_background_is_read_with_a_warning() -> None:
    with pytest.warns(DawnChorusWarning, match="'nothing' is now called 'background'"):
        config = ProbeRunConfig(nothing=("noise",))
    assert config.background == ("noise",)
