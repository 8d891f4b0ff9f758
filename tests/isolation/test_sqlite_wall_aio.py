"""The wall through aiosqlite: the same thing, awaited."""

from __future__ import annotations

import asyncio
import sqlite3
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiosqlite
import pytest
from sqlalchemy import func, insert, select, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from tenantry.isolation.sqlite_connection import bind, wall_of, walled_factory

from .sqlite_walls import OTHER, OTHER_ROWS, OWN, OWN_ROWS, CommonFile, Company, Ticket, numbered, prepare


@pytest.fixture
def file(tmp_path: Path) -> CommonFile:
    return CommonFile(tmp_path)


@asynccontextmanager
async def session(file: CommonFile, tenant: uuid.UUID) -> AsyncIterator[AsyncSession]:
    factory = walled_factory(file.script)
    engine = create_async_engine(f"sqlite+aiosqlite:///{file.path}", connect_args={"factory": factory})
    prepare(engine.sync_engine)
    bound = engine.execution_options(tenant=tenant, schema_translate_map={"tenantry_shared": None})
    try:
        async with AsyncSession(bound) as opened:
            yield opened
    finally:
        await engine.dispose()


def test_work_through_the_orm(file: CommonFile) -> None:
    async def work() -> None:
        async with session(file, OWN) as db:
            ticket = Ticket(tenant_id=OWN, subject="new")
            db.add(ticket)
            await db.flush()
            assert (vars(ticket)["priority"], vars(ticket)["doubled"]) == (3, 6)
            await db.commit()
            rows = [{"tenant_id": OWN, "subject": f"bulk-{number}"} for number in range(50)]
            made = await db.scalars(insert(Ticket).returning(Ticket, sort_by_parameter_order=True), rows)
            assert [found.subject for found in made] == [row["subject"] for row in rows]
            changed = await db.execute(update(Ticket).values(subject="same"))
            assert changed.rowcount == OWN_ROWS + 51
            await db.delete(await db.get_one(Company, (OWN, numbered(OWN, 0))))
            await db.commit()
            assert await db.scalar(select(func.count()).select_from(Ticket)) == OWN_ROWS + 50

    asyncio.run(work())
    assert len(file.rows_of(OTHER)["tickets__rows"]) == OTHER_ROWS


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM main.tickets__rows",
        "SELECT subject FROM (SELECT NULL AS subject) FULL JOIN tickets__rows USING (subject)",
        "EXPLAIN SELECT * FROM tickets",
        "PRAGMA table_list",
        "ATTACH ':memory:' AS other",
        "INSERT INTO tags VALUES ('0191d8a000007000800000000000000bb', 'x', 'x')",
    ],
)
def test_raw_sql_is_refused(file: CommonFile, statement: str) -> None:
    async def attempt() -> None:
        async with session(file, OWN) as db:
            with pytest.raises(DBAPIError):
                await db.execute(text(statement))
            await db.rollback()
            assert await db.scalar(text("SELECT count(*) FROM tickets")) == OWN_ROWS

    asyncio.run(attempt())


def test_the_drivers_own_ways_are_walled(file: CommonFile) -> None:
    async def attempt() -> None:
        async with aiosqlite.connect(file.path, factory=walled_factory(file.script)) as connection:
            bind(connection, OTHER)
            wall = wall_of(connection)
            assert wall is not None
            assert wall.tenant == OTHER
            rows = await connection.execute_fetchall("SELECT * FROM tickets")
            assert len(list(rows)) == OTHER_ROWS
            for statement in ("SELECT * FROM tickets__rows", "explain SELECT * FROM tickets"):
                with pytest.raises(sqlite3.DatabaseError):
                    await connection.execute(statement)
                with pytest.raises(sqlite3.DatabaseError):
                    await connection.execute_fetchall(statement)
                with pytest.raises(sqlite3.DatabaseError):
                    await connection.executescript(statement)
            with pytest.raises(sqlite3.NotSupportedError):
                await connection.set_authorizer(None)
            with pytest.raises(sqlite3.NotSupportedError):
                async for _ in connection.iterdump():
                    pass

    asyncio.run(attempt())


def test_two_tenants_at_once(file: CommonFile) -> None:
    async def counts(tenant: uuid.UUID) -> set[int]:
        found = set()
        for _ in range(10):
            async with session(file, tenant) as db:
                found.add(await db.scalar(select(func.count()).select_from(Ticket)) or 0)
        return found

    async def both() -> list[set[int]]:
        return await asyncio.gather(counts(OWN), counts(OTHER))

    assert asyncio.run(both()) == [{OWN_ROWS}, {OTHER_ROWS}]
