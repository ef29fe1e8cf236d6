"""Names of before a renaming work for one version, say so once, and mean what the new name means.

A renamed flag or command joins by a line in `OLD`; without it the first test fails.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dawnchorus.cli.app import COMMANDS, functions_of, main
from dawnchorus.cli.renamed import DROPPED_FLAGS, OLD_FLAGS, new_name
from dawnchorus.store.read import Store
from program_inputs import Inputs

Capture = pytest.CaptureFixture[str]
IMPORT = "data import t.csv -o m.parquet"

# the old line, today's line, what is said
OLD = [
    ("predict a.wav --labels l.txt", "predict a.wav --species l.txt", "--labels is now --species"),
    ("probe fit c -o p --format csv", "probe fit c -o p --input-format csv",
     "--format is now --input-format"),
    ("probe fit c -o p --nothing wind", "probe fit c -o p --background wind",
     "--nothing is now --background"),
    ("probe fit c -o p --probe=knn", "probe fit c -o p --probe-type=knn",
     "--probe is now --probe-type"),
    ("probe evaluate p c --format csv", "probe evaluate p c --input-format csv",
     "--format is now --input-format"),
    ("probe evaluate p c --nothing wind", "probe evaluate p c --background wind",
     "--nothing is now --background"),
    ("probe predict p a.wav --top-k 3", "predict a.wav --probe p --top-k 3",
     "probe predict is now predict --probe FOLDER"),
    ("describe m --labels", "describe m --list-labels", "--labels is now --list-labels"),
    ("data download m.parquet -o s --at-once 3", "data download m.parquet -o s --downloads 3",
     "--at-once is now --downloads"),
    *((f"data {form} t.csv -o m.parquet", f"{IMPORT} --input-format {form}",
       f"data {form} is now data import") for form in ("folder", "csv", "raven", "audacity")),
    ("data split m.parquet -o n.parquet --by site", "data split m.parquet -o n.parquet "
     "--group-by site", "--by is now --group-by"),
    ("data pack m.parquet -o s --prefix x", "data pack m.parquet -o s",
     "--prefix is no longer an option and is ignored: shards are named shard-NUMBER"),
    ("data pack m.parquet -o s --prefix=x", "data pack m.parquet -o s",
     "--prefix is no longer an option and is ignored: shards are named shard-NUMBER"),
    ("data statistics m.parquet --clips 9", "data statistics m.parquet --n-clips 9",
     "--clips is now --n-clips"),
    ("benchmark run -m log-mel -o b --labels 5,10", "benchmark run -m log-mel -o b "
     "--few-shot 5,10", "--labels is now --few-shot"),
    ("benchmark run -m log-mel -o b --probe knn", "benchmark run -m log-mel -o b --probe-type knn",
     "--probe is now --probe-type"),
    # without the word run, which is what benchmark does by default
    ("benchmark -m log-mel -o b --probe knn", "benchmark -m log-mel -o b --probe-type knn",
     "--probe is now --probe-type"),
    ("benchmark leaks m.parquet --against n.parquet -o a --task t",
     "benchmark leaks m.parquet --against n.parquet -o a --of-task t", "--task is now --of-task"),
]  # fmt: skip


def test_every_old_name_is_in_the_table() -> None:
    lines = [old for old, _, _ in OLD]
    for name in COMMANDS:
        for words, function in functions_of(name).items():
            call = " ".join((name, *words))
            its_lines = [line for line in lines if f"{line} ".startswith(f"{call} ")]
            if new_name(function) is not None:
                assert its_lines, call
                continue  # flags of an old command are in the next test
            old_flags = {**getattr(function, OLD_FLAGS, {}), **getattr(function, DROPPED_FLAGS, {})}
            for flag in old_flags:
                assert any(f" {flag.split()[0]}" in line for line in its_lines), f"{call} {flag}"


@pytest.mark.parametrize(("old", "new", "said"), OLD, ids=[old for old, _, _ in OLD])
def test_an_old_line_is_todays_line_and_one_warning(
    old: str, new: str, said: str, received: list[dict[str, Any]], capsys: Capture
) -> None:
    for line, told in ((old, f"warning: {said}\n"), (new, "")):
        assert main(line.split()) == 0
        assert (capsys.readouterr().err, len(received)) == (told, 1 + (line == new))
    by_old, by_new = (_chosen(given) for given in received)
    if new_name(functions_of("data").get((old.split()[1],), len)) == "data import":
        assert by_new.pop("input_format") == old.split()[1]  # which the old one knows by its name
    assert by_old == by_new
    assert by_new


def _chosen(given: dict[str, Any]) -> dict[str, Any]:
    return {
        name: [str(path) for path in value] if isinstance(value, list) else str(value)
        for name, value in given.items()
        if value not in (None, False)
    }


@pytest.mark.parametrize("form", ["folder", "csv", "raven", "audacity"])
def test_an_old_import_has_its_old_flag_too(
    form: str, received: list[dict[str, Any]], capsys: Capture
) -> None:
    assert main(["data", form, "t.csv", "-o", "m.parquet", "--label", "Art"]) == 0
    assert capsys.readouterr().err.splitlines() == [
        f"warning: data {form} is now data import",
        "warning: --label is now --column labels=",
    ]
    assert received[0]["column"] == ["labels=Art"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("data split {manifest} --by path -o ", "data split {manifest} --group-by path -o "),
        ("data csv {table} --label Art -o ", "data import {table} --column labels=Art -o "),
        ("data folder {calls} -o ", "data import {calls} --input-format folder -o "),
        ("probe predict {probe} {recordings} --top-k 1 -q --device cpu -o ",
         "predict {recordings} --probe {probe} --top-k 1 -q --device cpu -o "),
    ],
)  # fmt: skip
def test_an_old_line_makes_the_same_bytes(
    old: str, new: str, inputs: Inputs, out: Path, capsys: Capture
) -> None:
    table = out / "t.csv"
    table.write_text(f"path,start,end,Art\n{inputs['calls']}/owl/0.wav,0.1,0.4,owl\n")
    needed = re.findall(r"{(\w+)}", old)
    paths = {name: table if name == "table" else inputs[name] for name in needed}
    capsys.readouterr()
    printed = []
    for name, line in (("old", old), ("new", new)):
        target = out / f"{name}.parquet"
        assert main([*line.format(**paths).split(), str(target)]) == 0
        told = capsys.readouterr()
        assert told.err.startswith("warning: ") == (name == "old")
        printed.append(told.out.replace(str(target), "TARGET"))
    assert printed[0] == printed[1]
    assert (out / "old.parquet").read_bytes() == (out / "new.parquet").read_bytes()


@pytest.mark.parametrize(
    ("old", "new"),
    [("--layers 1", "--readout 1"), ("--layers 0,1 --pooling max", "--readout 0:max,1:max")],
)
def test_the_two_options_before_readout_choose_the_same_vectors(
    old: str, new: str, inputs: Inputs, out: Path, capsys: Capture
) -> None:
    call = ["embed", str(inputs["recordings"]), "-m", str(inputs["model"]), "--device", "cpu", "-q"]
    told = []
    for name, flags in (("old", old), ("new", new)):
        assert main([*call, "-o", str(out / name), *flags.split()]) == 0
        told.append(capsys.readouterr().err.splitlines())
    assert told[1] == []
    assert all("warning: " in line and "readout" in line for line in told[0])
    assert len(told[0]) == 1
    by_old, by_new = (Store(out / name).read()[0] for name in ("old", "new"))
    np.testing.assert_array_equal(by_old, by_new)
