"""What is public: writes tests/public_names.txt, which a test compares; a change there is a change to the promise.

Public is what a package's ``__all__`` names, with the public members of its classes, and what the pages' examples
import from elsewhere. ``python tools/public_names.py`` writes the file.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parent.parent
SOURCE: Final = ROOT / "src"
SNAPSHOT: Final = ROOT / "tests" / "public_names.txt"
PACKS: Final = "tenantry.packs"
_BLOCK: Final = re.compile(r"^```python[^\n]*\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_HEAD: Final = "# What is public. Written by: python tools/public_names.py"


def rooms() -> list[str]:
    """Returns the packages that say what is public in them, the packs' among them."""
    said = (path for path in SOURCE.rglob("__init__.py") if "\n__all__ = " in path.read_text(encoding="utf-8"))
    return sorted(".".join(path.parent.relative_to(SOURCE).parts) for path in said)


def names_of(room: str) -> list[str]:
    """Returns what a package's ``__all__`` names."""
    return sorted(importlib.import_module(room).__all__)


def snapshot() -> str:
    """Returns what tests/public_names.txt is to hold."""
    lines = {line for room in rooms() for line in _of_room(room)} | set(_of_pages())
    return "\n".join([_HEAD, *sorted(lines), ""])


def _of_room(room: str) -> Iterator[str]:
    module = importlib.import_module(room)
    for name in module.__all__:
        yield f"{room}.{name}"
        found = getattr(module, name)
        # The packs' models have their columns written down elsewhere.
        if inspect.isclass(found) and not room.startswith(PACKS):
            yield from (f"{room}.{name}.{member}" for member in _members(found))


def _members(kind: type) -> set[str]:
    ours = [base for base in kind.__mro__ if base.__module__.partition(".")[0] == "tenantry"]
    named = {name for base in ours for name in (*vars(base), *vars(base).get("__annotations__", {}))}
    return {name for name in named if not name.startswith("_")}


def _of_pages() -> Iterator[str]:
    for page in (ROOT / "docs").rglob("*.md"):
        for block in _BLOCK.findall(page.read_text(encoding="utf-8")):
            for node in ast.walk(ast.parse(block)):
                if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "tenantry":
                    yield from (f"{node.module}.{alias.name}" for alias in node.names)


if __name__ == "__main__":
    SNAPSHOT.write_text(snapshot(), encoding="utf-8")
