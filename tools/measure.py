"""Measures the source against our targets and names what is beyond them; it reports and never blocks."""

from __future__ import annotations

import ast
import io
import re
import statistics
import tokenize
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
FUNCTION = ast.FunctionDef | ast.AsyncFunctionDef
DOCUMENTED = ast.Module | ast.ClassDef | FUNCTION
ANY = r"\bAny\b"
BARE_IGNORE = r"type: ignore(?!\[)"
NO_CODE = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}


@dataclass(frozen=True, slots=True)
class Measure:
    """One number: its name, the source it is about, and how much there is."""

    name: str
    where: str
    count: float


LIMITS = {  # the target for the worst, and for nine in ten
    "function, lines of code": (60, 22),
    "module, lines": (400, 300),
    "class, lines": (300, 300),
    "class, public methods": (15, 15),
    "public function, positional": (2, 2),
    "function, parameters": (8, 4),
    "function, unannotated": (0, 0),
    "function, imports inside": (0, 0),
}


def code_lines(text: str, tree: ast.Module) -> set[int]:
    """Returns the numbers of the lines that hold code: no blank line, comment or docstring."""
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in NO_CODE:
            lines.update(range(token.start[0], token.end[0] + 1))
    return lines - docstring_lines(tree)


def docstring_lines(tree: ast.Module) -> set[int]:
    """Returns the numbers of the lines that belong to docstrings."""
    documented = [node for node in ast.walk(tree) if isinstance(node, DOCUMENTED) and ast.get_docstring(node)]
    return {line for node in documented for line in range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1)}


def measure_function(node: FUNCTION, where: str, code: set[int]) -> list[Measure]:
    """Returns what there is to say of one function."""
    positional = [*node.args.posonlyargs, *node.args.args]
    own = [argument for argument in positional if argument.arg not in ("self", "cls")]
    named = [*own, *node.args.kwonlyargs]
    bare = [argument for argument in named if argument.annotation is None]
    inside = [found for found in ast.walk(node) if isinstance(found, ast.Import | ast.ImportFrom)]
    first = min([node.lineno, *(statement.lineno for statement in node.body)])
    return [
        Measure("function, lines of code", where, len(code & set(range(first, (node.end_lineno or first) + 1)))),
        Measure("public function, positional", where, 0 if node.name.startswith("_") else len(own)),
        Measure("function, parameters", where, len(named)),
        Measure("function, unannotated", where, len(bare) + (node.returns is None)),
        Measure("function, imports inside", where, len(inside)),
    ]


def measure_class(node: ast.ClassDef, where: str) -> list[Measure]:
    """Returns what there is to say of one class."""
    public = [item for item in node.body if isinstance(item, FUNCTION) and not item.name.startswith("_")]
    length = (node.end_lineno or node.lineno) - node.lineno + 1
    return [Measure("class, lines", where, length), Measure("class, public methods", where, len(public))]


def measure_module(path: Path, text: str, tree: ast.Module) -> list[Measure]:
    """Returns every measure of one module."""
    code = code_lines(text, tree)
    name = str(path.relative_to(ROOT))
    measures = [Measure("module, lines", name, text.count("\n"))]
    for node in ast.walk(tree):
        if isinstance(node, FUNCTION):
            measures += measure_function(node, f"{name}:{node.lineno} {node.name}", code)
        elif isinstance(node, ast.ClassDef):
            measures += measure_class(node, f"{name}:{node.lineno} {node.name}")
    return measures


def report(measures: list[Measure]) -> None:
    """Prints median, nine in ten and worst of each measure, and whatever is beyond the target for the worst."""
    print(f"{'':34}{'median':>8}{'p90':>8}{'worst':>8}   target p90, worst")
    for name, (worst, ninth) in LIMITS.items():
        found = sorted((measure for measure in measures if measure.name == name), key=lambda measure: measure.count)
        counts = [measure.count for measure in found] or [0]
        p90 = counts[int(len(counts) * 0.9)]
        print(f"{name:34}{statistics.median(counts):8g}{p90:8g}{counts[-1]:8g}   {ninth}, {worst}")
        for measure in reversed([measure for measure in found if measure.count > worst]):
            print(f"    {measure.count:g}  {measure.where}")


def report_whole(sources: dict[Path, str]) -> None:
    """Prints the numbers that count over the whole library."""
    trees = {path: ast.parse(text) for path, text in sources.items()}
    whole = "\n".join(sources.values())
    lines = whole.count("\n") or 1
    code = sum(len(code_lines(sources[path], tree)) for path, tree in trees.items()) or 1
    docstrings = sum(len(docstring_lines(tree)) for tree in trees.values())
    tests = sum(path.read_text(encoding="utf-8").count("\n") for path in ROOT.joinpath("tests").rglob("*.py"))

    def count(pattern: str) -> int:
        return len(re.findall(pattern, whole))

    rows = [
        ("modules, lines, lines of code", f"{len(sources)}, {lines}, {code}", ""),
        ("docstring lines per 100 of code", f"{100 * docstrings / code:.0f}", "15 to 40"),
        ("comment lines per 100 of code", f"{100 * count(r'(?m)^ *#') / code:.1f}", "4 to 9"),
        ("Any per 100 lines of code", f"{100 * count(ANY) / code:.1f}", "2"),
        ("noqa", f"{count('# noqa')}", "5"),
        ("type: ignore", f"{count('type: ignore')}", f"{code // 400}"),
        ("type: ignore without a code", f"{count(BARE_IGNORE)}", "0"),
        ("test lines per line of library", f"{tests / lines:.1f}", "1.3 to 2"),
    ]
    print()
    for name, value, target in rows:
        print(f"{name:34}{value:>16}   {target}")


def main() -> None:
    """Measures the library's own modules."""
    sources = {path: path.read_text(encoding="utf-8") for path in sorted(ROOT.joinpath("src").rglob("*.py"))}
    report([each for path, text in sources.items() for each in measure_module(path, text, ast.parse(text))])
    report_whole(sources)


if __name__ == "__main__":
    main()
