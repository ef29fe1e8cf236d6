"""What all configs share: frozen, no unknown keys, errors that name the key; recipes on recipes."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003  pydantic resolves the annotation at run time
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from dawnchorus.configs.yaml_file import read_yaml
from dawnchorus.errors import UsageError, shortened, shown

ComputedPrecision = Literal["float32", "bfloat16"]
Precision = Literal["auto", "float32", "bfloat16"]  # auto: see `models.precision`
Backend = Literal["torch", "onnx", "onnx-int8"]  # the library that computes an encoder
LayerSelection = tuple[int | str, ...]
LONGEST_KEY: Final = 80  # characters of a key in a message
MOST_PROBLEMS: Final = 5  # of one config, in its message


class Config(BaseModel):
    """Base of all configs: frozen, no unknown keys, one-line errors."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", arbitrary_types_allowed=False, allow_inf_nan=False
    )

    def __init__(self, **values: Any) -> None:  # Any: a file's keys, checked right here
        """Check the values.

        Raises:
            UsageError: A key is unknown or missing, or a value is not what the field needs.
        """
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise UsageError(_explain(type(self), error)) from error


def _explain(config: type[BaseModel], error: ValidationError) -> str:
    # pydantic's own message has a line and a web address for each; ours is one line in all
    problems = []
    every = error.errors(include_url=False)
    for problem in every[:MOST_PROBLEMS]:
        key = shortened(".".join(str(part) for part in problem["loc"]), LONGEST_KEY)
        if problem["type"] == "extra_forbidden":
            known = ", ".join(sorted(config.model_fields))
            problems.append(f"unknown key {key!r} (known: {known})")
        elif not key:
            problems.append(problem["msg"].removeprefix("Value error, "))
        else:
            problems.append(f"{key}: {problem['msg']}, got {shown(problem['input'])}")
    if len(every) > MOST_PROBLEMS:
        problems.append(f"and {len(every) - MOST_PROBLEMS} more")
    return f"{config.__name__}: " + "; ".join(problems)


def read_recipe(path: Path) -> dict[str, Any]:
    """Read a YAML file and what it builds on: the key ``base`` names another such file.

    The file's own values count. Mappings are joined key by key, all else replaces what was there. A
    relative ``base`` is looked for beside the file that names it.

    Raises:
        UsageError: As of `read_yaml`, or the files build on each other in a circle.
    """
    # from the file itself down to what it builds on
    layers: dict[Path, dict[str, Any]] = {}
    upper: Path | None = path
    while upper is not None:
        if upper.resolve() in layers:
            raise UsageError(f"{path}: its base leads back to {upper}; one of them needs no base")
        values = read_yaml(upper)
        layers[upper.resolve()] = values
        base = values.pop("base", None)
        if not isinstance(base, str | None):
            raise UsageError(f"{upper}: base must name one file, got {shown(base)}")
        upper = None if base is None else upper.parent / base
    merged: dict[str, Any] = {}
    for values in reversed(layers.values()):
        merged = _join(merged, values)
    return merged


def _join(lower: dict[str, Any], upper: dict[str, Any]) -> dict[str, Any]:
    both = {
        key: _join(lower[key], value)
        for key, value in upper.items()
        if isinstance(value, dict) and isinstance(lower.get(key), dict)
    }
    return {**lower, **upper, **both}
