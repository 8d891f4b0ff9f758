"""The wall inside SQLite: on a walled connection every statement, raw SQL included, sees and writes one tenant's rows.

Views of the plain names are filtered by a function that returns the bound tenant; triggers of the views write the
stored rows, for that tenant only. Nothing else may come near a stored table, and two guards see to that:

* Before SQLite prepares a statement, its text is searched: it may not name a stored table, a schema table, or any table
  that is not shared. A name cannot be disguised in SQLite. The authorizer alone would not do: SQLite does not report a
  column that is read by ``FULL JOIN ... USING`` (seen with 3.40 and 3.51), and would hand over a whole table.
* An authorizer lets only the views and triggers touch stored tables, and denies schema tables, PRAGMA, ATTACH and DDL.
  SQLite tells it the name of the view, common table expression or trigger on whose behalf a table is read. A statement
  names its own expressions as it likes, so that name is a random secret of the connection: no statement can learn it
  (EXPLAIN is refused too), and one that utters it is refused.

The face of the room, with ``sqlite_stored`` and ``sqlite_connection``::

    stored_ddl(metadata)                                    what makes the tables of common.sqlite3
    script = WallScript.for_metadata(metadata)              once per process
    sqlite3.connect(path, factory=walled_factory(script))    or connect_args={"factory": …} of an engine
    teach_returning(engine.dialect)                         once per engine
    bind(connection, tenant)                                the tenant, or None, for what comes next
"""

from __future__ import annotations

import functools
import re
import secrets
import sqlite3
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Column, MetaData, Table

from tenantry.isolation.fencing_names import CHANGES_TABLE, FENCE_TABLE
from tenantry.isolation.sqlite_gate import Gate
from tenantry.isolation.sqlite_stored import (
    STORED_SUFFIX,
    TRIGGER_PREFIX,
    default_of,
    quote,
    shared_tables,
    stored_name,
    walled_tables,
)
from tenantry.models.append_only import REFUSAL, is_append_only
from tenantry.models.ownership import TENANT_COLUMN

_MARK: Final = "@secret@"
_TENANT: Final = f"{_MARK}tenant()"
_CHECKED: Final = (
    "SELECT RAISE(ABORT, 'the row belongs to another tenant, or no tenant is bound to this connection') "
    f"WHERE {_TENANT} IS NULL OR NEW.{quote(TENANT_COLUMN)} IS NOT {_TENANT}; "
)

_JSON_TABLES: Final = frozenset({"json_each", "json_tree"})
DENIED_FUNCTIONS: Final = frozenset({"load_extension", "fts3_tokenizer", "fts5"})
# It counts for as long as the connection lives, whoever borrows it.
_COUNTING_FUNCTION: Final = "total_changes"
WRITES: Final = frozenset({sqlite3.SQLITE_INSERT, sqlite3.SQLITE_UPDATE, sqlite3.SQLITE_DELETE})
HARMLESS: Final = frozenset(
    {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_RECURSIVE, sqlite3.SQLITE_TRANSACTION, sqlite3.SQLITE_SAVEPOINT}
)
_LOOKS: Final = frozenset({sqlite3.SQLITE_READ, sqlite3.SQLITE_SELECT, sqlite3.SQLITE_PRAGMA})
# SQLAlchemy asks for it once per engine; the answer says nothing about anybody.
_READABLE_PRAGMAS: Final = frozenset({"read_uncommitted"})

# EXPLAIN would print the secret. An atomic group: backtracking could take a comment to end at a later comment's end.
_ALLOWED_STATEMENT: Final = re.compile(
    r"(?>(?:[ \t\n\f\r;\ufeff]|--[^\n]*\n|/\*.*?\*/)*)"
    r"(?:select|with|values|insert|update|delete|replace|begin|commit|end|rollback|savepoint|release|pragma)\b",
    re.IGNORECASE | re.DOTALL,
)
_WRITING_WORD: Final = re.compile(r"\b(?:insert|update|delete|replace)\b", re.IGNORECASE)
_REMEMBERED_STATEMENTS: Final = 500


@dataclass(frozen=True)
class WallScript:
    """What raises the wall for one set of models, worked out once: only the secret differs between connections."""

    statements: str
    views: frozenset[str]
    keys: Mapping[str, frozenset[str]]
    shared: frozenset[str]

    @classmethod
    def for_metadata(cls, metadata: MetaData) -> WallScript:
        """Returns the script for the walled and shared tables of *metadata*."""
        walled = walled_tables(metadata)
        statements = [line for number, table in enumerate(walled) for line in _statements(number, table)]
        return cls(
            statements=";\n".join(["BEGIN", *statements, "COMMIT"]) + ";",
            views=frozenset(table.name for table in walled),
            keys={stored_name(table): _key_columns(table) for table in walled},
            shared=frozenset(table.name for table in shared_tables(metadata)),
        )


class Wall:
    """The wall of one connection: the bound tenant, what may be said, and what may be touched."""

    def __init__(self, script: WallScript) -> None:
        self._script = script
        self._secret = "w" + secrets.token_hex(16)
        self._view = f"{self._secret}view"
        self._triggers = (f"{self._secret}trigger", TRIGGER_PREFIX)
        self._hidden: frozenset[str] = frozenset()
        self._unspeakable = _unspeakable(frozenset())
        self._allowed: set[str] = set()
        self._gate = Gate()
        self.spelled: str | None = None
        self.changed = 0

    def __repr__(self) -> str:
        return f"<Wall tenant={self.tenant}>"

    @property
    def tenant(self) -> uuid.UUID | None:
        """The bound tenant; ``spelled`` is the same as SQLAlchemy's ``Uuid`` stores it."""
        return None if self.spelled is None else uuid.UUID(self.spelled)

    def bind(self, tenant: uuid.UUID | None) -> None:
        """Shows this tenant's rows, or nobody's, from the next statement on; callable from any thread.

        Raises: TypeError for anything but a UUID or None, and then nobody is bound.
        """
        self.spelled = None
        if tenant is None:
            return
        if not isinstance(tenant, uuid.UUID):
            raise TypeError(f"a tenant is bound by its UUID, not by a {type(tenant).__name__}")
        self.spelled = tenant.hex

    def raise_on(self, connection: sqlite3.Connection, gate: Gate) -> None:
        """Puts the wall up on a connection that nobody has used yet; *gate* looks past it for the connection itself."""
        self._gate = gate
        connection.create_function(f"{self._secret}tenant", 0, lambda: self.spelled, deterministic=True)
        connection.create_function(f"{self._secret}count", 1, self._count)
        cursor = sqlite3.Cursor(connection)
        # A table-valued function writes its declaration when it is first used, which the authorizer would stop.
        cursor.execute("SELECT 1 FROM json_each('[]'), json_tree('[]')")
        self._hidden = self._names_to_hide(cursor)
        self._unspeakable = _unspeakable(self._hidden)
        _forget_statistics(cursor)
        cursor.executescript(self._script.statements.replace(_MARK, self._secret))
        cursor.close()
        sqlite3.Connection.set_authorizer(connection, self._authorize)

    def check_statement(self, sql: str) -> None:
        """Lets a statement go to SQLite.

        Raises: sqlite3.DatabaseError for one that names what is hidden or could show it; sqlite3.IntegrityError for a
            write while no tenant is bound.
        """
        if sql not in self._allowed:
            self._inspect(sql)
        if self.spelled is None and _WRITING_WORD.search(sql):
            raise sqlite3.IntegrityError("no tenant is bound to this connection, so nothing was written")

    def _inspect(self, sql: str) -> None:
        if self._secret in sql or self._unspeakable.search(sql) or not _ALLOWED_STATEMENT.match(sql):
            raise sqlite3.DatabaseError("not authorized: the statement explains, or names what tenants cannot see")
        if len(self._allowed) >= _REMEMBERED_STATEMENTS:
            self._allowed.clear()
        self._allowed.add(sql)

    def _count(self, rows: int) -> None:
        self.changed += rows

    def _names_to_hide(self, cursor: sqlite3.Cursor) -> frozenset[str]:
        sources = "SELECT lower(name) FROM main.sqlite_master WHERE type IN ('table', 'view')"
        tables = {name for (name,) in cursor.execute(sources)}
        modules = {name for (name,) in cursor.execute("SELECT lower(name) FROM pragma_module_list")}
        return frozenset((tables | modules) - {name.lower() for name in self._script.shared} - _JSON_TABLES)

    def _authorize(
        self, action: int, first: str | None, second: str | None, database: str | None, on_behalf: str | None
    ) -> int:
        return sqlite3.SQLITE_OK if self._allows(action, first, second, database, on_behalf) else sqlite3.SQLITE_DENY

    def _allows(
        self, action: int, first: str | None, second: str | None, database: str | None, on_behalf: str | None
    ) -> bool:
        if self._gate.looking:
            return action in _LOOKS
        if action == sqlite3.SQLITE_READ:
            return self._may_read(first or "", second or "", database, on_behalf)
        if action in WRITES:
            return self._may_write(first or "", database, on_behalf)
        if action == sqlite3.SQLITE_FUNCTION:
            return second not in DENIED_FUNCTIONS and second != _COUNTING_FUNCTION
        if action == sqlite3.SQLITE_PRAGMA:
            return first in _READABLE_PRAGMAS and second is None
        return action in HARMLESS

    def _may_read(self, table: str, column: str, database: str | None, on_behalf: str | None) -> bool:
        if not column:
            return self._may_count(table.lower(), database and database.lower())
        if database == "temp":
            return table in self._script.views
        if database != "main":
            return False
        keys = self._script.keys.get(table)
        if keys is None:
            return table in self._script.shared or table in _JSON_TABLES
        return on_behalf == self._view or (column in keys and self._is_trigger(on_behalf))

    def _may_count(self, table: str, database: str | None) -> bool:
        """Judges a source no column of which is used: SQLite names it as the statement spells it, unresolved."""
        if database == "temp":
            return any(table == view.lower() for view in self._script.views)
        if database is not None:
            return any(table == shared.lower() for shared in self._script.shared)
        return (
            table not in self._hidden
            and not table.startswith(("sqlite_", "pragma_"))
            and not table.endswith(STORED_SUFFIX)
        )

    def _may_write(self, table: str, database: str | None, on_behalf: str | None) -> bool:
        if database == "temp":
            return table in self._script.views
        known = table in self._script.keys or table == CHANGES_TABLE
        return database == "main" and known and self._is_trigger(on_behalf)

    def _is_trigger(self, name: str | None) -> bool:
        return name is not None and name.startswith(self._triggers)


@functools.lru_cache(maxsize=64)
def _unspeakable(hidden: frozenset[str]) -> re.Pattern[str]:
    """Returns what finds a name in a statement that a tenant's statement has no business with, however it is quoted."""
    # The last two may be made while connections live. What the gate has had prepared must not be asked by a user.
    known = [STORED_SUFFIX, TRIGGER_PREFIX, r"\bsqlite_", r"\bpragma_", FENCE_TABLE, CHANGES_TABLE]
    others = [rf"(?<!\w){re.escape(name)}(?!\w)" for name in sorted(hidden)]
    return re.compile("|".join([*known, *others]), re.IGNORECASE)


def _forget_statistics(cursor: sqlite3.Cursor) -> None:
    """Drops what ANALYZE found out about stored tables.

    By its leave SQLite may scan a whole table and judge a condition of the user's on a row before the tenant's (seen
    with OR); a condition that fails on some values would tell what stands in the rows of others.
    """
    found = "SELECT name FROM main.sqlite_master WHERE name IN ('sqlite_stat1', 'sqlite_stat4')"
    stored = f"substr(tbl, -{len(STORED_SUFFIX)}) = '{STORED_SUFFIX}'"
    for (table,) in cursor.execute(found).fetchall():
        if cursor.execute(f"SELECT 1 FROM main.{table} WHERE {stored}").fetchone():
            cursor.execute(f"DELETE FROM main.{table} WHERE {stored}")
            cursor.execute("ANALYZE main.sqlite_master")


def _statements(number: int, table: Table) -> Iterator[str]:
    yield _view(table)
    yield _trigger(f"{number}i", f"INSERT ON {quote(table.name)}", _CHECKED + _insertion(table))
    yield from _refusals(number, table) if is_append_only(table) else _changes(number, table)


def _refusals(number: int, table: Table) -> Iterator[str]:
    said = f"{table.name} {REFUSAL}".replace("'", "''")
    for letter, moment in (("d", "DELETE"), ("u", "UPDATE")):
        yield _trigger(f"{number}{letter}", f"{moment} ON {quote(table.name)}", f"SELECT RAISE(ABORT, '{said}');")


def _changes(number: int, table: Table) -> Iterator[str]:
    yield _trigger(
        f"{number}d", f"DELETE ON {quote(table.name)}", f"DELETE FROM {_stored(table)} WHERE {_old_row(table)};"
    )
    updating = f"UPDATE ON {quote(table.name)}"
    others = [column for column in _written(table) if not column.primary_key]
    if not others:
        yield _trigger(f"{number}u", updating, _CHECKED + _update(table, _written(table)))
        return
    # Setting a key column, even to what it is, makes SQLite search the tables that refer to it.
    moved = " OR ".join(f"NEW.{quote(column.name)} IS NOT OLD.{quote(column.name)}" for column in table.primary_key)
    yield _trigger(f"{number}u", f"{updating} WHEN NOT ({moved})", _CHECKED + _update(table, others))
    yield _trigger(f"{number}m", f"{updating} WHEN {moved}", _CHECKED + _update(table, _written(table)))


def _view(table: Table) -> str:
    columns = _listed(table.columns)
    return (
        f"CREATE TEMP VIEW {quote(table.name)} AS WITH {_MARK}view AS (SELECT {columns} FROM main.{_stored(table)} "
        f"WHERE {quote(TENANT_COLUMN)} = {_TENANT}) SELECT {columns} FROM {_MARK}view"
    )


def _trigger(name: str, event: str, body: str) -> str:
    # changes() after the last statement is the count of rows it changed itself, without what it set off.
    return (
        f"CREATE TEMP TRIGGER {_MARK}trigger{name} INSTEAD OF {event} BEGIN {body} SELECT {_MARK}count(changes()); END"
    )


def _insertion(table: Table) -> str:
    written = _written(table)
    values = ", ".join(_inserted_value(column) for column in written)
    return f"INSERT INTO {_stored(table)} ({_listed(written)}) VALUES ({values});"


def _inserted_value(column: Column[object]) -> str:
    if column.name == TENANT_COLUMN:
        return _TENANT
    # A view has no defaults, and gives NULL for a column that a statement leaves out.
    value, default = f"NEW.{quote(column.name)}", default_of(column)
    return value if default is None else f"coalesce({value}, {default})"


def _update(table: Table, columns: Iterable[Column[object]]) -> str:
    names = [quote(column.name) for column in columns if column.name != TENANT_COLUMN]
    assignments = ", ".join(f"{name} = NEW.{name}" for name in names)
    return f"UPDATE {_stored(table)} SET {assignments} WHERE {_old_row(table)};"


def _old_row(table: Table) -> str:
    return " AND ".join(f"{quote(column.name)} = OLD.{quote(column.name)}" for column in table.primary_key)


def _written(table: Table) -> list[Column[object]]:
    return [column for column in table.columns if column.computed is None]


def _stored(table: Table) -> str:
    return quote(stored_name(table))


def _listed(columns: Iterable[Column[object]]) -> str:
    return ", ".join(quote(column.name) for column in columns)


def _key_columns(table: Table) -> frozenset[str]:
    """Returns the columns that a trigger may read: those by which rows are found and refer to each other."""
    keys = {column.name for column in table.primary_key}
    referring = {element.parent.name for element in table.foreign_keys}
    referred = {
        element.column.name
        for other in table.metadata.tables.values()
        for element in other.foreign_keys
        if element.column.table is table
    }
    return frozenset(keys | referring | referred)
