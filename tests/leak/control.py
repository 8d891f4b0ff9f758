"""The unguarded control: plain SQLAlchemy sessions of a powerful login over common tables, with no wall anywhere."""

from __future__ import annotations

import asyncio
import gc
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, event, make_url, text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import Session

from . import models as declared
from .outside import Outside, PostgresOutside, SQLiteOutside
from .planted import plant_in_postgres, plant_in_sqlite
from .sides import Side, new_sides, plant

DRIVERS = {
    "sync": {"postgresql": "postgresql+psycopg", "sqlite": "sqlite"},
    "async-psycopg": {"postgresql": "postgresql+psycopg"},
    "async-asyncpg": {"postgresql": "postgresql+asyncpg"},
    "async-aiosqlite": {"sqlite": "sqlite+aiosqlite"},
}
UNMARKED = ("companies", "ticket_tags", "bug_tickets")


_RESOLVE = """CREATE FUNCTION tenantry.resolve(asked_kind text, asked_value text) RETURNS TABLE (id text, name text)
LANGUAGE sql STABLE AS 'SELECT t.id, t.name FROM tenantry.tenants t WHERE t.slug = asked_value'"""


class ControlGround:
    """Common tables of two tenants as an application without Tenantry has them."""

    shares_one_key = True
    outside: Outside

    def __init__(self, url: str, runner: asyncio.Runner) -> None:
        self.models = declared.plain()
        self.a, self.b = new_sides()
        self.url = make_url(url)
        self.dialect = self.url.get_backend_name()
        self.runner = runner
        self.engine = self._engine()
        self.async_engines: dict[str, AsyncEngine] = {}
        self._fill()

    def session(self, side: Side, **_: Any) -> Any:
        return Session(self.engine, info={"tenant": side.id})

    def async_session(self, side: Side, door: str, **_: Any) -> Any:
        if self.dialect == "sqlite":
            # A cursor left by a cancelled task holds the write lock of its closed connection until it is collected.
            gc.collect()
        if door not in self.async_engines:
            url = self.url.set(drivername=DRIVERS[door][self.dialect])
            self.async_engines[door] = create_async_engine(url, pool_use_lifo=True)
        return AsyncSession(self.async_engines[door], info={"tenant": side.id}, expire_on_commit=False)

    def spellings(self, table: str) -> list[str]:
        return [f"public.{table}"] if self.dialect == "postgresql" else [f"main.{table}"]

    def files(self) -> list[str]:
        return [self.url.database]

    @property
    def roles(self) -> list[str]:
        return ["pg_read_all_data"]

    def catalog_files(self) -> list[str]:
        return [str(self.catalog)] if self.dialect == "sqlite" else []

    def discard(self) -> None:
        self.engine.dispose()
        self.runner.run(self._discard_async())

    def close(self) -> None:
        self.discard()
        self.outside.close()

    async def _discard_async(self) -> None:
        for engine in self.async_engines.values():
            await engine.dispose()

    def _engine(self) -> Engine:
        engine = create_engine(self.url.set(drivername=DRIVERS["sync"][self.dialect]), pool_use_lifo=True)
        if self.dialect == "sqlite":
            event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA foreign_keys = ON"))
        return engine

    def _fill(self) -> None:
        self.models.Base.metadata.create_all(self.engine)
        with Session(self.engine) as session, session.begin():
            session.add(self.models.Product(code="desk", title="Desk"))
            session.add(self.models.Vendor(id=1, secret=f"{self.b.canary} vendor"))
            for side in (self.a, self.b):
                session.add(self.models.Company(id=side.id, name=f"{side.canary} company"))
                session.flush()
                plant(session, self.models, side, extra={"tenant_id": side.id})
        self._fill_catalog()

    def _fill_catalog(self) -> None:
        """Makes the table a control plane would have: the tenants' names."""
        with Session(self.engine) as session, session.begin():
            home = "tenantry." if self.dialect == "postgresql" else ""
            if home:
                session.execute(text("CREATE SCHEMA tenantry"))
            session.execute(text(f"CREATE TABLE {home}tenants (id varchar PRIMARY KEY, slug varchar, name varchar)"))
            if home:
                session.execute(text(_RESOLVE))
            for side in (self.a, self.b):
                values = {"id": str(side.id), "slug": side.slug, "name": f"{side.canary} tenant"}
                session.execute(text(f"INSERT INTO {home}tenants VALUES (:id, :slug, :name)"), values)


class PostgresControl(ControlGround):
    """The control on PostgreSQL: a superuser's sessions."""

    def __init__(self, url: str, runner: asyncio.Runner) -> None:
        super().__init__(url, runner)
        plant_in_postgres(url, ["public"])
        self.outside = PostgresOutside([url], self.a.id, UNMARKED)
        self.outside.remember()


class SQLiteControl(ControlGround):
    """The control on SQLite: sessions on one common file."""

    def __init__(self, directory: Path, runner: asyncio.Runner) -> None:
        self.catalog = directory / "common.sqlite3"
        super().__init__(f"sqlite:///{directory / 'common.sqlite3'}", runner)
        plant_in_sqlite(directory / "common.sqlite3")
        self.outside = SQLiteOutside([directory / "common.sqlite3"], self.a.id, UNMARKED)
        self.outside.remember()
