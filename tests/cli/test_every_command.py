"""One contract for all commands: what each does on a small input, and how each refuses a wrong one.

A new command joins by a line in `RIGHT` and one in `WRONG`; without them the first test fails.
"""

from __future__ import annotations

import inspect
import json
import shlex
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import pytest
import typer

from dawnchorus.cli import app
from dawnchorus.cli.app import COMMANDS, functions_of, main
from dawnchorus.cli.renamed import new_name
from dawnchorus.errors import RunInterruptedError, StoreError, UsageError
from program_inputs import Call, Inputs, state_of

SLOW = ("pretrain", "posttrain")  # a second each
# of the commands that have it
ON_CPU = "--device cpu"

RIGHT = [
    Call("embed", f"{{recordings}} -m {{model}} -o {{out}}/s {ON_CPU}", ("s/store.json",)),
    Call(
        "predict",
        f"{{recordings}} -m {{model}} --top-k 1 --name-unfamiliar -o {{out}}/d.csv {ON_CPU}",
        ("d.csv",),
    ),
    Call("doctor", "{recordings} --csv {out}/d.csv --html {out}/d.html", ("d.csv", "d.html")),
    Call("models"),
    Call("describe", "{model}"),
    Call("verify", "{model}"),
    Call("export", "{model} -o {out}/g", ("g/model.onnx", "g/export.json")),
    Call("push", "{model} my-lab/birds"),
    Call("probe fit", f"{{calls}} -m {{model}} -o {{out}}/p --no-cache {ON_CPU}",
         ("p/probe.json", "p/probe.safetensors", "p/report.md")),
    Call("probe evaluate", f"{{probe}} {{calls}} --seen --no-cache -o {{out}}/e {ON_CPU}",
         ("e/evaluation.md",)),
    Call("search", "{store} --like {recordings}/a.wav@0.5-1 -m {model} -o {out}/f.csv "
         "--clips {out}/f", ("f.csv", "f/index.csv")),
    Call("cluster", "{store} -o {out}/m --min-size 2", ("m/clusters.csv", "m/map.png")),
    Call("label suggest", "{store} --label robin --annotations {out}/a -n 4",
         ("a/annotations.json",)),
    Call("label judge", "{judged} --author ann"),
    Call("label round", "{store} --label robin --annotations {out}/a -n 4 -o {out}/p",
         ("a/annotations.json",)),
    Call("label density", "{store} --label robin --annotations {out}/a --judge 4",
         ("a/annotations.json",)),
    Call("label density", "{store} --label wren --like {recordings}/a.wav@0.5-1 -m {model} "
         "--annotations {out}/a --judge 4", ("a/density-wren.json",)),
    Call("activity", "{deployment}/detections.csv --effort {deployment}/hill -o {out}/a.csv "
         "--report {out}/r.html --picture {out}/a.png", ("a.csv", "r.html", "a.png")),
    Call("serve", "{store} --port 0 --no-browser --read-only"),
    Call("store info", "{store}"),
    Call("store check", "{store}"),
    Call("store merge", "{store} -o {out}/all", ("all/store.json",)),
    Call("store export", "{store} -o {out}/s.npz", ("s.npz",)),
    Call("label import", "{boxes} --annotations {out}/x.annotations --author ann",
         ("x.annotations/annotations.json",)),
    Call("label export", "{saidrows} -o {out}/a.csv", ("a.csv",)),
    Call("label list", "{saidrows}"),
    Call("label merge", "{saidrows} -o {out}/all", ("all/annotations.json",)),
    Call("data import", "{calls} -o {out}/m.parquet", ("m.parquet",)),
    Call("data download", "{online} -o {out}/sound --licence CC0 --yes",
         ("sound/downloaded.parquet",)),
    Call("data join", "{manifest} -o {out}/m.parquet", ("m.parquet",)),
    Call("data filter", "{manifest} --where labels=owl -o {out}/m.parquet", ("m.parquet",)),
    Call("data split", "{manifest} --group-by path -o {out}/m.parquet", ("m.parquet",)),
    Call("data check", "{manifest} --csv {out}/c.csv -o {out}/m.parquet", ("c.csv", "m.parquet")),
    Call("data duplicates", "{manifest} --csv {out}/c.csv -o {out}/m.parquet",
         ("c.csv", "m.parquet")),
    Call("data summary", "{manifest} --plot {out}/s.png", ("s.png",)),
    Call("data pack", "{manifest} -o {out}/shards", ("shards/index.parquet",)),
    Call("data statistics", "{manifest}"),
    # the published samples hold malformed lines, which is 3
    Call("data make xeno-canto", "{xenocanto} -o {out}/m.parquet", ("m.parquet",), 3),
    Call("data make inaturalist", "{inaturalist} -o {out}/m.parquet", ("m.parquet",), 3),
    Call("data make animal-sound-archive", "{animalsoundarchive} -o {out}/m.parquet",
         ("m.parquet",)),
    Call("data make watkins", "{watkins} --licence any -o {out}/m.parquet", ("m.parquet",), 3),
    Call("data make audioset", "{audioset} --licence any -o {out}/m.parquet", ("m.parquet",), 3),
    Call("pretrain", "{pretraining} --runs {out}/runs", ("runs/small/export/model.safetensors",)),
    Call("posttrain", "{posttraining} --runs {out}/runs",
         ("runs/small/export/model.safetensors",)),
    Call("benchmark run", f"-m {{model}} -t local/bird_species --data {{corpus}} -p none "
         f"-o {{out}}/b {ON_CPU}", ("b/results.csv", "b/results.parquet")),
    Call("benchmark tasks"),
    Call("benchmark prepare", "local/bird_species --data {corpus}"),
    Call("benchmark merge", "{results} -o {out}/all", ("all/results.csv",)),
    Call("benchmark report", "{results} -o {out}/r", ("r/report.html", "r/report.md")),
    Call("benchmark leaks", "{corpus}/manifest.parquet --against {corpus}/manifest.parquet "
         "--written-only -o {out}/a", ("a/hits.parquet", "a/items.parquet", "a/audit.json")),
]  # fmt: skip

_GONE = "{root}/gone"
WRONG = [
    Call("embed", "-o {out}/s", code=2, message="need recordings or folders of recordings"),
    Call("embed", "{recordings} -m nobody -o {out}/s", code=2, message="no model, file or folder"),
    Call("embed", "{recordings} -o {out}/s --shard 2", code=2, message="need I/N with I from 0"),
    Call("embed", "{recordings} -o {out}/s --channel left", code=2, message="need mean, or a"),
    Call("embed", "{recordings} -o {out}/s --address auto", code=2, message="--address is for ray"),
    Call("embed", "--recordings {root}/x.txt -o {out}/s", code=2, message="need a .csv file"),
    Call("embed", "{recordings} -m {model} -o {out}/s --hop 0", code=2, message="hop_s"),
    Call("embed", "{recordings} -m {model} -o {out}/s --dtype int8", code=2, message="float16"),
    Call("embed", "{recordings} -m {model} -o {out}/s --precision half", code=2, message="float32"),
    Call("embed", "{recordings} -m {model} -o {out}/s --device abacus", code=2, message="cuda"),
    Call("predict", f"{_GONE} -m {{model}}", code=2, message="no such file or folder"),
    Call("predict", "{recordings} -m {model} --threshold 2", code=2, message="threshold"),
    Call("predict", "{recordings} -m {model} --top-k 0", code=2, message="top_k"),
    Call("predict", "{recordings} -m {model} -o {out}/d.xyz", code=2, message=".csv"),
    Call("predict", "{recordings} -m {model} --format jsonl", code=2, message="needs an output"),
    Call("predict", "{recordings} -m {model} --gap 1", code=2, message="merge"),
    Call("predict", "{recordings} --probe {calls}", code=2, message="probe.json"),
    Call("doctor", "", code=2, message="Missing argument"),
    Call("doctor", "{recordings} --time-zone Mars --csv {out}/d.csv", code=2,
         message="need an IANA name such as Europe/Berlin"),
    Call("models", "all", code=2, message="unexpected extra argument"),
    Call("describe", "nobody", code=2, message="no model, file or folder"),
    Call("verify", f"{_GONE}.safetensors", code=2, message="no such file"),
    Call("export", "{model} --backend torch", code=2, message="need onnx or onnx-int8"),
    Call("push", "{model} a--b/c", code=2, message="cannot be the name of an owner"),
    Call("probe fit", f"{_GONE} -o {{out}}/p", code=2, message="gone"),
    Call("probe fit", "{calls} -o {probe}", code=2, message="there is a probe already"),
    Call("probe fit", "{calls} -o {out}/p --label owl", code=2, message="name them: --annotations"),
    Call("probe fit", "{calls} -o {out}/p --calibration magic", code=2, message="isotonic"),
    Call("probe fit", "{calls} -o {out}/p --input-format ods", code=2, message="audacity"),
    Call("probe fit", "{calls} -m {model} -o {out}/p --no-cache --few-shot 0", code=2,
         message="need numbers from 1"),
    Call("probe evaluate", "{probe} {calls} --no-cache", code=2, message="fitted on"),
    Call("probe evaluate", "{probe} {manifest} --split test", code=2, message="has no such clip"),
    Call("search", "{store}", code=2, message="at least one sound, label or vector"),
    Call("search", "{store} --like {recordings}/a.wav -m {model} -o {out}/f.xls", code=2,
         message="need a file that ends in .csv"),
    Call("search", "{store} --like {recordings}/a.wav@2-1 -m {model}", code=2,
         message="need START < STOP"),
    Call("search", "{store} --label owl", code=1, message="not an annotation table"),
    Call("cluster", "{calls} -o {out}/m", code=1, message="not an embedding store"),
    Call("cluster", "{store} -o {out}/m --duplicates 2", code=2, message="duplicates"),
    Call("cluster", "{store} -o {out}/m --dates may", code=2, message="2024-05-01.."),
    Call("label suggest", "{store} -n 3", code=2, message="name it: --label"),
    Call("label suggest", "{store} --label owl --strategy best --annotations {out}/a", code=2,
         message="need one of mixed"),
    Call("label suggest", "{store} --label owl --strategy high --annotations {out}/a", code=2,
         message="needs scores"),
    Call("label judge", "{boxes}", code=2, message="Name the folder: --annotations"),
    Call("label judge", "{judged} --label emu", code=2, message="no suggestion of 'emu'"),
    Call("label round", "{store}", code=2, message="name it: --label wren"),
    Call("label round", "{store} --label owl --width 0", code=2, message="--width 0: need a share"),
    Call("label round", "{store} --label owl --annotations {out}/a --strategy random", code=2,
         message="choose another strategy"),
    Call("label density", "{store} --label owl --probe {probe} --like a.wav", code=2,
         message="by one of them, not by both"),
    Call("label density", "{store} --label emu --judge 4 --annotations {out}/a", code=2,
         message="emu"),
    Call("activity", "{deployment}/detections.csv", code=2, message="not what was recorded"),
    Call("activity", "{deployment}/detections.csv --effort {deployment}/hill --by week", code=2,
         message="need some of site, date, hour"),
    Call("activity", "{deployment}/detections.csv --effort {deployment}/hill -o {out}/a.xls",
         code=2, message=".csv or .parquet"),
    Call("activity", "{deployment}/detections.csv --effort {deployment}/hill --report {out}/r.pdf",
         code=2, message="ends in .html"),
    Call("activity", "{store}", code=2, message="no recording says when it began"),
    Call("serve", "{calls}", code=1, message="not an embedding store"),
    Call("serve", "{store} --host 0.0.0.0", code=2, message="say --allow-remote"),
    Call("serve", "{store} --probe birds", code=2, message="need NAME=VALUE"),
    Call("store info", "{calls}", code=1, message="not an embedding store"),
    Call("store check", _GONE, code=1, message="not an embedding store"),
    Call("store merge", "{calls} -o {out}/all", code=1, message="not an embedding store"),
    Call("store export", "{store} -o {out}/s.xls", code=2, message=".npz"),
    Call("store export", "{store} -o {out}/s.csv --columns colour", code=2, message="colour"),
    Call("store export", "{store} -o {out}/s.csv --time-of-day dawn", code=2,
         message="04:00-07:00"),
    Call("store export", "{store} -o {out}/s.csv --dates may", code=2, message="2024-05-01.."),
    Call("store export", "{store} -o {out}/s.csv --label emu", code=2, message="emu"),
    Call("label import", "{boxes}", code=2, message="name the folder: --annotations"),
    Call("label import", "{boxes} --annotations {out}/x --state no", code=2, message="present"),
    Call("label export", "{saidrows} -o {out}/a.xyz", code=2, message="no format ends in"),
    Call("label export", "{saidrows} -o {out}/a.csv --label emu", code=2,
         message="no such annotation"),
    Call("label list", _GONE, code=1, message="not an annotation table"),
    Call("label merge", f"{_GONE} -o {{out}}/all", code=1, message="not an annotation table"),
    Call("data import", f"{_GONE} -o {{out}}/m.parquet", code=2, message="gone"),
    Call("data import", "{calls} --separator ; -o {out}/m.parquet", code=2,
         message="--separator is for csv, raven; this is read as folder"),
    Call("data import", "{calls} --label-from name -o {out}/m.parquet", code=2, message="parent"),
    Call("data import", "{calls} --input-format ods -o {out}/m.parquet", code=2,
         message="known: "),
    Call("data download", "{manifest} -o {out}/sound --yes", code=1, message="url"),
    Call("data download", "{online} -o {out}/sound --downloads 0", code=2, message="n_downloads"),
    Call("data join", f"{_GONE}.parquet -o {{out}}/m.parquet", code=1, message="gone.parquet"),
    Call("data filter", "{manifest} --where colour -o {out}/m.parquet", code=2, message="colour"),
    Call("data split", "{manifest} --shares train=most -o {out}/m.parquet", code=2,
         message="need numbers, as in train=0.8,val=0.2"),
    Call("data split", "{manifest} --keep --replace -o {out}/m.parquet", code=2,
         message="exclude each other"),
    Call("data split", "{manifest} --group-by colour -o {out}/m.parquet", code=2,
         message="colour"),
    Call("data check", f"{_GONE}.parquet --csv {{out}}/c.csv", code=1, message="gone.parquet"),
    Call("data duplicates", f"{_GONE}.parquet --csv {{out}}/c.csv", code=1, message="gone.parquet"),
    Call("data summary", f"{_GONE}.parquet --plot {{out}}/s.png", code=1, message="gone.parquet"),
    Call("data split", "{manifest} --seed -1 -o {out}/m.parquet", code=2, message="--seed"),
    Call("data pack", "{manifest} -o {manifest}", code=2, message="is a file; need a folder"),
    Call("data pack", "{manifest} -o {out}/shards --shard-mb 0", code=2, message="need a size"),
    Call("data statistics", "{manifest} --split test", code=1, message="test"),
    Call("data make xeno-canto", "-o {out}/m.parquet", code=2, message="or --query"),
    Call("data make xeno-canto", "{xenocanto} --query owl -o {out}/m.parquet", code=2,
         message="--query asks the API"),
    Call("data make inaturalist", f"{_GONE} -o {{out}}/m.parquet", code=1, message="gone"),
    Call("data make animal-sound-archive", "{animalsoundarchive} --match-service --backbone "
         "{root}/b.zip -o {out}/m.parquet", code=2, message="exclude each other"),
    Call("data make watkins", f"{_GONE} -o {{out}}/m.parquet", code=1, message="gone"),
    Call("data make audioset", "{audioset} --licence CC0 -o {out}/m.parquet", code=1,
         message="no recording is left of 2"),
    Call("pretrain", f"{_GONE}.yaml --runs {{out}}/runs", code=2, message="gone.yaml"),
    Call("pretrain", "{pretraining} --steps 0 --runs {out}/runs", code=2, message="steps"),
    Call("posttrain", "", code=2, message="give a YAML file or --folder"),
    Call("posttrain", "{pretraining} --runs {out}/runs", code=2, message="kind"),
    Call("benchmark run", "-t local/bird_species -o {out}/b", code=2, message="give -m"),
    Call("benchmark run", "-m log-mel -t birds -o {out}/b", code=2, message="birds"),
    Call("benchmark prepare", "local/bird_species --protocol loose", code=2,
         message="need strict or paper"),
    Call("benchmark tasks", "all", code=2, message="unexpected extra argument"),
    Call("benchmark merge", f"{_GONE} -o {{out}}/all", code=1, message="gone"),
    Call("benchmark report", f"{_GONE} -o {{out}}/r", code=1, message="gone"),
    Call("benchmark report", "{results} -o {out}/r --where model", code=2,
         message="need NAME=VALUE"),
    Call("benchmark leaks", "{manifest} --against {manifest} --of-task frogs -o {out}/a", code=1,
         message="frogs"),
]  # fmt: skip

FUNCTIONS = {
    " ".join((name, *words)): function
    for name in COMMANDS
    for words, function in functions_of(name).items()
    if new_name(function) is None
}
Capture = pytest.CaptureFixture[str]


def name_of(call: Call) -> str:
    return f"{call.words} {call.arguments}" if call.code in {1, 2} else call.words


right = pytest.mark.parametrize("call", RIGHT, ids=name_of)
every_command = pytest.mark.parametrize("words", FUNCTIONS)


def has(words: str, parameter: str) -> bool:
    return parameter in inspect.signature(FUNCTIONS[words]).parameters


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, out: Path) -> None:
    """No network, no pictures of training, and files without a name go to the empty folder."""
    address = "https://hub.invalid/commit/1"
    monkeypatch.setattr("dawnchorus.models.hub.upload", lambda *_: address)
    monkeypatch.setattr("dawnchorus.training.loop.draw_curves", lambda *_: None)  # takes a second
    monkeypatch.setattr("dawnchorus.serve.server._serve", lambda *_: None)  # waits for Ctrl-C
    monkeypatch.setenv("DAWNCHORUS_CACHE", str(out.parent / "cache"))
    monkeypatch.chdir(out)


def test_every_command_is_in_both_tables() -> None:
    assert [call.words for call in RIGHT if call.words in FUNCTIONS] == [c.words for c in RIGHT]
    assert {call.words for call in RIGHT} == set(FUNCTIONS)
    assert {call.words for call in WRONG} == set(FUNCTIONS)


@right
def test_it_runs_and_writes_what_it_says(
    call: Call, inputs: Inputs, out: Path, capsys: Capture
) -> None:
    line = call.line(inputs, out)
    before = state_of(inputs["root"])
    assert main(line) == call.code
    told = capsys.readouterr()
    assert told.out.strip()
    assert not told.err.startswith("dawnchorus: ")
    for name in call.writes:
        assert (out / name).stat().st_size > 0, name
    # what it makes is what it was asked for, and its input stays as it is
    assert {name.partition("/")[0] for name in state_of(out)} <= {
        name.partition("/")[0] for name in call.writes
    } | {"m.labels.csv"}
    assert state_of(inputs["root"]) == before


@pytest.mark.parametrize(
    "call",
    [call for call in RIGHT if has(call.words, "as_json") and call.words not in SLOW],
    ids=name_of,
)
def test_json_is_one_document_and_quiet_is_silent(
    call: Call, inputs: Inputs, out: Path, capsys: Capture
) -> None:
    quiet = ["--quiet"] if has(call.words, "quiet") else []
    assert main([*call.line(inputs, out), "--json", *quiet]) == call.code
    told = capsys.readouterr()
    facts = json.loads(told.out)
    assert facts
    assert isinstance(facts, dict | list)
    if quiet:
        assert told.err == ""


@pytest.mark.parametrize(
    "call", [call for call in RIGHT if has(call.words, "dry_run")], ids=name_of
)
def test_a_dry_run_writes_nothing(call: Call, inputs: Inputs, out: Path, capsys: Capture) -> None:
    line = [*call.line(inputs, out), "--dry-run"]
    before = state_of(inputs["root"])
    assert main(line) == call.code
    told = capsys.readouterr()
    assert told.out + told.err
    assert state_of(out) == {}
    assert state_of(inputs["root"]) == before


@pytest.mark.parametrize("call", WRONG, ids=name_of)
def test_what_is_wrong_is_said_in_a_line_and_leaves_nothing(
    call: Call, inputs: Inputs, out: Path, capsys: Capture
) -> None:
    line = call.line(inputs, out)
    before = state_of(inputs["root"])
    assert main(line) == call.code
    told = capsys.readouterr()
    assert told.out == ""
    first, *others = told.err.splitlines()
    assert first.startswith("dawnchorus")
    assert call.message in first
    # wrong words of the command itself are answered with where to look
    assert others in ([], [f"See: dawnchorus {call.words.split()[0]} --help"])
    assert state_of(out) == {}
    assert state_of(inputs["root"]) == before


def test_sizes_of_shards_are_above_nothing(inputs: Inputs, out: Path, capsys: Capture) -> None:
    for size in ("0", "-1"):
        call = ["data", "pack", str(inputs["manifest"]), "-o", str(out / "x"), "--shard-mb", size]
        assert main(call) == 2
        assert f"shard_mb {size}: need a size above 0" in capsys.readouterr().err


@every_command
def test_an_unknown_option_is_named_and_help_is_offered(words: str, capsys: Capture) -> None:
    assert main([*words.split(), "--no-such-option"]) == 2
    told = capsys.readouterr()
    first, second = told.err.splitlines()
    command = words.split()[0]
    assert (told.out, second) == ("", f"See: dawnchorus {command} --help")
    assert first.startswith(f"dawnchorus {command}: ")
    assert "--no-such-option" in first
    assert "did you mean" not in first.lower()


@every_command
def test_its_examples_are_calls_of_it(
    words: str, received: list[dict[str, Any]], capsys: Capture
) -> None:
    text = inspect.getdoc(FUNCTIONS[words]) or ""
    examples = [
        line.removeprefix("Example: ") for line in text.splitlines() if line.startswith("Example: ")
    ]
    assert examples
    for number, example in enumerate(examples, start=1):
        program, *arguments = shlex.split(example)
        assert program == "dawnchorus"
        assert arguments[: len(words.split())] == words.split() or words == "benchmark run"
        assert main(arguments) == 0, capsys.readouterr().err
        assert len(received) == number
        # every word of it arrives, and none is an old name
        assert capsys.readouterr().err == ""
        assert any(value not in (None, False) for value in received[-1].values()) or len(
            arguments
        ) == len(words.split())


@every_command
def test_it_hands_on_what_stops_it(
    words: str, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    """A code, an error of ours, Ctrl-C: as an exit code, and with --debug as they are."""
    ends: list[Callable[[], int]] = []

    def ending(function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def call(**_: Any) -> int:
            return ends[-1]()

        # whatever it needs, it gets
        call.__signature__ = inspect.Signature()  # type: ignore[attr-defined]
        call.__annotations__ = {}
        return call

    def fails(error: BaseException) -> Callable[[], int]:
        def end() -> int:
            raise error

        return end

    monkeypatch.setattr(app, "_finite", ending)
    for end, code, message in (
        (lambda: 3, 3, ""),
        (fails(StoreError("a.store: damaged")), 1, "dawnchorus: a.store: damaged\n"),
        (fails(UsageError("--hop 0: need more")), 2, "dawnchorus: --hop 0: need more\n"),
        (fails(KeyboardInterrupt()), 130, "dawnchorus: interrupted\n"),
    ):
        ends.append(end)
        assert main(words.split()) == code
        told = capsys.readouterr()
        assert (told.out, told.err) == ("", message)
    # typer.Abort is Ctrl-C or Ctrl-D where a question is asked
    for error, raised in (
        (StoreError("a.store: damaged"), StoreError),
        (KeyboardInterrupt(), RunInterruptedError),
        (typer.Abort(), RunInterruptedError),
    ):
        ends.append(fails(error))
        with pytest.raises(raised):
            main([*words.split(), "--debug"])
