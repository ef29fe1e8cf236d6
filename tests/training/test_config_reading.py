"""No option of training is unread: each field of a config is asked for somewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from dawnchorus.configs import PosttrainConfig, PretrainConfig

SOURCE = Path(__file__).parents[2] / "src" / "dawnchorus"
# `kind` says which command a file is for; it is compared when a run folder is opened
ELSEWHERE = {"kind"}


def fields(config: type[BaseModel]) -> Iterator[str]:
    for name, field in config.model_fields.items():
        yield name
        for inner in (field.annotation, *_within(field.annotation)):
            if isinstance(inner, type) and issubclass(inner, BaseModel):
                yield from fields(inner)


def _within(annotation: Any) -> Iterator[Any]:
    for argument in get_args(annotation):
        yield argument
        yield from _within(argument)


@pytest.mark.parametrize("config", [PosttrainConfig, PretrainConfig])
def test_every_field_is_read(config: type[BaseModel]) -> None:
    code = "\n".join(
        path.read_text() for path in SOURCE.rglob("*.py") if path.parent.name != "configs"
    )
    code += (SOURCE / "configs" / "training.py").read_text().split("def augment")[1]
    # what is handed on whole, by name, to something with fields of the same names
    handed_on = re.findall(r"\*\*config\.(\w+)\.model_dump\(\)", code)
    parts = [config.model_fields[part] for part in handed_on if part in config.model_fields]
    whole = {name for part in parts if part.annotation for name in fields(part.annotation)}
    unread = {
        name
        for name in fields(config)
        if not re.search(rf"\.{name}\b", code) and name not in ELSEWHERE | whole
    }
    assert unread == set()
