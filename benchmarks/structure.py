"""How the code is built, in figures: files, lines, functions, comments, tests, repeats, imports.

    python benchmarks/structure.py                  the figures of this folder
    python benchmarks/structure.py --against FILE   beside those of an earlier state
    python benchmarks/structure.py --save FILE      keep them, as small JSON
    python benchmarks/structure.py --root FOLDER    of another checkout, such as a git worktree

``benchmarks/structure_base.json`` holds the state before the redesign of 2026-11. A figure is a
mirror and no judge: it says where to look, not what is right. Only the standard library is used.
"""

from __future__ import annotations

import argparse
import ast
import io
import json
import statistics
import sys
import tokenize
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PACKAGE = "dawnchorus"
RUN = 6  # consecutive code lines that count as a repeat
NOT_CODE = {
    tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT,
    tokenize.ENDMARKER,
}  # fmt: skip
Function = ast.FunctionDef | ast.AsyncFunctionDef
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(frozen=True)
class Source:
    """One Python file, taken apart once."""

    path: Path
    text: str
    tree: ast.Module
    code: frozenset[int]  # numbers of the lines that are neither blank, comment nor docstring
    n_comments: int

    @classmethod
    def read(cls, path: Path) -> Source:
        """Parse a file."""
        text = path.read_text(encoding="utf-8")
        tree = ast.parse(text)
        code: set[int] = set()
        n_comments = 0
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            n_comments += token.type == tokenize.COMMENT
            if token.type not in NOT_CODE:
                code |= set(range(token.start[0], token.end[0] + 1))
        for node in ast.walk(tree):
            docstring = _docstring(node)
            if docstring is not None:
                code -= set(range(docstring.lineno, (docstring.end_lineno or 0) + 1))
        return cls(path, text, tree, frozenset(code), n_comments)

    def functions(self) -> Iterator[Function]:
        """Every function and method, nested ones included."""
        return (node for node in ast.walk(self.tree) if isinstance(node, FUNCTIONS))

    def length(self, function: Function) -> int:
        """Code lines of a function, its signature and decorators included."""
        return len(self.code & set(range(function.lineno, (function.end_lineno or 0) + 1)))


def _docstring(node: ast.AST) -> ast.Expr | None:
    if not isinstance(node, (ast.Module, ast.ClassDef, *FUNCTIONS)) or not node.body:
        return None
    first = node.body[0]
    is_text = (
        isinstance(first, ast.Expr)
        and isinstance(first.value, ast.Constant)
        and isinstance(first.value.value, str)
    )
    return first if is_text and isinstance(first, ast.Expr) else None


def measure(root: Path) -> dict[str, object]:
    """All figures of a checkout, plain enough for JSON."""
    package = root / "src" / PACKAGE
    sources = [Source.read(path) for path in sorted(package.rglob("*.py"))]
    tests = [Source.read(path) for path in sorted((root / "tests").rglob("*.py"))]
    n_code = sum(len(source.code) for source in sources)
    n_test = sum(len(source.code) for source in tests)
    sizes = sorted(
        (source.length(function), f"{source.path.relative_to(root)}:{function.name}")
        for source in sources
        for function in source.functions()
    )
    names = shared_names(sources)
    cycles = import_cycles(package, sources)
    return {
        "files": len(sources),
        "code lines": n_code,
        "test lines": n_test,
        "test lines per code line": round(n_test / n_code, 2),
        "comments per 100 code lines": round(100 * sum(s.n_comments for s in sources) / n_code, 1),
        "files over 400 lines": sum(source.text.count("\n") > 400 for source in sources),
        "functions": len(sizes),
        "median function, lines": statistics.median(size for size, _ in sizes),
        "longest function, lines": sizes[-1][0],
        "longest function": sizes[-1][1],
        "parameters": sum(map(n_parameters, _functions(sources))),
        "public parameters": sum(
            n_parameters(function)
            for function in _functions(sources)
            if not function.name.startswith("_")
        ),
        "command-line options": n_options(sources),
        f"lines in repeats of {RUN} or more": len(repeated_lines(sources)),
        "names defined in several modules": len(names),
        "import cycles, modules in them": sum(map(len, cycles)),
        "shared names": names,
        "cycles": cycles,
        "packages": by_package(package, sources),
    }


def _functions(sources: Sequence[Source]) -> Iterator[Function]:
    return (function for source in sources for function in source.functions())


def n_parameters(function: Function) -> int:
    """Parameters of a function, without self and cls."""
    arguments = function.args
    named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    return sum(argument.arg not in {"self", "cls"} for argument in named)


def n_options(sources: Sequence[Source]) -> int:
    """Options and arguments of all commands: parameters of public functions in the command line.

    A command is a function whose docstring has an example.
    """
    return sum(
        n_parameters(function)
        for source in sources
        if "cli" in source.path.parts
        for function in source.functions()
        if "Example: dawnchorus" in (ast.get_docstring(function) or "")
    )


def by_package(package: Path, sources: Sequence[Source]) -> dict[str, int]:
    """Code lines of each package, the largest first."""
    lines: Counter[str] = Counter()
    for source in sources:
        parts = source.path.relative_to(package).parts
        lines[parts[0] if len(parts) > 1 else "(top)"] += len(source.code)
    return dict(lines.most_common())


def repeated_lines(sources: Sequence[Source]) -> set[tuple[str, int]]:
    """Code lines that lie in a run of `RUN` lines which is found elsewhere too, word for word.

    Imports and signatures repeat rightly, so lines of imports are left out; blanks around a line
    do not count.
    """
    runs: dict[tuple[str, ...], list[tuple[str, int]]] = defaultdict(list)
    positions: dict[str, list[int]] = {}
    for source in sources:
        skipped = {
            number
            for node in ast.walk(source.tree)
            if isinstance(node, (ast.Import, ast.ImportFrom))
            for number in range(node.lineno, (node.end_lineno or 0) + 1)
        }
        lines = source.text.splitlines()
        kept = [number for number in sorted(source.code - skipped) if lines[number - 1].strip()]
        positions[str(source.path)] = kept
        for first in range(len(kept) - RUN + 1):
            run = tuple(lines[number - 1].strip() for number in kept[first : first + RUN])
            runs[run].append((str(source.path), first))
    repeats = [place for places in runs.values() if len(places) > 1 for place in places]
    return {
        (path, number) for path, first in repeats for number in positions[path][first : first + RUN]
    }


def shared_names(sources: Sequence[Source]) -> dict[str, int]:
    """Public classes and functions that several modules define at their top, and how many do.

    ``command`` is what every file of the command line calls its function.
    """
    counts = Counter(
        node.name
        for source in sources
        for node in source.tree.body
        if isinstance(node, (ast.ClassDef, *FUNCTIONS))
        and not node.name.startswith("_")
        and node.name != "command"
    )
    return {name: n for name, n in sorted(counts.items()) if n > 1}


def import_cycles(package: Path, sources: Sequence[Source]) -> list[list[str]]:
    """Groups of modules that import each other in a circle, imports for types included.

    Imports inside functions are left out: they are how a circle is broken on purpose.
    """
    modules = {_module(package, source.path): source for source in sources}
    graph = {
        name: {_known(target, modules) for target in _imports(source.tree)} - {""}
        for name, source in modules.items()
    }
    reach = {name: _reachable(name, graph) for name in graph}
    groups = {
        tuple(sorted({name, *(other for other in reach[name] if name in reach[other])}))
        for name in graph
        if name in reach[name]
    }
    return [list(group) for group in sorted(groups)]


def _module(package: Path, path: Path) -> str:
    parts = path.relative_to(package.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imports(tree: ast.Module) -> set[str]:
    """Modules named by imports outside of functions; ``from a import b`` names both a and a.b."""
    inside = {
        child
        for function in ast.walk(tree)
        if isinstance(function, FUNCTIONS)
        for child in ast.walk(function)
    }
    named: set[str] = set()
    for node in ast.walk(tree):
        if node in inside:
            continue
        if isinstance(node, ast.Import):
            named |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            named |= {f"{node.module}.{alias.name}" for alias in node.names}
    return named


def _known(name: str, modules: dict[str, Source]) -> str:
    """The module of ours that an imported name stands in, "" for others."""
    while name and name not in modules:
        name = name.rpartition(".")[0]
    return name


def _reachable(start: str, graph: dict[str, set[str]]) -> set[str]:
    found: set[str] = set()
    waiting = list(graph[start])
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += graph[name]
    return found


def table(now: dict[str, object], before: dict[str, object] | None) -> list[str]:
    """The figures as a Markdown table, beside those of an earlier state."""
    old = before or {}
    heads = ["figure", *(["before"] if before else []), "now"]
    rows = [
        [name, *([_text(old.get(name))] if before else []), _text(value)]
        for name, value in now.items()
        if not isinstance(value, (dict, list))
    ]
    packages, earlier = now["packages"], old.get("packages", {})
    assert isinstance(packages, dict)  # noqa: S101  `measure` made it
    assert isinstance(earlier, dict)  # noqa: S101
    for name in [*packages, *(name for name in earlier if name not in packages)]:
        was = [_text(earlier.get(name))] if before else []
        rows.append([f"`{name}`, code lines", *was, _text(packages.get(name))])
    return [
        f"| {' | '.join(heads)} |",
        "|" + "---|" * len(heads),
        *(f"| {' | '.join(row)} |" for row in rows),
    ]


def _text(value: object) -> str:
    return "-" if value is None else f"{value:,}" if isinstance(value, int) else str(value)


def main() -> int:
    """Measure, print and keep what was asked for."""
    parser = argparse.ArgumentParser(description="Figures of how the code is built.")
    parser.add_argument("--root", type=Path, default=Path())
    parser.add_argument("--against", type=Path, help="JSON of an earlier state")
    parser.add_argument("--save", type=Path, help="JSON to write")
    parser.add_argument("--names", action="store_true", help="list shared names and cycles too")
    options = parser.parse_args()
    now = measure(options.root)
    before = json.loads(options.against.read_text("utf-8")) if options.against else None
    print("\n".join(table(now, before)))
    if options.names:
        print(json.dumps({"shared names": now["shared names"], "cycles": now["cycles"]}, indent=1))
    if options.save:
        options.save.write_text(json.dumps(now, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
