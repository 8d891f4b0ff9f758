"""Which tables the application's history made: only those may a new revision drop."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from alembic.script import ScriptDirectory

# The argument that names the table, by operation.
_MAKING: Final = {"create_table": 0, "rename_table": 1}


def tables_made(scripts: ScriptDirectory) -> Mapping[str, str | None]:
    """Returns the tables that some revision creates, or renames so, by name, each with the schema it is made in."""
    files = {revision.path for revision in scripts.walk_revisions()}
    return dict(found for file in sorted(files) for found in _made_in(Path(file)))


def _made_in(file: Path) -> Iterator[tuple[str, str | None]]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        place = _MAKING.get(node.func.attr)
        name = _text_of(node.args[place]) if place is not None and len(node.args) > place else None
        if name is not None:
            schemas = (_text_of(keyword.value) for keyword in node.keywords if keyword.arg == "schema")
            yield name, next(schemas, None)


def _text_of(node: ast.expr) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None
