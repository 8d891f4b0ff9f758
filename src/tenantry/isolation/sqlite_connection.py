"""Connections to SQLite files that keep their tenant's walls: to the common file, and to a tenant's own file.

Hostile Python in the same process is out of scope: it can reach anything. The methods refused here are doors that a
program could walk through by accident.
"""

from __future__ import annotations

import functools
import sqlite3
import uuid
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final, Never, Self

from sqlalchemy import MetaData

from tenantry.errors import ConfigurationError, TenantMoved
from tenantry.isolation.searching_sqlite import must_be_trusted
from tenantry.isolation.sqlite_clock import INSTRUCTIONS_BETWEEN_LOOKS, Clock, ClockedCursor
from tenantry.isolation.sqlite_gate import Gate
from tenantry.isolation.sqlite_speaking import Authorizer, ClockedSpeakingCursor, Hearing, SpeakingCursor
from tenantry.isolation.sqlite_stored import quote, shared_tables
from tenantry.isolation.sqlite_wall import DENIED_FUNCTIONS, HARMLESS, WRITES, Wall, WallScript
from tenantry.isolation.stamps import VERSION_TABLE
from tenantry.models.ownership import TENANT_COLUMN

ConnectionFactory = Callable[..., sqlite3.Connection]

LIBRARY_PREFIX: Final = "tenantry_"
_WALLED_TABLES: Final = (
    "SELECT m.name FROM main.sqlite_master m, pragma_table_info(m.name) c WHERE m.type = 'table' AND c.name = ? "
    # To look into an index takes longer than all else, and nobody writes it but its table's triggers.
    "AND m.sql NOT LIKE 'CREATE VIRTUAL TABLE %'"
)
_DESCRIBING_PRAGMAS: Final = frozenset(
    {"foreign_key_list", "index_info", "index_list", "index_xinfo", "table_info", "table_list", "table_xinfo"}
)
_READABLE_PRAGMAS: Final = frozenset(
    {"compile_options", "data_version", "encoding", "foreign_keys", "journal_mode", "page_count", "page_size"}
    | {"read_uncommitted", "schema_version", "user_version"}
)


# What every connection of ours relies on: the value to set, and what SQLite then answers.
_PREPARATION: Final = {
    "journal_mode": ("WAL", "wal"),
    "synchronous": ("FULL", 2),
    "foreign_keys": ("ON", 1),
    "recursive_triggers": ("ON", 1),
    "trusted_schema": ("OFF", 0),
    "temp_store": ("MEMORY", 2),
}


def walled_factory(script: WallScript, *, seconds: float | None = None) -> ConnectionFactory:
    """Returns what to pass as ``factory`` to sqlite3's, aiosqlite's or an engine's connect for the common file.

    Args:
        seconds: how long a statement may run.
    """
    return functools.partial(WalledConnection, script=script, seconds=seconds)


def fenced_factory(
    metadata: MetaData, *, writable: Iterable[str] = (), seconds: float | None = None
) -> ConnectionFactory:
    """Returns what to pass as ``factory`` to connect to a tenant's own file.

    Args:
        writable: library tables that a tenant's session may write.
        seconds: how long a statement may run.
    """
    authorizer = file_authorizer(metadata, writable=writable)
    return functools.partial(FencedConnection, authorizer=authorizer, seconds=seconds)


def fenced_for(factory: ConnectionFactory, tenant: uuid.UUID) -> ConnectionFactory:
    """Returns a fenced factory whose connections take rows of this one tenant."""
    return functools.partial(factory, tenant=tenant)


def wall_of(connection: object) -> Wall | None:
    """Returns the wall of a connection, or None if it has none.

    The connection may be sqlite3's, aiosqlite's, or SQLAlchemy's adapter or pool entry around either.
    """
    inner = inner_of(connection)
    return inner.wall if isinstance(inner, WalledConnection) else None


def inner_of(connection: object) -> object:
    """Returns sqlite3's own connection behind any of those; what runs a statement on aiosqlite's runs in its thread."""
    driver = getattr(connection, "driver_connection", connection)
    # aiosqlite has no public way to the connection that it runs in its thread; binding runs nothing there.
    return getattr(driver, "_conn", driver)


def bind(connection: object, tenant: uuid.UUID | None) -> None:
    """Shows this tenant's rows, or nobody's, on a walled connection from the next statement on; from any thread.

    Raises: ConfigurationError for a connection without a wall; TypeError for a tenant that is no UUID.
    """
    wall = wall_of(connection)
    if wall is None:
        raise ConfigurationError(
            what=f"A {type(connection).__name__} has no wall.",
            fix="Connect to common tables with walled_factory(script).",
        )
    wall.bind(tenant)


class GuardedConnection(sqlite3.Connection):
    """A connection with foreign keys on, whose authorizer stays, and from which no other file can be reached."""

    clock: Clock | None = None

    def __init__(self, *arguments: Any, seconds: float | None, trusting: bool = False, **options: Any) -> None:
        super().__init__(*arguments, **{**options, "isolation_level": None})
        self.gate = Gate()
        if seconds is not None:
            self.clock = Clock(seconds)
            super().set_progress_handler(self.clock.is_over, INSTRUCTIONS_BETWEEN_LOOKS)
        trust: dict[str, tuple[str, object]] = {"trusted_schema": ("ON", 1)} if trusting else {}
        for pragma, (value, expected) in {**_PREPARATION, **trust}.items():
            super().execute(f"PRAGMA {pragma} = {value}").close()
            if super().execute(f"PRAGMA {pragma}").fetchall() != [(expected,)]:
                raise ConfigurationError(
                    what=f"SQLite {sqlite3.sqlite_version} does not set {pragma} to {value} here.",
                    fix="Use a standard build of SQLite 3.35 or newer and a file on a local disk.",
                )
        super().setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)

    def begin(self, statement: str, tenant: uuid.UUID) -> None:
        """Begins a transaction of a tenant's, if this is where the tenant is.

        Raises: TenantMoved, and then none was begun; sqlite3.Error.
        """
        if self.clock is not None:
            self.clock.start()
        # Past the connection's own cursor, which judges what a user says.
        cursor = sqlite3.Cursor(self)
        cursor.execute(statement)
        if self.gate.has_left(cursor, tenant):
            self.rollback()
            raise TenantMoved(tenant=tenant)

    def close(self) -> None:
        """Closes the connection, and ends its transaction although a cursor may live on.

        SQLite keeps a connection with such a cursor open out of sight, as a cancelled task leaves it until the garbage
        collector comes; its transaction would lock the file for all others.
        """
        if self.in_transaction:
            self.rollback()
        super().close()

    # sqlite3 gives these three a cursor of its own, past ``cursor()``.
    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        """Runs a statement on a new cursor of the connection's own kind."""
        return self.cursor().execute(sql, parameters)

    def executemany(self, sql: str, parameters: Iterable[Any], /) -> sqlite3.Cursor:
        """Runs a statement once for each of *parameters* on a new cursor of the connection's own kind."""
        return self.cursor().executemany(sql, parameters)

    def executescript(self, sql_script: str, /) -> sqlite3.Cursor:
        """Runs a script on a new cursor of the connection's own kind."""
        return self.cursor().executescript(sql_script)

    def _refuse(self, *_: object, **__: object) -> Never:
        raise sqlite3.NotSupportedError("not available on a tenant's connection")

    backup: Any = _refuse
    blobopen: Any = _refuse
    deserialize: Any = _refuse
    enable_load_extension: Any = _refuse
    load_extension: Any = _refuse
    set_authorizer: Any = _refuse
    set_progress_handler: Any = _refuse
    setconfig: Any = _refuse
    setlimit: Any = _refuse


class FencedConnection(GuardedConnection):
    """A connection to a tenant's own file: its own tables are free, everything else is only to read."""

    def __init__(
        self, *arguments: Any, authorizer: Authorizer, tenant: uuid.UUID | None = None, **options: Any
    ) -> None:
        if tenant is not None:
            arguments, options = _of_standing(*arguments), {**options, "uri": True}
        self.hearing = Hearing()
        # A search may be put up in the file while the connection lives, by a process that knows more models.
        super().__init__(*arguments, trusting=must_be_trusted(), **options)
        if tenant is not None:
            self._keep_to(tenant)
        sqlite3.Connection.set_authorizer(self, self.hearing.letting_fts5_write(authorizer))

    def _keep_to(self, tenant: uuid.UUID) -> None:
        # A foreign row here shows nobody anything today, but it would travel when the tenant moves to common tables.
        for (table,) in super().execute(_WALLED_TABLES, (TENANT_COLUMN,)).fetchall():
            for event in ("INSERT", f"UPDATE OF {TENANT_COLUMN}"):
                name = quote(f"{LIBRARY_PREFIX}fence_{table}_{event[:6].lower()}")
                super().execute(
                    f"CREATE TEMP TRIGGER {name} BEFORE {event} ON main.{quote(table)} "
                    f"WHEN NEW.{TENANT_COLUMN} IS NOT '{tenant.hex}' "
                    "BEGIN SELECT RAISE(ABORT, 'the row belongs to another tenant'); END"
                ).close()

    def cursor(self, factory: type[sqlite3.Cursor] | None = None) -> sqlite3.Cursor:  # type: ignore[override]
        """Returns a cursor of the connection's own kind.

        Raises: sqlite3.NotSupportedError for another kind.
        """
        own = SpeakingCursor if self.clock is None else ClockedSpeakingCursor
        if factory is not None and not issubclass(factory, own):
            raise sqlite3.NotSupportedError("a connection to a tenant's file makes its own cursors")
        return super().cursor(factory or own)


def _of_standing(path: str, *others: Any) -> tuple[Any, ...]:
    """Returns the arguments that open a file which stands, and no other."""
    # sqlite3 would make a file that is gone, and the tenant would come back to an empty one.
    return f"{Path(path).absolute().as_uri()}?mode=rw", *others


class WalledCursor(sqlite3.Cursor):
    """A cursor that reports how many rows of the stored tables a statement changed itself.

    It ends with the binding: once the connection is bound to another tenant, it yields nothing more.
    """

    connection: WalledConnection
    _changed = 0
    _tenant: str | None = None

    def execute(self, sql: str, parameters: Any = (), /) -> Self:
        """Runs a statement.

        Raises: sqlite3.DatabaseError where the wall does not let it through.
        """
        wall = self.connection.wall
        wall.check_statement(sql)
        wall.changed, self._tenant = 0, wall.spelled
        super().execute(sql, parameters)
        self._changed = wall.changed
        return self

    def executemany(self, sql: str, parameters: Iterable[Any], /) -> Self:
        """Runs a statement once for each of *parameters*.

        Raises: sqlite3.DatabaseError where the wall does not let it through.
        """
        wall = self.connection.wall
        wall.check_statement(sql)
        wall.changed, self._tenant = 0, wall.spelled
        super().executemany(sql, parameters)
        self._changed = wall.changed
        return self

    def executescript(self, _: str, /) -> Never:
        """Refuses: only the first statement of a script could be judged.

        Raises: sqlite3.NotSupportedError.
        """
        raise sqlite3.NotSupportedError("a script is not available on a walled connection")

    def fetchone(self) -> Any:
        """Returns the next row, or None.

        Raises: sqlite3.ProgrammingError once the connection is bound to another tenant.
        """
        self._check_binding()
        return super().fetchone()

    def fetchmany(self, size: int | None = None) -> list[Any]:
        """Returns the next rows.

        Raises: sqlite3.ProgrammingError once the connection is bound to another tenant.
        """
        self._check_binding()
        return super().fetchmany(self.arraysize if size is None else size)

    def fetchall(self) -> list[Any]:
        """Returns the rows that are left.

        Raises: sqlite3.ProgrammingError once the connection is bound to another tenant.
        """
        self._check_binding()
        return super().fetchall()

    def __next__(self) -> Any:
        self._check_binding()
        return super().__next__()

    def _check_binding(self) -> None:
        # A part of a statement that has not run yet would find the rows of the tenant who is bound by then.
        if self._tenant != self.connection.wall.spelled:
            raise sqlite3.ProgrammingError("the cursor belongs to another tenant's transaction")

    @property
    def rowcount(self) -> int:
        """The rows changed by the last statement; -1 after one that changes none, as DB-API has it."""
        reported = super().rowcount
        return self._changed if reported >= 0 or self._changed else reported


class ClockedWalledCursor(WalledCursor, ClockedCursor):
    """A walled cursor whose statements have a limit of time."""

    connection: WalledConnection


class WalledConnection(GuardedConnection):
    """A connection to the common file whose wall is up from its first statement on."""

    def __init__(self, *arguments: Any, script: WallScript, **options: Any) -> None:
        self.wall = Wall(script)
        super().__init__(*arguments, **options)
        self.wall.raise_on(self, self.gate)

    def cursor(self, factory: type[WalledCursor] | None = None) -> WalledCursor:  # type: ignore[override]
        """Returns a cursor of the wall's own kind.

        Raises: sqlite3.NotSupportedError for another kind.
        """
        own = WalledCursor if self.clock is None else ClockedWalledCursor
        if factory is not None and not issubclass(factory, own):
            raise sqlite3.NotSupportedError("a walled connection makes its own cursors")
        return super().cursor(factory or own)

    iterdump: Any = GuardedConnection._refuse
    serialize: Any = GuardedConnection._refuse
    set_trace_callback: Any = GuardedConnection._refuse
    # Of everybody who had the connection before.
    total_changes: Any = property(GuardedConnection._refuse)


def file_authorizer(metadata: MetaData, *, writable: Iterable[str] = ()) -> Authorizer:
    """Returns the authorizer of a tenant's own file: no other file, no DDL, shared and library tables only to read.

    The home's revision is the owner's affair and not to be read at all.

    Args:
        writable: library tables that a tenant's session may write.
    """
    shared = frozenset(table.name for table in shared_tables(metadata))
    free = frozenset(writable)

    def allows(action: int, first: str | None, second: str | None, on_behalf: str | None) -> bool:
        # A source of which no column is used bears the name that the statement spells.
        if (first or "").lower() == VERSION_TABLE:
            return False
        if action in WRITES:
            # A statement cannot pass for a trigger: it cannot make one, and a write has no other name behind it.
            if (on_behalf or "").startswith(LIBRARY_PREFIX):
                return True
            return first in free or not (first in shared or (first or "").startswith(LIBRARY_PREFIX))
        if action == sqlite3.SQLITE_PRAGMA:
            return first in _DESCRIBING_PRAGMAS or (first in _READABLE_PRAGMAS and second is None)
        if action == sqlite3.SQLITE_FUNCTION:
            return second not in DENIED_FUNCTIONS
        return action in HARMLESS or action == sqlite3.SQLITE_READ

    def authorize(action: int, first: str | None, second: str | None, _: str | None, on_behalf: str | None) -> int:
        return sqlite3.SQLITE_OK if allows(action, first, second, on_behalf) else sqlite3.SQLITE_DENY

    return authorize
