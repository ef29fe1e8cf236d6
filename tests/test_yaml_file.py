"""Whatever a YAML file holds, it becomes values or one short error."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dawnchorus.configs import PosttrainConfig, read_yaml
from dawnchorus.configs.yaml_file import MOST_BYTES, parse_yaml
from dawnchorus.errors import DawnChorusError, UsageError

RECIPE = (
    "kind: posttrain\nname: x\nsteps: 10\ndata: {root: here}\n"
    "buckets: [{crop_s: 1, batch_size: 2}]\n"
)
WORDS = [
    "a", "<<", "1", "-3", "1e9", "0x1f", "1:30", ".inf", ".nan", "true", "null", "~", "2020-13-45",
    "2020-01-01", "!!int", "!!float", "!!timestamp", "!!bool", "!!binary", "!!set", "!!omap",
    "!!python/object:os.system", "!x", "&a", "*a", "&b", "*b", "[", "]", "{", "}", ",", ": ", "- ",
    "? ", "\n", "\n  ", "\n    ", "'", '"', "|\n", ">\n", "#", "---", "...", "%YAML 9.9\n", "\t",
    "\x00", "\ufeff", "é", "_", "name", "steps", "data", "buckets", "crop_s",
]  # fmt: skip


def nested(width: int, levels: int) -> str:
    lines = [f"a0: &a0 [{','.join(['x'] * width)}]"]
    lines += [f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * width)}]" for i in range(1, levels)]
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (nested(10, 10), "more than 100000 values"),
        (f"a: &a {'x' * 100_000}\nb: [{','.join(['*a'] * 100)}]", "more than 4 MB"),
        ("[" * 5000, "deeper than 40 levels"),
        ("\n".join(["a0: &a0 x", *(f"a{i}: &a{i} [*a{i - 1}]" for i in range(1, 99))]), "deeper"),
        ("a: &a [1, *a]", "an alias stands inside"),
        ("a: 1\nb: {c: 1, c: 2}", "line 2: the key 'c' is there twice"),
        ("[a, b]: 1", "a key must be one word"),
        ("a: !!python/object:os.system x", "not a YAML file"),
        ("a: !!timestamp soon", "not a YAML file"),
    ],
)
def test_what_no_config_needs_is_refused_in_a_short_sentence(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said) as raised:
        parse_yaml(text, "run.yaml")
    assert len(str(raised.value)) < 1000


def test_aliases_and_merged_mappings_are_read_as_far_as_a_config_uses_them() -> None:
    text = "a: &a {x: 1, y: 1}\nb: {<<: *a, x: 2}\nc: [*a, *a]"
    values = parse_yaml(text, "run.yaml")
    assert values["b"] == {"x": 2, "y": 1}
    assert values["c"] == [{"x": 1, "y": 1}] * 2


def test_a_value_of_any_size_is_cut_short_in_the_message(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text(f"{RECIPE}seed: {[[['x'] * 30] * 30] * 30}\n{'k' * 999}: 1\n")
    with pytest.raises(UsageError, match=r"seed: .*got \[\[\[") as raised:
        PosttrainConfig(**{k: v for k, v in read_yaml(path).items() if k != "kind"})
    assert len(str(raised.value)) < 3000


@pytest.mark.parametrize("content", [b"# " + b"x" * MOST_BYTES, b"\xff\xfea\x00", b""])
def test_files_that_are_not_read_say_why(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "run.yaml"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=r"too large|not a YAML file|found NoneType"):
        read_yaml(path)
    with pytest.raises(UsageError, match="cannot be read"):
        read_yaml(tmp_path)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.lists(st.sampled_from(WORDS), max_size=25).map("".join))
def test_any_text_is_read_or_refused(text: str) -> None:
    message = ""
    try:
        parse_yaml(text, "run.yaml")
    except UsageError as error:
        message = str(error)
    assert len(message) < 2000


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.data())
def test_any_edited_recipe_is_taken_or_refused(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    at = data.draw(st.integers(0, len(RECIPE)))
    cut = data.draw(st.integers(0, 6))
    piece = "".join(data.draw(st.lists(st.sampled_from(WORDS), max_size=4)))
    path = tmp_path_factory.mktemp("recipe") / "run.yaml"
    path.write_text(RECIPE[:at] + piece + RECIPE[at + cut :], encoding="utf-8")
    with contextlib.suppress(DawnChorusError):
        PosttrainConfig(**{k: v for k, v in read_yaml(path).items() if k != "kind"})
