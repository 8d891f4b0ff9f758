"""The old SQLite file: what it holds, what is noted in it while it is adopted, and how it is closed at the end."""

from __future__ import annotations

import contextlib
import sqlite3
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from sqlalchemy import MetaData, NullPool, create_engine, inspect

from tenantry.fleet.adopting.expressions import Expressions
from tenantry.fleet.adopting.plans import Plan
from tenantry.fleet.adopting.shapes import read_shapes
from tenantry.isolation.sqlite_stored import quote
from tenantry.models import owned_tables

PREFIX: Final = "tenantry_adopting_"
MAPPING: Final = f"{PREFIX}tenants"
# What is copied is fresh; a write to a tenant's rows makes its copy stale, one under way included.
STALE, COPYING, FRESH = range(3)

_WATCH: Final = f"{PREFIX}watch_"
_CLOSE: Final = f"{PREFIX}closed_"
_CLOSED: Final = "this database was adopted by tenantry; its rows live elsewhere now"
_EVENTS: Final = {"INSERT": ("NEW",), "UPDATE": ("OLD", "NEW"), "DELETE": ("OLD",)}


class OldFile:
    """One SQLite file that the old application writes."""

    def __init__(self, path: Path, *, plan: Plan, metadata: MetaData) -> None:
        self.path = path
        self._plan = plan
        self._metadata = metadata

    @contextlib.contextmanager
    def opened(self) -> Iterator[sqlite3.Connection]:
        """Opens the file in autocommit; one that is not there is an error."""
        with contextlib.closing(self._connect()) as connection:
            connection.execute("PRAGMA foreign_keys = ON")
            yield connection

    @contextlib.contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Opens one transaction that writes."""
        with self.opened() as connection, transaction(connection, "IMMEDIATE"):
            yield connection

    def expressions(self) -> Expressions:
        """Returns the questions that the file allows as it stands now."""
        # By the same way in: SQLAlchemy's own would make a file that is not there.
        engine = create_engine("sqlite://", creator=self._connect, poolclass=NullPool)
        with engine.connect() as connection:
            shapes = read_shapes(inspect(connection), owned_tables(self._metadata), [None])
        return Expressions(self._plan, self._metadata, shapes, quote)

    def has(self, name: str) -> bool:
        """Whether a table or a trigger of that name, or of one that begins so, stands in the file."""
        with self.opened() as connection:
            return bool(_named(connection, name))

    @property
    def is_begun(self) -> bool:
        """Whether an adoption of the file is under way."""
        return self.has(MAPPING)

    @property
    def is_closed(self) -> bool:
        """Whether the old application can write no more."""
        return self.has(_CLOSE)

    def begin(self) -> None:
        """Has the file note from now on whose rows are written."""
        expressions = self.expressions()
        with self.writing() as connection:
            columns = "value TEXT PRIMARY KEY, tenant TEXT NOT NULL UNIQUE, made INTEGER, fresh INTEGER NOT NULL"
            connection.execute(f"CREATE TABLE IF NOT EXISTS {MAPPING} ({columns})")
            for table in expressions.walled:
                for event, sides in _EVENTS.items():
                    connection.execute(_watch(expressions, table.name, event, sides))

    def enter(self, value: str, tenant: uuid.UUID, *, made: bool) -> None:
        """Notes which tenant a value means."""
        with self.writing() as connection:
            row = (value, tenant.hex, made, STALE)
            connection.execute(f"INSERT OR IGNORE INTO {MAPPING} VALUES (?, ?, ?, ?)", row)

    def tenants(self, *, made: bool = False) -> list[uuid.UUID]:
        """Returns the tenants that were noted, or those alone that the adoption made."""
        condition = " WHERE made" if made else ""
        with self.opened() as connection:
            return [uuid.UUID(tenant) for (tenant,) in connection.execute(f"SELECT tenant FROM {MAPPING}{condition}")]

    def close(self) -> None:
        """Ends every write of the old application, with an error that says why."""
        names = sorted(self.expressions().shapes)
        with self.writing() as connection:
            for name in names:
                for event in _EVENTS:
                    trigger = quote(f"{_CLOSE}{name}_{event.lower()}")
                    body = f"SELECT RAISE(ABORT, '{_CLOSED}'); END"
                    moment = f"BEFORE {event} ON {quote(name)}"
                    connection.execute(f"CREATE TRIGGER IF NOT EXISTS {trigger} {moment} BEGIN {body}")

    def reopen(self) -> None:
        """Lets the old application write again."""
        with self.writing() as connection:
            _drop_triggers(connection, _CLOSE)

    def forget(self) -> None:
        """Removes what the adoption noted in the file; a closed one stays closed."""
        with self.writing() as connection:
            _drop_triggers(connection, _WATCH)
            connection.execute(f"DROP TABLE IF EXISTS {MAPPING}")

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(f"{self.path.absolute().as_uri()}?mode=rw", uri=True, isolation_level=None, timeout=30)


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection, kind: str = "DEFERRED") -> Iterator[None]:
    """Opens one transaction on a connection in autocommit, and rolls it back on an error."""
    connection.execute(f"BEGIN {kind}")
    try:
        yield
        # Keys are checked here, and a commit that they refuse leaves the transaction open.
        connection.commit()
    except BaseException:
        connection.rollback()
        raise


def rows_of(connection: sqlite3.Connection, question: str, *values: Any) -> Sequence[tuple[Any, ...]]:
    """Returns the answer to a question."""
    return connection.execute(question, values).fetchall()


def _named(connection: sqlite3.Connection, prefix: str) -> list[str]:
    question = "SELECT name FROM sqlite_master WHERE substr(name, 1, ?) = ?"
    return [name for (name,) in connection.execute(question, (len(prefix), prefix))]


def _drop_triggers(connection: sqlite3.Connection, prefix: str) -> None:
    for name in _named(connection, prefix):
        connection.execute(f"DROP TRIGGER {quote(name)}")


def _watch(expressions: Expressions, name: str, event: str, sides: Sequence[str]) -> str:
    trigger = quote(f"{_WATCH}{name}_{event.lower()}")
    body = " ".join(_make_stale(expressions, name, side) for side in sides)
    return f"CREATE TRIGGER IF NOT EXISTS {trigger} AFTER {event} ON {quote(name)} BEGIN {body} END"


def _make_stale(expressions: Expressions, name: str, side: str) -> str:
    """Returns what marks the copy of a row's tenant; of every tenant, where the row no longer says whose it was."""
    row = ", ".join(f"{side}.{quote(column)} AS {quote(column)}" for column in expressions.shapes[name].columns)
    said = f"(SELECT {expressions.says(name)} FROM (SELECT {row}) AS r)"
    return f"UPDATE {MAPPING} SET fresh = {STALE} WHERE value = {said} OR {said} IS NULL;"
