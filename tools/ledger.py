"""Which requirement of the five systems is held by which test, or stands among the deviations: writes docs/ledger.md.

``python tools/ledger.py`` writes the page and says what is open; with ``--check`` it writes nothing, and fails where a
requirement has neither, where a test names one that there is not, or where the page is not what it would write.
"""

from __future__ import annotations

import ast
import csv
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "ledger.md"
MOST_IDS = 5
MOST_DEVIATIONS = 40
PACKS = {"S0": "Helpdesk", "S1": "Meetings", "S2": "Documents", "S3": "Assistant", "S4": "Incidents"}
# The tables' columns have numbers of their own, which tests may carry; nobody counts them.
COLUMNS = re.compile(r"S[0-4]-M\d{2}(\.\d+)?")
DEVIATION = re.compile(r"^\| (S[0-4]-\d{3}) \|", re.MULTILINE)

HEAD = """# Ledger

What was asked of the five systems in `tenantry.packs`, by number: each is held by a test that carries its number, or
stands among the [deviations](deviations.md). `python tools/ledger.py` writes this page.
"""


@dataclass(frozen=True, slots=True)
class Requirement:
    """One row of the ledger."""

    number: str
    kind: str
    requirement: str
    names: str


def requirements() -> list[Requirement]:
    """Returns every requirement, in the order of their numbers."""
    with (ROOT / "tools" / "requirements.tsv").open(encoding="utf-8", newline="") as lines:
        rows = csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
        return [Requirement(**row) for row in rows]


def held() -> dict[str, list[str]]:
    """Returns the tests that carry each number, as ``path::name``."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        where = path.relative_to(ROOT).as_posix()
        for name, numbers in _marked(ast.parse(path.read_text(encoding="utf-8"))):
            if len(numbers) > MOST_IDS:
                sys.exit(f"{where}::{name} carries {len(numbers)} numbers; {MOST_IDS} is the most.")
            for number in numbers:
                found[number].append(f"{where}::{name}")
    return found


def deviations() -> set[str]:
    """Returns the numbers of the requirements that are met in another way."""
    return set(DEVIATION.findall((ROOT / "docs" / "deviations.md").read_text(encoding="utf-8")))


def page(rows: list[Requirement], tests: dict[str, list[str]], deviating: set[str]) -> str:
    """Returns the page."""
    lines = [HEAD]
    for seed, pack in PACKS.items():
        lines += [f"\n## {pack}\n\n", "| number | what | names | held by |\n|---|---|---|---|\n"]
        for row in (row for row in rows if row.number.startswith(seed)):
            lines.append(
                f"| {row.number} | {_cell(row.requirement)} | {_code(row.names)} | {_by(row, tests, deviating)} |\n"
            )
    return "".join(lines)


def main() -> None:
    """Writes the page, or checks it."""
    rows, tests, deviating = requirements(), held(), deviations()
    known = {row.number for row in rows}
    faults = [f"{number}: neither a test nor a deviation" for number in sorted(known - set(tests) - deviating)]
    faults += [f"{number}: no such requirement, in {', '.join(tests[number])}" for number in _unknown(tests, known)]
    faults += [f"{number}: a deviation from no requirement" for number in sorted(deviating - known)]
    if len(deviating) > MOST_DEVIATIONS:
        faults.append(f"{len(deviating)} deviations; {MOST_DEVIATIONS} is the most.")
    text = page(rows, tests, deviating)
    if "--check" not in sys.argv:
        PAGE.write_text(text, encoding="utf-8")
    elif not PAGE.exists() or PAGE.read_text(encoding="utf-8") != text:
        faults.append("docs/ledger.md is not what python tools/ledger.py writes.")
    print("\n".join(faults))
    open_ones = Counter(fault[:2] for fault in faults if "neither" in fault)
    said = ", ".join(f"{PACKS[seed]} {count}" for seed, count in sorted(open_ones.items())) or "none"
    print(f"{len(known)} requirements; tests hold {len(known & set(tests))}, {len(deviating)} deviate; open: {said}.")
    sys.exit(bool(faults) if "--check" in sys.argv else 0)


def _unknown(tests: dict[str, list[str]], known: set[str]) -> list[str]:
    return sorted(number for number in set(tests) - known if not COLUMNS.fullmatch(number))


def _marked(tree: ast.Module) -> Iterator[tuple[str, list[str]]]:
    whole = [number for node in tree.body if _is_pytestmark(node) for number in _numbers(node)]
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            numbers = [number for decorator in node.decorator_list for number in _numbers(decorator)]
            if numbers or whole:
                yield node.name, [*dict.fromkeys([*numbers, *whole])]


def _is_pytestmark(node: ast.stmt) -> bool:
    return isinstance(node, ast.Assign) and any(
        isinstance(to, ast.Name) and to.id == "pytestmark" for to in node.targets
    )


def _numbers(node: ast.AST) -> Iterator[str]:
    """Yields the numbers in ``pytest.mark.ledger(...)``, wherever in *node* it stands."""
    for call in ast.walk(node):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "ledger":
            yield from (str(argument.value) for argument in call.args if isinstance(argument, ast.Constant))


def _by(row: Requirement, tests: dict[str, list[str]], deviating: set[str]) -> str:
    said = ["[deviation](deviations.md)"] if row.number in deviating else []
    said += [f"`{test.removeprefix('tests/')}`" for test in tests.get(row.number, [])[:3]]
    return ", ".join(said) or "**open**"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _code(text: str) -> str:
    return f"`{_cell(text)}`" if text else ""


if __name__ == "__main__":
    main()
