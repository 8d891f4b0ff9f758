"""Two tenants of one tenancy whose rows fill every table, and attempts through each door."""

from __future__ import annotations

import asyncio
import importlib.util
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Table, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from tenantry.errors import TenantryError
from tenantry.isolation.sqlite import SqliteServer
from tenantry.models import Ownership, owned_tables
from tenantry.tenancy import Tenancy
from tenantry.testing.rows import Known, Side
from tenantry.testing.ways import mapped_to
from tenantry.types import Isolation


class Ground:
    """Tenant A, whose sessions try, and tenant B, whose rows they are not to reach.

    *doors* are tenancies by the name of their door, ``sync`` first; every other one is awaited.
    """

    def __init__(
        self,
        tenancy: Tenancy,
        *,
        isolation: str | None = None,
        tables: Sequence[Table] | None = None,
        known: Known | None = None,
        doors: Mapping[str, Tenancy] | None = None,
    ) -> None:
        self.tenancy = tenancy
        self.doors = dict(doors or doors_of(tenancy))
        walled = owned_tables(tenancy.metadata, Ownership.TENANT, Ownership.RECORD)
        self.tables = [table for table in walled if tables is None or table in tables]
        self._isolation, self._known = isolation, known or {}
        self._runner = asyncio.Runner()
        self.a, self.b = (self._side(name) for name in ("alfa", "bravo"))
        self.placed = tenancy.tenants.get(self.a.slug).isolation

    @property
    def sqlite(self) -> bool:
        """Whether the tenants stand in SQLite files."""
        return isinstance(self.tenancy.servers.main, SqliteServer)

    @property
    def shares_tables(self) -> bool:
        """Whether both tenants' rows stand in the same tables."""
        return self.placed is Isolation.ROWS

    def model_of(self, table: Table) -> Any:
        """Returns the class that is mapped to a table, or None."""
        return mapped_to(self.tenancy.models, table)

    def state(self, side: Side) -> dict[str, list[str]]:
        """Returns all rows of a tenant, as its own session sees them."""
        with self.tenancy.session(side.id) as session:
            return {table.name: sorted(map(str, session.execute(select(table)).all())) for table in self.tables}

    def attempt(self, door: str, work: Callable[[Session], Any], *, side: Side | None = None) -> Any:
        """Returns what *work* gives in a new session of A, or of *side*, once it is committed; or the refusal."""
        tenancy, tenant = self.doors[door], (side or self.a).id
        if door == "sync":
            with tenancy.session(tenant) as session:
                return _attempted(session, work)
        return self._runner.run(self._attempt_awaited(tenancy, tenant, work))

    def close(self) -> None:
        """Closes the doors, and drops what stands outside the common tables."""
        for tenancy in self.doors.values():
            self._runner.run(_close_aio(tenancy))
        self._runner.close()
        if self.placed is Isolation.DATABASE and not self.sqlite:
            for side in (self.a, self.b):
                self.tenancy.tenants.erase(side.slug, confirm=side.slug)

    async def _attempt_awaited(self, tenancy: Tenancy, tenant: Any, work: Callable[[Session], Any]) -> Any:
        async with tenancy.aio.session(tenant) as session:
            return await session.run_sync(lambda inner: _attempted(inner, work))

    def _side(self, name: str) -> Side:
        slug = f"{name}-{secrets.token_hex(4)}"
        made = self.tenancy.tenants.create(slug, isolation=self._isolation)
        side = Side(slug, made.id, known=self._known)
        with self.tenancy.transaction(side.id) as session:
            side.fill(session, self.tables)
        return side


@contextmanager
def ground(
    tenancy: Tenancy,
    *,
    isolation: str | None = None,
    tables: Sequence[Table] | None = None,
    known: Known | None = None,
    doors: Mapping[str, Tenancy] | None = None,
) -> Iterator[Ground]:
    """Lends two new tenants of a tenancy, with a row in each table; *known* are values by table and column.

    Raises: RowUnknown for a table whose rows cannot be made up.
    """
    found = Ground(tenancy, isolation=isolation, tables=tables, known=known, doors=doors)
    try:
        yield found
    finally:
        found.close()


def doors_of(tenancy: Tenancy) -> dict[str, Tenancy]:
    """Returns the doors that can be opened here: the sync one, and the awaited one where its libraries are."""
    needed = ["greenlet", *(["aiosqlite"] if isinstance(tenancy.servers.main, SqliteServer) else [])]
    awaited = all(importlib.util.find_spec(name) for name in needed)
    return {"sync": tenancy, **({"async": tenancy} if awaited else {})}


async def _close_aio(tenancy: Tenancy) -> None:
    for server in tenancy.servers.all():
        await server.engines.of_this_loop().close()


def _attempted(session: Session, work: Callable[[Session], Any]) -> Any:
    try:
        seen = work(session)
        session.commit()
    except (TenantryError, SQLAlchemyError) as error:
        session.rollback()
        return error
    return seen
