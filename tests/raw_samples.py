"""Small raw sets in the layouts of their publishers, with their quirks, made anew for each test."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import soundfile

from dawnchorus.benchmark.prepare import data_folder
from dawnchorus.benchmark.tasks import local
from dawnchorus.benchmark.tasks.base import Task
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
        at = len(rows)
        of = [f"{name or kind} recording {take % 5}.wav" for take in range(n)]
        rows += [(at + take, of[take], kind, name) for take in range(n)]
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
        starts = [(minute * 60 + at * 1.5, name) for at, name in enumerate(names)]
        rows += [[1, "Spectrogram 1", 1, start, start + 1.0, name] for start, name in starts]
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
    """Twenty recordings; each species in most of them, in their second half as well."""
    rows = []
    for at in range(20):
        path = folder / "train" / f"{at:09x}.flac"
        sound(path, 60)
        if at % 6:
            rows += [[path.stem, n, 1, 2.0 * n + 1, 100.0, 2.0 * n + 2.5, 300.0] for n in range(24)]
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


def birdset_rows(subset: str) -> tuple[list[dict[str, object]], list[dict[str, object]]]:
    """Focal recordings of six birds by six people, and clips of two soundscapes, as on the hub."""
    codes = classes_of(f"birdset/{subset}")[:6]
    facts = {
        "detected_events": [[1.0, 2.0], [10.0, 11.0], [10.5, 11.0], [28.0, 29.5]],
        "event_cluster": [-1, 0, 0, 0],
        "length": 30,
    }
    focal: list[dict[str, object]] = [
        facts
        | {
            "filepath": f"XC{100 * at + person}.ogg",
            "ebird_code": code,
            "ebird_code_multilabel": [code],
            "recordist": f"Person {person}",
        }
        for at, code in enumerate(codes)
        for person in range(6)
    ]
    focal[0] |= {"detected_events": [], "event_cluster": []}
    focal.append(focal[1] | {"filepath": "XC900.ogg", "ebird_code_multilabel": list(codes[:2])})
    if subset in ("POW", "PER", "NES", "HSN"):
        focal.append(focal[1] | {"filepath": "XC901.ogg", "ebird_code_multilabel": []})
    scapes: list[dict[str, object]] = []
    for night in range(2):
        for second in range(0, 40, 5):
            heard = [] if second == 0 else [codes[second % 6], classes_of(f"birdset/{subset}")[-1]]
            name = f"{subset}_001_2015070{night}_061805_{second:03d}_{second + 5:03d}.ogg"
            scapes.append({"filepath": name, "ebird_code_multilabel": heard})
    return focal, scapes


def birdset(folder: Path, subset: str) -> None:
    """The branch ``data``: tables with names, archives unpacked into a folder each."""
    for split, rows in zip(("train", "test_5s"), birdset_rows(subset), strict=True):
        folder.mkdir(parents=True, exist_ok=True)
        typed = [row | {"ebird_code": row.get("ebird_code")} for row in rows]
        pq.write_table(pa.Table.from_pylist(typed), folder / f"{subset}_metadata_{split}.parquet")
        shards = (f"{split}/{subset}_shard_{2 - at % 2:04d}/" for at in range(len(rows)))
        touch(folder, *(f"{to}{row['filepath']}" for to, row in zip(shards, rows, strict=True)))


def birdset_with_sounds(folder: Path, subset: str) -> None:
    """Converted to Parquet: sounds in the table, codes as numbers, a name only in ``audio``."""
    numbers = {code: at for at, code in enumerate(classes_of(f"birdset/{subset}"))}
    for split, rows in zip(("train", "test_5s"), birdset_rows(subset), strict=True):
        typed = []
        for row in rows:
            name = str(row["filepath"])
            several = [numbers[code] for code in row["ebird_code_multilabel"]]  # type: ignore[attr-defined]
            sound = {"bytes": f"sound of {name}".encode(), "path": name}
            typed.append(row | {"ebird_code_multilabel": several, "audio": sound})
            typed[-1].pop("ebird_code", None)
            typed[-1].pop("filepath")
        (folder / split).mkdir(parents=True, exist_ok=True)
        for part in (0, 1):
            table = pa.Table.from_pylist(typed[part::2])
            pq.write_table(table, folder / split / f"{part:04d}.parquet")


def stowell2019(folder: Path) -> None:
    """Lists with a column an individual; train on two days, test in another year."""
    for species, plural in (("chiffchaff", ""), ("littleowl", "s"), ("pipit", "")):
        individuals = ("PC1101", "PC1102", "PC1103")
        for part, days in (("trn", (1, 2, 3)), ("tst", (1, 2))):
            rows = []
            for at, who in enumerate(individuals):
                for day in days:
                    for clip in range(4):
                        marks = ["1" if other == at else "" for other in range(3)]
                        rows.append([f"cutted_{part}_day{day}_{who}_{clip:04d}.wav", *marks])
            name = f"{species}-acrossyear-fg-{part}.csv"
            table(folder / "csv" / name, ("wavfilename", *individuals), rows)
            touch(folder, *(f"{species}{plural}-fg/{row[0]}" for row in rows))
            touch(folder, *(f"{species}{plural}-bg/{row[0]}" for row in rows))


def macaques(folder: Path) -> None:
    """Eight individuals, in folders by published split."""
    rows = []
    for who in ("AL", "BE", "IO", "MU", "QU", "SN", "TH", "TW"):
        for at in range(14):
            split = "train" if at < 10 else "valid"
            rows.append((f"{who}{at}.wav", who, split))
    touch(folder, *(f"{split}/{name}" for name, _, split in rows))
    table(folder / "annotations.csv", ("filename", "class", "split"), rows)


def zebra_finch(folder: Path) -> None:
    """Adults and chicks, with another spelling of a type and a misread name."""
    names = [
        f"AdultVocalizations/BlaBla{bird}_110302-{code}-{take:02d}.wav"
        for bird in range(3)
        for code in ("Ag", "DC", "Di", "LT", "Te", "Th", "Tu", "Wh", "So", "Ne")
        for take in range(3)
    ]
    names += [f"AdultVocalizations/BlaBla{bird}_110302-Dc-99.wav" for bird in range(3)]
    names += ["AdultVocalizations/BlaBla0_110302-12-01.wav"]
    names += [
        f"ChickVocalizations/HPiHPi{bird}_110302-{code}-{take:02d}.wav"
        for bird in range(2)
        for code in ("Be", "LT")
        for take in range(3)
    ]
    touch(folder, *names)


def giant_otters(folder: Path) -> None:
    """Sounds named by their type, two of them twins but for case."""
    types = ("Ascending scream", "Suckling Call", "Suckling call", "whine", "Whine", "Hum")
    touch(folder, *(f"giant_otters/Audio_S1/{kind} {at}.wav" for kind in types for at in (1, 2, 3)))


def bengalese_finch(folder: Path) -> None:
    """Eleven birds with five songs of two sequences each; positions are relative to a sequence."""
    for bird in range(11):
        sequences = []
        for song in range(5):
            sound(folder / f"Bird{bird}/Wave/{song}.wav", 6)
            for position in (1 * RATE, 3 * RATE):
                notes = "".join(
                    f"<Note><Position>{at * 800}</Position><Length>400</Length>"
                    f"<Label>{at % 3}</Label></Note>"
                    for at in range(6)
                )
                sequences.append(
                    f"<Sequence><NumNote>6</NumNote><WaveFileName>{song}.wav</WaveFileName>"
                    f"<Position>{position}</Position><Length>5000</Length>{notes}</Sequence>"
                )
        text = f"<Sequences><NumSequence>10</NumSequence>{''.join(sequences)}</Sequences>"
        (folder / f"Bird{bird}/Annotation.xml").write_text(text, encoding="utf-8")


def killer_whale(folder: Path) -> None:
    """Two sites; other whales, doubtful and overlapping calls among them."""
    columns = ("filename", "start", "end", "kw_ecotype", "call_type")
    for site in ("boundary_pass", "roberts_bank"):
        rows = []
        for at, kind in enumerate(
            ("S01", "S01", "S44", "S16", "S02iii", "S01?", "S01+S04", "", "T03")
        ):
            ecotype = "TKW" if kind == "T03" else "SRKW"
            rows.append((f"{site}_{at % 2}.wav", 3.0 * at, 3.0 * at + 1.2, ecotype, kind))
        touch(folder, *(f"audio/{site}/{site}_{file}.wav" for file in (0, 1)))
        table(folder / "annotations" / f"{site}.csv", columns, rows)


def corpus(folder: Path) -> None:
    """Four rows of two classes a task of ``local``, an empty window, and what is in no task."""

    def row(
        id: str, path: str, split: str, tasks: list[str], labels: list[str]
    ) -> dict[str, object]:
        where = {"id": id, "path": path, "start_s": 0.0, "stop_s": 1.0, "group": f"{id}:{split}"}
        return where | {"labels": labels, "split": split, "tasks": tasks, "level": "file"}

    rows = []
    for task in local.TASKS:
        name = task.id.partition("/")[2]
        for at, split in enumerate(("train", "val", "test")):
            labels = ["wren"] if at or task.kind != "detection" else ["wren", "robin"]
            rows.append(row(f"{name}/{at}", f"audio/{name}/{at}.opus", split, [task.id], labels))
        rows.append(row(f"{name}/more", f"audio/{name}/0.opus", "train", [task.id], ["robin"]))
    rows.append(row("noise", "audio/noise.opus", "train", [], ["rain"]))
    scenes = "local/scene_detection"
    rows.append(row("empty", "audio/scene_detection/2.opus", "test", [scenes], []))
    touch(folder, *(str(one["path"]) for one in rows))
    pq.write_table(pa.Table.from_pylist(rows), folder / "manifest.parquet")


def lay_out(root: Path, task: Task) -> None:
    """A sample of a task's set where `prepare` looks for it, once."""
    folder = data_folder(task, root)
    if folder.exists():
        return
    family, _, name = (task.folder or task.id).partition("/")
    if family == "local":
        corpus(folder)
    elif family == "birdset":
        birdset(folder, name)
    else:
        globals()[name](folder)
