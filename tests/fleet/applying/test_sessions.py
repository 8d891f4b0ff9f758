"""What a process holds open while a home changes knows the home as it is afterwards."""

from __future__ import annotations

import asyncio
import uuid

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from tenantry import Tenancy
from tenantry.fleet import Pace
from tenantry.fleet.homes import Home, HomeKind
from tenantry.fleet.scripts import AlembicHistory
from tenantry.ids import uuid7

from .models import New
from .worlds import MIGRATIONS, TICKETS, SqliteWorld, World, own_kinds

PACE = Pace(lock_timeout=10.0)
# More often than it takes to have a statement prepared.
OFTEN = 8
ALL = "SELECT * FROM tickets"


def kinds(world: World) -> list[HomeKind]:
    """Returns the kinds of homes that a program with the newest models can read while they are behind."""
    # The views of a walled connection name every column that the models have.
    common = [] if isinstance(world, SqliteWorld) else [HomeKind.COMMON]
    return [*common, *own_kinds(world)]


def tenant_of(world: World, home: Home) -> uuid.UUID:
    return home.tenant or world.common.id


@pytest.fixture
def tenancy(fresh: World) -> Tenancy:
    opened = fresh.tenancy(New, MIGRATIONS)
    yield opened
    opened.close()


def test_prepared_statements_survive_a_change_of_type(fresh: World, tenancy: Tenancy) -> None:
    history = AlembicHistory(tenancy)
    for kind in kinds(fresh):
        home = fresh.home(kind)
        for _ in range(OFTEN):
            with tenancy.session(tenant_of(fresh, home)) as db:
                assert len(db.execute(text(ALL)).all()) == TICKETS
        history.apply(home, "b2", pace=PACE)
        for _ in range(OFTEN):
            with tenancy.session(tenant_of(fresh, home)) as db:
                rows = db.execute(text(ALL)).mappings().all()
                assert {row["status"] for row in rows} == {"open", "old"}
    history.close()


def test_so_do_those_of_the_asynchronous_door(fresh: World, tenancy: Tenancy) -> None:
    history = AlembicHistory(tenancy)
    homes = [fresh.home(kind) for kind in kinds(fresh)]

    async def read(home: Home, columns: int) -> None:
        for _ in range(OFTEN):
            async with tenancy.aio.session(tenant_of(fresh, home)) as db:
                rows = (await db.execute(text(ALL))).all()
                assert (len(rows), len(rows[0])) == (TICKETS, columns)

    async def program() -> None:
        for home in homes:
            await read(home, 4)
            await asyncio.to_thread(history.apply, home, "b2", pace=PACE)
            await read(home, 5)
        await tenancy.aio.close()

    asyncio.run(program())
    history.close()


def test_a_new_table_is_fenced_on_connections_from_before(on_sqlite: SqliteWorld) -> None:
    tenancy = on_sqlite.tenancy(New, MIGRATIONS)
    history, home = AlembicHistory(tenancy), on_sqlite.home(HomeKind.FILE)
    with tenancy.session(home.tenant) as db:
        (ticket,) = db.execute(text("SELECT id FROM tickets LIMIT 1")).one()
    history.apply(home, "b2", pace=PACE)
    insert = text("INSERT INTO notes (tenant_id, id, ticket_id, body) VALUES (:tenant, :id, :ticket, 'note')")
    values = {"id": uuid7().hex, "ticket": ticket}
    with tenancy.session(home.tenant) as db:
        db.execute(insert, {**values, "tenant": home.tenant.hex})
        with pytest.raises(DBAPIError, match="belongs to another tenant"):
            db.execute(insert, {**values, "tenant": uuid7().hex, "id": uuid7().hex})
    tenancy.close()
