"""Writes the schema reference of a pack: ``python tools/schema.py tenantry.packs.meetings MeetingsBase Meetings FILE``.

The tables of the behaviours that a pack uses are declared when it is made, over a tenancy that opens nothing.
"""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import CheckConstraint, Column, Index, Table, UniqueConstraint
from sqlalchemy.dialects import postgresql

from tenantry import Tenancy
from tenantry.models import is_append_only, ownership

DIALECT: Any = postgresql.dialect


def reference(base: Any) -> str:
    """Returns the page: each table with its columns, keys, constraints and indexes."""
    tables = sorted(base.metadata.tables.values(), key=lambda table: str(table.name))
    said = {mapper.local_table: mapper.class_ for mapper in base.registry.mappers}
    lines = [
        "# Database schema",
        "",
        "Every table that says `tenant` or `record` stands behind row-level security, whatever the isolation.",
        "",
        "| table | whose | class |",
        "|---|---|---|",
    ]
    lines += [f"| [`{table.name}`](#{table.name}) | {_owner(table)} | {_class(said.get(table))} |" for table in tables]
    for table in tables:
        lines += ["", f"## {table.name}", "", *_described(table, said.get(table))]
    return "\n".join(lines) + "\n"


def _described(table: Table, model: type | None) -> Iterator[str]:
    if model is not None and model.__doc__:
        yield inspect.cleandoc(model.__doc__).partition("\n")[0]
        yield ""
    yield from ("| column | type | null | default |", "|---|---|---|---|")
    for column in table.columns:
        null = "yes" if column.nullable else "no"
        yield f"| `{column.name}` | {column.type.compile(DIALECT())} | {null} | {_default(column)} |"
    yield ""
    yield f"* primary key ({_names(table.primary_key.columns)})"
    for key in sorted(table.foreign_key_constraints, key=lambda key: str(key.name)):
        action = f", on delete {key.ondelete}" if key.ondelete else ""
        yield f"* `{key.name}`: ({_names(key.columns)}) → {key.referred_table.name}{action}"
    for constraint in sorted(table.constraints, key=lambda each: str(each.name)):
        if isinstance(constraint, UniqueConstraint):
            yield f"* `{constraint.name}`: unique ({_names(constraint.columns)})"
        elif isinstance(constraint, CheckConstraint):
            yield f"* `{constraint.name}`: {constraint.sqltext}"
    for index in sorted(table.indexes, key=lambda each: str(each.name)):
        yield f"* `{index.name}`: {_index(index)}"


def _index(index: Index) -> str:
    condition = index.dialect_options["postgresql"]["where"]
    where = "" if condition is None else f" where {condition.compile(dialect=DIALECT())}"
    return f"{'unique' if index.unique else 'index'} ({_names(index.columns)}){where}"


def _names(columns: Any) -> str:
    return ", ".join(f"`{column.name}`" for column in columns)


def _owner(table: Table) -> str:
    kind = ownership(table)
    return f"{kind}{', append-only' if is_append_only(table) else ''}"


def _class(model: type | None) -> str:
    return "" if model is None else f"`{model.__name__}`"


def _default(column: Column[Any]) -> str:
    if column.server_default is not None:
        return f"`{getattr(column.server_default, 'arg', '')}`"
    if column.default is None:
        return ""
    value = getattr(column.default, "arg", None)
    return f"`{getattr(value, '__name__', None) or (str(value) if isinstance(value, str) else repr(value))}`"


def written(module: str, base: str, pack: str) -> str:
    """Returns the page of a pack's models, with what its behaviours add."""
    found = importlib.import_module(module)
    models = getattr(found, base)
    getattr(found, pack)(Tenancy("sqlite:///nowhere", models=models))
    return reference(models)


if __name__ == "__main__":
    *named, file = sys.argv[1:]
    Path(file).write_text(written(*named), encoding="utf-8")
