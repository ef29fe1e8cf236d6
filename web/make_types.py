"""Writes ``src/types.ts``: the page's types, made from the server's classes.

    python web/make_types.py > web/src/types.ts

A field with a default may be left out by the page where the page sends it, and is always there
where the server does.
"""

from __future__ import annotations

import inspect
import types
from datetime import datetime
from typing import Literal, Union, get_args, get_origin

from dawnchorus.configs import Config
from dawnchorus.serve import bodies

SENT = (bodies.ListQuery, bodies.Judgements, bodies.DroppedClip, bodies.JobQuery)
PLAIN = {str: "string", int: "number", float: "number", bool: "boolean", type(None): "null", datetime: "string"}
NAMED = ("Place", "Order", "Colour", "JobKind", "ExportFormat", "State", "Purpose", "Strategy")


def of_type(kind: object) -> str:
    """A Python type in TypeScript."""
    origin, parts = get_origin(kind), get_args(kind)
    for name in NAMED:
        if kind == getattr(bodies, name):
            return name
    return of_plain_type(kind, origin, parts)


def of_plain_type(kind: object, origin: object, parts: tuple[object, ...]) -> str:
    """A type that has no name of its own."""
    if kind in PLAIN:
        return PLAIN[kind]
    if origin is Literal:
        return " | ".join(f'"{part}"' for part in parts)
    if origin in (Union, types.UnionType):
        return " | ".join(of_type(part) for part in parts)
    if origin is tuple and parts[-1] is Ellipsis:
        inner = of_type(parts[0])
        return f"({inner})[]" if "|" in inner else f"{inner}[]"
    if origin is tuple:
        return f"[{', '.join(of_type(part) for part in parts)}]"
    if inspect.isclass(kind) and issubclass(kind, Config):
        return kind.__name__
    raise TypeError(f"no TypeScript is known for {kind!r}: add it to {__file__}")


def classes_in(kind: object) -> set[type[Config]]:
    """All of our classes that a type holds, at any depth."""
    if inspect.isclass(kind) and issubclass(kind, Config):
        return {kind}.union(*(classes_in(field.annotation) for field in kind.model_fields.values()))
    return set().union(*(classes_in(part) for part in get_args(kind)), set())


def interface(kind: type[Config], *, sent: bool) -> str:
    """One class, with its docstring."""
    said = inspect.cleandoc(kind.__doc__ or "").replace("*/", "* /").splitlines()
    lines = ["/**", *(f" * {line}".rstrip() for line in said), " */", f"export interface {kind.__name__} {{"]
    for name, field in kind.model_fields.items():
        mark = "?" if sent and not field.is_required() else ""
        lines.append(f"  {name}{mark}: {of_type(field.annotation)};")
    return "\n".join([*lines, "}"])


def main() -> None:
    """Print the file."""
    ours = [
        value for value in vars(bodies).values()
        if inspect.isclass(value) and issubclass(value, Config) and value.__module__ == bodies.__name__
    ]
    sent = set().union(*(classes_in(kind) for kind in SENT))
    print("// Made from src/dawnchorus/serve/bodies.py by web/make_types.py; change it there.\n")
    for name in NAMED:
        kind = getattr(bodies, name)
        print(f"export type {name} = {of_plain_type(kind, get_origin(kind), get_args(kind))};")
    print("\n" + "\n\n".join(interface(kind, sent=kind in sent) for kind in ours))


main()
