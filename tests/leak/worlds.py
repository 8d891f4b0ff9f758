"""What a route runs in: two tenants with same-shaped rows in one cell, entered through one door."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import asyncpg
import psycopg
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session
from sqlalchemy.util import await_only

from .outside import Outside
from .sides import Side

POSTGRESQL_DOORS = ("sync", "async-psycopg", "async-asyncpg")
SQLITE_DOORS = ("sync", "async-aiosqlite")
CELLS = {
    "postgresql-rows": POSTGRESQL_DOORS,
    "postgresql-schema": POSTGRESQL_DOORS,
    "postgresql-database": POSTGRESQL_DOORS,
    "sqlite-file": SQLITE_DOORS,
    "sqlite-rows": SQLITE_DOORS,
}
CONTROLS = {"control-postgresql": POSTGRESQL_DOORS, "control-sqlite": SQLITE_DOORS}


@dataclass(frozen=True, slots=True)
class Place:
    """A cell and the door through which it is entered."""

    cell: str
    door: str

    def __str__(self) -> str:
        return f"{self.cell}-{self.door}"

    @property
    def dialect(self) -> str:
        return "postgresql" if "postgresql" in self.cell else "sqlite"

    @property
    def control(self) -> bool:
        return self.cell in CONTROLS

    @property
    def synchronous(self) -> bool:
        return self.door == "sync"


PLACES = [Place(cell, door) for cell, doors in {**CELLS, **CONTROLS}.items() for door in doors]


class Ground(Protocol):
    """One cell, made ready: its models, its two tenants, how sessions open, and the look from outside."""

    models: Any
    a: Side
    b: Side
    outside: Outside
    shares_one_key: bool

    def session(self, side: Side, **options: Any) -> Any:
        """Returns a context manager that gives a Session of *side*."""

    def async_session(self, side: Side, door: str, **options: Any) -> Any:
        """Returns an async context manager that gives an AsyncSession of *side*."""

    def spellings(self, table: str) -> list[str]:
        """Returns every way to write the name of tenant B's *table* that may reach it from A's session."""

    @property
    def roles(self) -> list[str]:
        """Returns the roles that an application's login must not be able to take."""

    def catalog_files(self) -> list[str]:
        """Returns the paths of the catalog's file on SQLite."""

    def files(self) -> list[str]:
        """Returns the paths of the SQLite files in which rows that are not A's stand."""

    def discard(self) -> None:
        """Drops pooled connections, so that a fault in one test does not colour the next."""


@dataclass
class World:
    """What a route gets to work with beside its session of tenant A."""

    place: Place
    ground: Ground
    runner: asyncio.Runner

    def __getattr__(self, name: str) -> Any:
        return getattr(self.ground.models, name)

    @property
    def a(self) -> Side:
        return self.ground.a

    @property
    def b(self) -> Side:
        return self.ground.b

    @property
    def walled(self) -> bool:
        return not self.place.control

    @contextmanager
    def borrow(self, side: Side, *, writes: bool = False, **options: Any) -> Iterator[Session]:
        """Opens a session of *side* through this world's door, for a route that is itself synchronous."""
        if self.place.synchronous:
            with self.ground.session(side, **self._opening(writes, options)) as session:
                yield session
            return
        manager = self.aborrow(side, writes=writes, **options)
        session = await_only(manager.__aenter__())
        try:
            yield session.sync_session
        except BaseException as error:
            if not await_only(manager.__aexit__(type(error), error, error.__traceback__)):
                raise
        else:
            await_only(manager.__aexit__(None, None, None))

    @asynccontextmanager
    async def aborrow(self, side: Side, *, writes: bool = False, **options: Any) -> AsyncIterator[AsyncSession]:
        """Opens a session of *side* through this world's async door."""
        async with self.ground.async_session(side, self.place.door, **self._opening(writes, options)) as session:
            yield session

    def reading(self, side: Side) -> AbstractContextManager[Session]:
        """Opens a session of *side* that may only read."""
        return self.borrow(side, read_only=True)

    def _opening(self, writes: bool, options: dict[str, Any]) -> dict[str, Any]:
        # SQLite has one writer per file, and a session that may write holds its place: a second one would wait.
        return {"read_only": not writes, **options} if self.place.dialect == "sqlite" else options

    def new(self, model: Any, **values: Any) -> Any:
        """Returns a new row of A's, stamped by hand where nothing stamps it."""
        return model(**values) if self.walled else model(tenant_id=self.a.id, **values)

    def stamped(self, **values: Any) -> dict[str, Any]:
        """Returns values for a Core insert of a row of A's."""
        return {"tenant_id": self.a.id, **values}

    def key(self, side: Side, row: Any) -> Any:
        """Returns the whole primary key of a row of *side*."""
        return row if self.ground.shares_one_key else (side.id, row)

    def spellings(self, table: str) -> list[str]:
        return self.ground.spellings(table)

    def driver(self, session: Session, statement: str) -> list[tuple[Any, ...]]:
        """Sends *statement* on the driver's own connection, under SQLAlchemy and its hooks."""
        connection = session.connection().connection.driver_connection
        if self.place.door == "async-asyncpg":
            return [tuple(row.values()) for row in await_only(connection.fetch(statement))]
        if self.place.door == "async-aiosqlite":
            return [tuple(row) for row in await_only(connection.execute_fetchall(statement))]
        if self.place.door == "async-psycopg":
            cursor = await_only(connection.execute(statement))
            return await_only(cursor.fetchall()) if cursor.description else []
        cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []

    def beneath(self, driver: Any, statement: str) -> list[tuple[Any, ...]]:
        """Sends *statement* on a PostgreSQL driver's connection, under the library's classes; it need not be out."""
        if self.place.door == "async-asyncpg":
            return [tuple(row.values()) for row in await_only(asyncpg.Connection.fetch(driver, statement))]
        if self.place.door == "async-psycopg":
            cursor = await_only(psycopg.AsyncCursor(driver).execute(statement))
            return await_only(cursor.fetchall()) if cursor.description else []
        cursor = psycopg.Cursor(driver).execute(statement)
        return cursor.fetchall() if cursor.description else []

    def script(self, session: Session, statements: str) -> None:
        """Sends several statements as one message on the driver's own connection."""
        connection = session.connection().connection.driver_connection
        sent = connection.execute(statements)
        if not self.place.synchronous:
            await_only(sent)

    def python_connection(self, session: Session) -> sqlite3.Connection:
        """Returns the sqlite3 connection itself, on whichever thread it lives."""
        connection = session.connection().connection.driver_connection
        return connection if self.place.synchronous else connection._conn

    def on_driver(self, session: Session, work: Callable[[sqlite3.Connection], Any]) -> Any:
        """Runs *work* with the sqlite3 connection, on the connection's own thread."""
        connection = session.connection().connection.driver_connection
        if self.place.synchronous:
            return work(connection)
        return await_only(connection._execute(work, connection._conn))

    def read_all(self, session: Session) -> list[Any]:
        """Reads the subjects of all tickets the session can see, as text and through the ORM."""
        raw = session.execute(text("SELECT subject FROM tickets")).scalars().all()
        session.expire_all()
        mapped = [ticket.subject for ticket in session.query(self.Ticket)]
        return [*raw, *mapped]
