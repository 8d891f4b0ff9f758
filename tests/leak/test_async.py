"""Tasks: gathered, cancelled, left in the background; one session in two of them; streams across them."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from sqlalchemy import select, text

from .suite import Leak, refusal_of, route

SUBJECTS = text("SELECT subject FROM tickets")


async def _subjects(world, side):
    async with world.aborrow(side) as own:
        return (await own.execute(SUBJECTS)).scalars().all()


async def _visit(world, side, *, pause=0):
    async with world.aborrow(side) as own:
        rows = (await own.execute(SUBJECTS)).scalars().all()
        await asyncio.sleep(pause)
        rows = [*rows, *(await own.scalars(select(world.Ticket.subject))).all()]
    return rows if side is world.a else _swapped(world, rows)


def _swapped(world, rows):
    return [Leak("B sees A's row") for row in rows if world.a.canary in row]


async def _quietly(awaitable):
    try:
        return await awaitable
    except Exception as error:
        return refusal_of(error)


@route
async def test_select(session, world):
    return (await session.scalars(select(world.Ticket))).all()


@route
async def test_stream(session, world):
    return [row async for row in await session.stream(SUBJECTS)]


@route
async def test_stream_of_entities(session, world):
    return [ticket.subject async for ticket in await session.stream_scalars(select(world.Ticket))]


@route
async def test_stream_left_half_way(session, world):
    stream = await session.stream_scalars(select(world.Ticket.subject).execution_options(yield_per=1))
    async for subject in stream:
        seen = [subject]
        break
    await stream.close()
    await session.rollback()
    return [seen, (await session.scalars(select(world.Agent.note))).all()]


@route
async def test_stream_with_the_other_tenant_in_between(session, world):
    seen = []
    stream = await session.stream_scalars(select(world.Ticket.subject).execution_options(yield_per=1))
    async for subject in stream:
        await _visit(world, world.b)
        seen.append(subject)
    return seen


@route
async def test_gathered_sessions(session, world):
    # Writers of the control wait for each other on SQLite, whose drivers then sleep.
    sides = [world.a, world.b] * (8 if world.walled else 2)
    return await asyncio.gather(*[_visit(world, side, pause=0.001 * (number % 3)) for number, side in enumerate(sides)])


@route
async def test_gathered_statements_of_one_session(session, world):
    statements = [_quietly(session.execute(SUBJECTS)) for _ in range(3)]
    results = await asyncio.gather(*statements)
    return [result if isinstance(result, str) else result.all() for result in results]


@route
async def test_one_session_in_two_tasks(session, world):
    await session.execute(SUBJECTS)
    other = asyncio.create_task(_quietly(session.scalars(select(world.Ticket.subject))))
    results = [await other, await _quietly(session.execute(SUBJECTS))]
    return [result if isinstance(result, str) else result.all() for result in results]


@route
async def test_background_task_outlives_the_session(session, world):
    async with world.aborrow(world.a) as own:
        await own.execute(SUBJECTS)
        late = asyncio.create_task(_later(own))
    return await late


async def _later(own):
    await asyncio.sleep(0.01)
    result = await _quietly(own.execute(SUBJECTS))
    rows = result if isinstance(result, str) else result.all()
    await _quietly(own.close())
    return rows


@route
async def test_background_task_with_its_own_session(session, world):
    await session.execute(SUBJECTS)
    task = asyncio.create_task(_visit(world, world.b))
    await session.commit()
    return [await task, (await session.execute(SUBJECTS)).all()]


@route
async def test_task_cancelled_in_a_statement(session, world):
    return await _after_cancelling(world, _long_work(world, world.b))


@route
async def test_task_cancelled_in_a_transaction(session, world):
    return await _after_cancelling(world, _open_work(world, world.b))


@route
async def test_tasks_cancelled_at_many_moments(session, world):
    seen = []
    for moment in range(12 if world.walled else 6):
        task = asyncio.create_task(_visit(world, world.b))
        for _ in range(moment):
            await asyncio.sleep(0)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        seen.append(await _subjects(world, world.a))
    return seen


@route
async def test_own_task_cancelled_then_reused(session, world):
    with suppress(TimeoutError):
        async with asyncio.timeout(0.0005):
            for _ in range(1000):
                await session.execute(SUBJECTS)
    result = await _quietly(session.execute(SUBJECTS))
    if isinstance(result, str):
        # Where the cancellation met a statement, the transaction has to be given up first.
        await _quietly(session.rollback())
        result = await _quietly(session.execute(SUBJECTS))
    return result if isinstance(result, str) else result.all()


@route
async def test_timeout_around_a_session(session, world):
    with suppress(TimeoutError):
        async with asyncio.timeout(0.002):
            while True:
                await _visit(world, world.b)
    return [await _subjects(world, world.a) for _ in range(3)]


@route
async def test_task_group_that_fails(session, world):
    with suppress(ExceptionGroup):
        async with asyncio.TaskGroup() as group:
            for side in (world.b, world.a, world.b):
                group.create_task(_visit(world, side, pause=0.01))
            group.create_task(_fail())
    return [await _subjects(world, world.a), (await session.execute(SUBJECTS)).all()]


async def _fail():
    await asyncio.sleep(0.003)
    raise ZeroDivisionError


@route
async def test_shielded_work_of_the_other(session, world):
    work = asyncio.create_task(_visit(world, world.b, pause=0.01))
    with suppress(TimeoutError):
        async with asyncio.timeout(0.002):
            await asyncio.shield(work)
    seen = (await session.execute(SUBJECTS)).all()
    return [seen, await work]


@route
async def test_connection_of_the_session(session, world):
    connection = await session.connection()
    return (await connection.execute(SUBJECTS)).all()


@route
async def test_connection_after_the_end(session, world):
    connection = await session.connection()
    await session.commit()
    engine = connection.engine
    async with engine.connect() as other:
        return (await other.execute(SUBJECTS)).all()


@route
async def test_bind_of_the_session(session, world):
    async with session.bind.connect() as connection:
        return (await connection.execute(SUBJECTS)).all()


@route
async def test_other_sessions_object(session, world):
    async with world.aborrow(world.b) as other:
        agent = await other.get(world.Agent, world.key(world.b, world.b.agents[0]))
        other.expunge(agent)
    session.add(agent)
    agent.note = "overwritten"
    await session.commit()


@route
async def test_nested_in_one_task(session, world):
    await session.execute(SUBJECTS)
    async with world.aborrow(world.b) as inner:
        swapped = _swapped(world, (await inner.execute(SUBJECTS)).scalars().all())
        return [swapped, (await session.execute(SUBJECTS)).all()]


async def _long_work(world, side):
    async with world.aborrow(side) as own:
        while True:
            await own.execute(SUBJECTS)


async def _open_work(world, side):
    async with world.aborrow(side) as own:
        await own.execute(SUBJECTS)
        await asyncio.sleep(60)


async def _after_cancelling(world, work):
    task = asyncio.create_task(work)
    await asyncio.sleep(0.02)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    return [await _subjects(world, world.a) for _ in range(3)]
