"""Append-only tables: rows are added, and neither changed nor deleted; a mark on the table, and SQLite's triggers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from sqlalchemy import DDL, Connection, MetaData, Table, event
from sqlalchemy.orm import Mapper, object_session

from tenantry.errors import AppendOnlyViolation
from tenantry.models.ownership import is_walled

# In Table.info: rows of this table stay as they were written.
APPEND_ONLY: Final = "tenantry_append_only"
APPEND_ONLY_TRIGGER: Final = "tenantry_append_only_"
REFUSAL: Final = "is append-only: its rows are neither changed nor deleted"

_EVENTS: Final = ("update", "delete")


class AppendOnly:
    """Rows that stay as they were written: ``class Event(AppendOnly, TenantOwned, Base)``."""

    @classmethod
    def __table_cls__(cls, name: str, metadata: MetaData, *items: Any, **options: Any) -> Table:
        options["info"] = {**options.get("info", {}), APPEND_ONLY: True}
        build = getattr(super(), "__table_cls__", Table)
        table: Table = build(name, metadata, *items, **options)
        return table


def is_append_only(table: Table) -> bool:
    """Returns whether rows of *table* are neither changed nor deleted."""
    return bool(table.info.get(APPEND_ONLY)) and is_walled(table)


def append_only_triggers(name: str, *, stored: Callable[[str], str] = str) -> list[str]:
    """Returns the statements that have SQLite refuse changes of the rows of a table.

    *stored* gives the name under which the table is stored.
    """
    return [_trigger(name, stored(name), moment) for moment in _EVENTS]


def trigger_names(name: str) -> list[str]:
    """Returns the names of SQLite's triggers for the table of this name."""
    return [f"{APPEND_ONLY_TRIGGER}{name}_{moment}" for moment in _EVENTS]


def guarded_table(trigger: str) -> str | None:
    """Returns the table whose rows a trigger of this name keeps, or None for any other trigger."""
    if not trigger.startswith(APPEND_ONLY_TRIGGER):
        return None
    return trigger.removeprefix(APPEND_ONLY_TRIGGER).rpartition("_")[0]


def _trigger(name: str, stored: str, moment: str) -> str:
    quoted = f"{APPEND_ONLY_TRIGGER}{name}_{moment}"
    said = f"{name} {REFUSAL}".replace("'", "''")
    return (
        f"CREATE TRIGGER {_quoted(quoted)} BEFORE {moment.upper()} ON {_quoted(stored)} "
        f"BEGIN SELECT RAISE(ABORT, '{said}'); END"
    )


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


@event.listens_for(MetaData, "after_create")
def _create_triggers(_: MetaData, connection: Connection, *, tables: Sequence[Table], **_options: Any) -> None:
    if connection.dialect.name == "sqlite":
        _guard(connection, filter(is_append_only, tables))


@event.listens_for(Table, "after_create")
def _create_triggers_of_one(table: Table, connection: Connection, **options: Any) -> None:
    if connection.dialect.name == "sqlite" and is_append_only(table) and not options.get("_is_metadata_operation"):
        _guard(connection, [table])


def _guard(connection: Connection, tables: Iterable[Table]) -> None:
    for table in sorted(tables, key=lambda table: table.name):
        for statement in append_only_triggers(table.name):
            connection.execute(DDL(statement.replace("%", "%%")))  # type: ignore[no-untyped-call]  # SQLAlchemy's


@event.listens_for(Mapper, "after_mapper_constructed")
def _guard_rows(mapper: Mapper[Any], model: type) -> None:
    # Whose the table is may be said later, where a class is mapped to a Table of its own.
    if any(isinstance(table, Table) and table.info.get(APPEND_ONLY) for table in mapper.tables):
        event.listen(model, "before_update", _refuse_change)
        event.listen(model, "before_delete", _refuse_deletion)


def _refuse_change(mapper: Mapper[Any], _: Connection, row: object) -> None:
    # The unit of work asks of every row that it looked at, changed or not.
    session = object_session(row)
    if session is None or session.is_modified(row, include_collections=False):
        raise AppendOnlyViolation(table=str(mapper.local_table), action="UPDATE")


def _refuse_deletion(mapper: Mapper[Any], _: Connection, __: object) -> None:
    raise AppendOnlyViolation(table=str(mapper.local_table), action="DELETE")
