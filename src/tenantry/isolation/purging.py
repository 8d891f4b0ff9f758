"""Deleting rows that nobody may change: of append-only tables, and of a whole tenant; never by the app's login."""

from __future__ import annotations

import contextlib
import datetime
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Column, ColumnElement, Connection, MetaData, Row, Table, delete, func, literal, select
from sqlalchemy.orm import class_mapper
from sqlalchemy.sql.visitors import ExternallyTraversible, replacement_traverse

from tenantry.isolation.appending import PURGING
from tenantry.isolation.base import Strategy
from tenantry.isolation.binding import Binding
from tenantry.isolation.hooks import bound
from tenantry.isolation.postgres import OPERATOR, OWNER, PostgresServer
from tenantry.isolation.sqlite import SqliteServer
from tenantry.isolation.sqlite_stored import quote
from tenantry.models import TENANT_COLUMN, is_append_only
from tenantry.models.append_only import trigger_names
from tenantry.models.columns import utc_now

_ACTION: Final = "Purging"
_PAGE: Final = 1_000


@dataclass(frozen=True)
class Purge:
    """A transaction in which one tenant's rows are deleted, those of append-only tables too."""

    tenant: uuid.UUID
    connection: Connection
    stored: Callable[[str], str] = str

    def delete(self, table: Table, *conditions: ColumnElement[bool]) -> int:
        """Deletes the tenant's rows of *table* that meet every condition on its columns, and returns how many."""
        stands = self.standing(table)
        found = [_elsewhere(condition, table, stands) for condition in conditions]
        statement = delete(stands).where(self.own(stands), *found)
        with self._opened(table):
            return self.connection.execute(statement).rowcount

    def delete_all(self, tables: Sequence[Table]) -> dict[str, int]:
        """Deletes the tenant's rows of all of *tables*, and returns how many, by table; they may refer in a circle."""
        if self.connection.dialect.name == "sqlite":
            # Until the commit; what is left then that points at nothing undoes it all.
            self.connection.exec_driver_sql("PRAGMA defer_foreign_keys = ON")
            return {table.name: self.delete(table) for table in tables}
        # In one statement, at whose end the keys are looked at.
        gone = [
            delete(table).where(self.own(table)).returning(literal(1)).cte(f"gone{number}")
            for number, table in enumerate(tables)
        ]
        counted = [select(func.count()).select_from(each).scalar_subquery() for each in gone]
        counts = self.connection.execute(select(*counted))
        return {table.name: rows for table, rows in zip(tables, counts.one(), strict=True)}

    def delete_older(
        self,
        table: Table | type,
        than: datetime.datetime | datetime.timedelta,
        *conditions: ColumnElement[bool],
        column: str = "created_at",
    ) -> int:
        """Deletes the tenant's rows of a table, or of a class's, that are older than a time or than so much time."""
        found: Table = table if isinstance(table, Table) else class_mapper(table).local_table  # type: ignore[assignment]  # walled, so a Table
        end = than if isinstance(than, datetime.datetime) else utc_now() - than
        return self.delete(found, found.c[column] < end, *conditions)

    def select(
        self, table: Table, columns: Sequence[Column[Any]], *conditions: ColumnElement[bool]
    ) -> Iterator[Row[Any]]:
        """Yields these columns of the tenant's rows of *table* that meet every condition on its columns."""
        stands = self.standing(table)
        found = [_elsewhere(condition, table, stands) for condition in conditions]
        question = select(*(stands.c[column.name] for column in columns)).where(self.own(stands), *found)
        yield from self.connection.execute(question, execution_options={"yield_per": _PAGE})

    def count(self, table: Table) -> int:
        """Returns how many rows of *table* the tenant has."""
        stands = self.standing(table)
        question = select(func.count()).select_from(stands).where(self.own(stands))
        return self.connection.execute(question).scalar_one()

    def own(self, table: Table) -> ColumnElement[bool]:
        """Returns what is true of the tenant's own rows of a table."""
        # Said to a login that no wall holds: the operator's, or a superuser's on a development server.
        column: ColumnElement[uuid.UUID] = table.c[TENANT_COLUMN]
        return column == self.tenant

    def standing(self, table: Table) -> Table:
        """Returns *table* as the connection reaches it: on SQLite by the name that common rows are stored under."""
        name = self.stored(table.name)
        if name == table.name:
            return table
        return Table(name, MetaData(), *(Column(column.name, column.type) for column in table.columns))

    @contextlib.contextmanager
    def _opened(self, table: Table) -> Iterator[None]:
        """Takes SQLite's triggers down for a ``with`` block; nobody sees that, as they are up again at the commit."""
        guarded = is_append_only(table) and self.connection.dialect.name == "sqlite"
        names = trigger_names(table.name) if guarded else []
        question = "SELECT sql FROM sqlite_master WHERE type = 'trigger' AND name = ?"
        found = [self.connection.exec_driver_sql(question, (name,)).scalar() for name in names]
        for name in names:
            self.connection.exec_driver_sql(f"DROP TRIGGER IF EXISTS {quote(name)}")
        yield
        for statement in filter(None, found):
            self.connection.exec_driver_sql(statement)


@contextlib.contextmanager
def emptying(strategy: Strategy, metadata: MetaData, tenant: uuid.UUID) -> Iterator[Purge]:
    """Opens a transaction in which all of a tenant's rows may go; PostgreSQL's app login's, if no table is append-only.

    Raises: LoginRequired.
    """
    engine = strategy.engine(tenant)
    # SQLite has no logins that this could lack.
    if engine.dialect.name == "sqlite" or any(map(is_append_only, metadata.tables.values())):
        with strategy.purging(tenant) as purge:
            yield purge
        return
    with bound(engine, strategy.enter(tenant)) as connection:
        yield Purge(tenant, connection)


@contextlib.contextmanager
def postgres_purge(
    server: PostgresServer, tenant: uuid.UUID, path: str, *, database: str | None = None
) -> Iterator[Purge]:
    """Opens a purge by the operator's login, else the owner's; *path* is the setting that finds the tables.

    Raises: LoginRequired without either.
    """
    login = OPERATOR if server.has_login(OPERATOR) else OWNER
    context = f"{server.config.context_setting} = '{tenant}'"
    preamble = server.preamble(context, path, f"{PURGING} = 'on'", role=login)
    binding = Binding(tenant, preamble, prepared=False)
    with server.connection_to(database, login=login, action=_ACTION, binding=binding) as connection:
        yield Purge(tenant, connection)


@contextlib.contextmanager
def sqlite_purge(
    server: SqliteServer, tenant: uuid.UUID, file: str, *, stored: Callable[[str], str] = str
) -> Iterator[Purge]:
    """Opens a purge in one of the server's files, on a connection of the library's own."""
    with server.connection(file) as connection:
        yield Purge(tenant, connection, stored)


def _elsewhere(condition: ColumnElement[bool], table: Table, stands: Table) -> ColumnElement[bool]:
    """Returns a condition on the columns of *table* as one on those of the table that it is stored in."""
    if stands is table:
        return condition

    def stored(element: ExternallyTraversible, **_: Any) -> Column[Any] | None:
        own = isinstance(element, Column) and getattr(element.table, "name", None) == table.name
        return stands.c[element.name] if own else None  # type: ignore[attr-defined]  # a Column, by now

    found: ColumnElement[bool] = replacement_traverse(condition, {}, stored)
    return found
