"""Small raw sets in the layouts of their publishers, with their quirks, made anew for each test."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile

from dawnchorus.benchmark.tasks.classes import classes_of

RATE = 8000


def sound(path: Path, seconds: float = 1.0) -> None:
    """Silence, which is enough to have a length."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.zeros(round(seconds * RATE), np.int16), RATE, subtype="PCM_16")


def table(
    path: Path, names: Sequence[str], rows: Sequence[Sequence[object]], sep: str = ","
) -> None:
    """A CSV with quotes where they are needed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=sep)
        writer.writerow(names)
        writer.writerows(rows)


def touch(folder: Path, *paths: str) -> None:
    """Files that are there and hold something; classification reads no sound while it is built."""
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(b"sound")


def watkins(folder: Path) -> None:
    """Six species from five tapes of four cuts each, a comma in a name, two seals too many."""
    rows: list[tuple[str, str]] = []
    for at, species in enumerate(classes_of("beans/watkins")[:6]):
        rows += [
            (f"audio/{50 + at}{tape:03d}00{cut}.wav", species)
            for tape in range(5)
            for cut in range(4)
        ]
    rows += [("audio/99001001.wav", "Weddell_Seal"), ("audio/99001002.wav", "Weddell_Seal")]
    touch(folder, *(path for path, _ in rows))
    table(folder / "annotations.csv", ("path", "species"), rows)


def bats(folder: Path) -> None:
    """Ten bats on four days, five calls a day; 231 only on one."""
    names = classes_of("beans/bats")
    rows = [
        (f"1206{day:02d}0110{at:02d}{call:05d}.WAV", bat)
        for at, bat in enumerate(names)
        for day in ((1,) if bat == "231" else (1, 2, 3, 4))
        for call in range(5)
    ]
    touch(folder, *(f"audio/{name}" for name, _ in rows))
    table(folder / "annotations.csv", ("File Name", "Emitter"), rows)


def dogs(folder: Path) -> None:
    """Ten dogs, two sessions in three contexts, two barks each; one name has a slip."""
    rows = [
        (f"{dog}-{session}-{context}-{bark}{'.' if dog == 'Mac' else ''}.aif", dog)
        for dog in classes_of("beans/dogs")
        for session in (1, 2)
        for context in "API"
        for bark in ("1", "2a")
    ]
    touch(folder, *(f"audio/{name}" for name, _ in rows))
    table(folder / "annotations.csv", ("filename", "name"), rows)


def humbugdb(folder: Path) -> None:
    """Three species of 101 clips, two rare ones, background and mosquitoes of no known species."""
    species = ("an arabiensis", "an dirus", "ae aegypti")
    kinds = [(name, "mosquito", 101) for name in species]
    kinds += [("an rare", "mosquito", 60), ("an rarer", "mosquito", 40)]
    kinds += [("", "background", 70), ("", "mosquito", 35)]
    rows = []
    for name, kind, n in kinds:
        for _ in range(n):
            rows.append((len(rows), f"{name or kind} recording {len(rows) % 5}.wav", kind, name))
    touch(folder, *(f"audio/{row[0]}.wav" for row in rows))
    columns = ("id", "name", "sound_type", "species")
    table(folder / "neurips_2021_zenodo_0_0_1.csv", columns, rows)


def cbi(folder: Path) -> None:
    """Twelve birds by ten recordists, each with one recording of each."""
    rows = [
        (bird, f"XC{at * 10 + who}.mp3", f"Recordist {who}")
        for at, bird in enumerate(classes_of("beans/cbi")[:12])
        for who in range(10)
    ]
    touch(folder, *(f"train_audio/{bird}/{name}" for bird, name, _ in rows))
    table(folder / "train.csv", ("ebird_code", "filename", "recordist"), rows)


def esc50(folder: Path) -> None:
    """Ten classes in five folds, two takes of a recording each."""
    rows = [
        (f"{fold}-{fold * 1000 + target}-{take}-{target}.wav", fold, target, name)
        for target, name in enumerate(classes_of("beans/esc50")[:10])
        for fold in range(1, 6)
        for take in "AB"
    ]
    touch(folder, *(f"audio/{row[0]}" for row in rows))
    table(folder / "meta/esc50.csv", ("filename", "fold", "target", "category"), rows)


def speech_commands(folder: Path) -> None:
    """Five words by six speakers; two are in each list; noise that is no word."""
    lists: dict[str, list[str]] = {"validation_list.txt": [], "testing_list.txt": []}
    for word in classes_of("beans/speech_commands")[:5]:
        for speaker in range(6):
            paths = [f"{word}/{speaker:08x}_nohash_{take}.wav" for take in (0, 1)]
            touch(folder, *paths)
            if speaker >= 2:
                lists["validation_list.txt" if speaker < 4 else "testing_list.txt"] += paths
    touch(folder, "_background_noise_/pink_noise.wav")
    for name, lines in lists.items():
        (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")


def dcase(folder: Path) -> None:
    """Files of ten minutes with every class, UNK, a rare class; and one that knows only Q."""
    names = [name for name in classes_of("beans/dcase") if name != "Q"]
    for at in range(2):
        path = folder / "Development_Set/Training_Set/BV" / f"file_{at}.wav"
        sound(path, 600)
        rows: list[list[object]] = []
        for minute in range(10):
            for place, name in enumerate(names):
                start = minute * 60 + 3 * place + 0.5
                marks = ["POS" if other == name else "NEG" for other in names]
                rows.append([path.name, start, start + 0.8, *marks, "NEG"])
            rows.append([path.name, minute * 60 + 55.2, minute * 60 + 55.9, "UNK"] + ["NEG"] * 17)
            rows.append(
                [path.name, minute * 60 + 57.2, minute * 60 + 57.9] + ["NEG"] * 17 + ["POS"]
            )
        columns = ("Audiofilename", "Starttime", "Endtime", *names, "AGGM")
        table(path.with_suffix(".csv"), columns, rows)
    query = folder / "Development_Set/Validation_Set/HV/query.wav"
    sound(query, 300)
    columns = ("Audiofilename", "Starttime", "Endtime", "Q")
    rows = [[query.name, 60 * at + 1.0, 60 * at + 2.0, "POS"] for at in range(5)]
    table(query.with_suffix(".csv"), columns, rows)


def enabirds(folder: Path) -> None:
    """One file of ten minutes a recording, with every species and one that is not listed."""
    names = (*classes_of("beans/enabirds")[:-1], "XXXX")
    path = folder / "Recording_1/Recording_1_Segment_01.wav"
    sound(path, 600)
    columns = ("Selection", "View", "Channel", "Begin Time (s)", "End Time (s)", "Species")
    rows = []
    for minute in range(10):
        for at, name in enumerate(names):
            start = minute * 60 + at * 1.5
            rows.append([len(rows) + 1, "Spectrogram 1", 1, start, start + 1.0, name])
    table(path.with_name(path.stem + ".Table.1.selections.txt"), columns, rows, sep="\t")


def hiceas(folder: Path) -> None:
    """Three lists, paths as BEANS writes them, a boing in the second half of the first window."""
    for split in ("train", "valid", "test"):
        lines = []
        for at in range(2):
            name = f"{split}_{at}.wav"
            sound(folder / "wav" / name, 20)
            found = [{"st": 7.0, "ed": 9.0, "label": 1}] if at == 0 else []
            path = f"data/hiceas/wav/{name}"
            lines.append(json.dumps({"path": path, "length": 20.0, "annotations": found}))
        (folder / f"{split}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


def rfcx(folder: Path) -> None:
    """Sixty recordings; each species in ten of them, in their second half as well."""
    rows = []
    for at in range(60):
        path = folder / "train" / f"{at:09x}.flac"
        sound(path, 60)
        if at % 6:
            for species in range(24):
                start = 2.0 * species + 1.0
                rows.append([path.stem, species, 1, start, 100.0, start + 1.5, 300.0])
    columns = ("recording_id", "species_id", "songtype_id", "t_min", "f_min", "t_max", "f_max")
    table(folder / "train_tp.csv", columns, rows)


def hainan_gibbons(folder: Path) -> None:
    """Eleven files of four minutes; calls of three types and one of none."""
    for at in range(11):
        path = folder / "Train" / f"HGSM3A_0+1_201603{at:02d}.wav"
        sound(path, 240)
        rows = []
        for minute in range(4):
            for kind, start in ((1, 2.0), (2, 14.0), (3, 26.0), (9, 38.0)):
                rows.append([60 * minute + start, 60 * minute + start + 3.0, kind])
        table(folder / "Train_Labels" / f"g_{path.stem}.data", ("Start", "End", "Type"), rows)
