"""Ordinary transactions, doors, tasks and threads of one tenant, and of two side by side."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError

from .suite import use

COUNT = text("SELECT count(*) FROM tickets")


@use
def test_commit_and_go_on(session, world):
    for n in range(3):
        session.add(world.Tag(label=f"round {n}", note=""))
        session.commit()
    assert session.scalar(select(func.count()).select_from(world.Tag)) == world.a.counts["tags"] + 3


@use
def test_rollback_takes_back(session, world):
    session.add(world.Tag(label="taken back", note=""))
    session.flush()
    session.execute(text("DELETE FROM comments"))
    session.rollback()
    assert session.scalar(select(func.count()).select_from(world.Tag)) == world.a.counts["tags"]
    assert session.scalar(text("SELECT count(*) FROM comments")) == world.a.counts["comments"]


@use
def test_savepoint_kept(session, world):
    with session.begin_nested():
        session.add(world.Tag(label="kept", note=""))
    session.commit()
    assert session.scalar(select(func.count()).where(world.Tag.label == "kept")) == 1


@use
def test_savepoint_rolled_back(session, world):
    session.add(world.Tag(label="outer", note=""))
    session.flush()
    inner = session.begin_nested()
    session.add(world.Tag(label="inner", note=""))
    session.flush()
    inner.rollback()
    session.commit()
    assert session.scalars(select(world.Tag.label).where(world.Tag.label.in_(["outer", "inner"]))).all() == ["outer"]


@use
def test_savepoint_after_an_error(session, world):
    session.add(world.Tag(label="before", note=""))
    session.flush()
    with suppress(IntegrityError), session.begin_nested():
        session.add(world.Tag(label=world.a.label(), note="twice"))
        session.flush()
    session.commit()
    assert session.scalar(select(func.count()).where(world.Tag.label == "before")) == 1


@use
def test_begin_blocks(session, world):
    session.rollback()
    with session.begin():
        session.add(world.Tag(label="in a block", note=""))
    with suppress(ZeroDivisionError), session.begin():
        session.add(world.Tag(label="in a failed block", note=""))
        raise ZeroDivisionError
    assert session.scalars(select(world.Tag.label).where(world.Tag.label.like("in a%"))).all() == ["in a block"]


@use
def test_rollback_after_a_failed_statement(session, world):
    with pytest.raises(DBAPIError):
        session.execute(text("SELECT * FROM no_such_table"))
    session.rollback()
    assert session.scalar(COUNT) == world.a.counts["tickets"]


@use
def test_two_tenants_at_once(session, world):
    assert session.scalar(COUNT) == world.a.counts["tickets"]
    with world.borrow(world.b) as other:
        assert other.scalar(COUNT) == world.b.counts["tickets"]
        assert session.scalar(COUNT) == world.a.counts["tickets"]
        assert other.scalars(select(world.Ticket.tenant_id).distinct()).all() == [world.b.id]


@use
def test_read_only(session, world):
    session.rollback()
    with world.reading(world.a) as reader:
        assert reader.scalar(COUNT) == world.a.counts["tickets"]
        assert len(reader.scalars(select(world.Ticket)).all()) == world.a.counts["tickets"]


@use(dialect="postgresql")
def test_read_only_refuses_to_write(session, world):
    with world.reading(world.a) as reader, pytest.raises(DBAPIError):
        reader.execute(text("UPDATE tickets SET number = 0"))


@use(dialect="postgresql")
def test_stricter_isolation_levels(session, world):
    session.rollback()
    for level in ("SERIALIZABLE", "REPEATABLE READ"):
        with world.borrow(world.a, isolation_level=level) as strict:
            assert strict.scalar(text("SHOW transaction_isolation")) == level.lower()
            assert strict.scalar(COUNT) == world.a.counts["tickets"]


@use(dialect="postgresql")
def test_snapshot_of_a_repeatable_read(session, world):
    with world.borrow(world.a, isolation_level="REPEATABLE READ") as strict:
        before = strict.scalar(COUNT)
        session.add(world.Ticket(subject="later", number=9))
        session.commit()
        assert strict.scalar(COUNT) == before
    assert session.scalar(COUNT) == before + 1


@use
def test_many_sessions_in_turn(session, world):
    session.rollback()
    for side in [world.a, world.b] * 10:
        with world.borrow(side) as own:
            assert own.scalar(COUNT) == side.counts["tickets"]


@use(doors="sync")
def test_threads(session, world):
    session.rollback()

    def count(side):
        with world.borrow(side) as own:
            return own.scalar(COUNT) == side.counts["tickets"]

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(count, [world.a, world.b] * 20))


@use(doors="sync")
def test_writers_in_threads(session, world):
    session.rollback()

    def write(number):
        with world.borrow(world.a, writes=True) as own:
            own.add(world.Tag(label=f"thread {number}", note=""))
            own.commit()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(12)))
    assert session.scalar(select(func.count()).where(world.Tag.label.like("thread %"))) == 12


@use
async def test_awaited_session(session, world):
    ticket = await session.get(world.Ticket, world.a.tickets[0])
    ticket.subject = "awaited"
    session.add(world.Tag(label="awaited", note=""))
    await session.commit()
    await session.refresh(ticket)
    assert ticket.subject == "awaited"
    assert len((await session.scalars(select(world.Tag))).all()) == world.a.counts["tags"] + 1


@use
async def test_awaited_stream(session, world):
    numbers = [row.number async for row in await session.stream(text("SELECT number FROM tickets ORDER BY number"))]
    assert numbers == [1, 2, 3, 4]


@use
async def test_gathered_sessions(session, world):
    await session.rollback()

    async def count(side):
        async with world.aborrow(side) as own:
            return await own.scalar(COUNT) == side.counts["tickets"]

    assert all(await asyncio.gather(*[count(side) for side in [world.a, world.b] * 8]))


@use
async def test_awaitable_attributes(session, world):
    ticket = await session.get(world.Ticket, world.a.tickets[0])
    await session.refresh(ticket, ["comments", "agent"])
    assert (len(ticket.comments), ticket.agent.email) == (1, world.a.email())


@use
async def test_session_after_a_cancelled_task(session, world):
    await session.rollback()

    async def endless():
        async with world.aborrow(world.a) as own:
            while True:
                await own.scalar(COUNT)

    task = asyncio.create_task(endless())
    await asyncio.sleep(0.02)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await session.scalar(COUNT) == world.a.counts["tickets"]


@use
async def test_awaited_savepoint(session, world):
    async with session.begin_nested():
        session.add(world.Tag(label="nested", note=""))
    await session.commit()
    assert await session.scalar(select(func.count()).where(world.Tag.label == "nested")) == 1
