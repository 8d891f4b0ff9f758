"""A server whose walls are down: what carries the tenant's predicate works, all else is refused."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import func, select
from sqlalchemy.orm import Session, aliased, joinedload, selectinload

from .suite import Trial, run
from .walled import PostgresGround
from .worlds import Place, World

DOORS = ("sync", "async-psycopg", "async-asyncpg")


@pytest.fixture(scope="module")
def ground(postgres: Any) -> Iterator[PostgresGround]:
    """Two tenants in common tables whose row-level security somebody has turned off since the installation."""
    with asyncio.Runner() as runner:
        made = PostgresGround("postgresql-rows", postgres, runner)
        with psycopg.connect(made.installation.url(made.installation.database)) as connection:
            names = connection.execute("SELECT relname FROM pg_class WHERE relrowsecurity AND relkind = 'r'").fetchall()
            for (name,) in names:
                statement = sql.SQL("ALTER TABLE public.{} DISABLE ROW LEVEL SECURITY")
                connection.execute(statement.format(sql.Identifier(name)))
        for tenancy in made.tenancies.values():
            tenancy.servers.get("main").forget_check()
            tenancy.router.clear()
        made.discard()
        yield made
        made.close()


@pytest.fixture(params=DOORS)
def world(request: pytest.FixtureRequest, ground: PostgresGround) -> World:
    return World(Place("postgresql-rows", request.param), ground, ground.runner)


def _check(world: World, attack: Any) -> str:
    """Fails if *attack* shows or changes anything of tenant B's; returns how it was refused."""
    attempt = run(Trial(attack, "route", None, None, None), world)
    outside = world.ground.outside
    present = outside.state()
    changed = present.foreign != outside.remembered.foreign
    if present != outside.remembered:
        outside.repair()
    leaks = [*attempt.leaks, *(["foreign rows changed"] if changed else [])]
    assert not leaks, f"leaked: {leaks}"
    return attempt.refusal


def test_entities(world):
    ticket = aliased(world.Ticket)
    statements = [
        select(world.Ticket),
        select(world.Ticket.subject, world.Ticket.number),
        select(ticket),
        select(world.Agent).options(selectinload(world.Agent.tickets)),
        select(world.Ticket).options(joinedload(world.Ticket.agent), joinedload(world.Ticket.comments)),
        select(world.Ticket.subject, world.Agent.note).join(world.Agent, world.Ticket.agent_id == world.Agent.id),
        select(world.BugTicket),
        select(func.max(world.Ticket.subject)),
        select(world.Ticket.subject).where(world.Ticket.id.in_(select(world.Comment.ticket_id))),
        select(world.Ticket).where(world.Ticket.number > 0).union_all(select(world.Ticket)),
    ]

    def read(session: Session, world: World) -> list[Any]:
        seen = []
        for statement in statements:
            rows = session.execute(statement).unique().all()
            assert rows
            seen += rows
        return seen

    assert not _check(world, read)
    _check_the_other(world, select(world.Ticket.subject))


def _check_the_other(world: World, statement: Any) -> None:
    """A stale predicate shows one tenant's rows to the other, whichever was first."""

    def read(session: Session) -> list[Any]:
        return [*session.execute(statement).scalars()]

    if world.place.synchronous:
        with world.borrow(world.b) as session:
            seen = read(session)
    else:
        seen = world.runner.run(_read_other(world, read))
    assert seen and all(subject.startswith(world.b.canary) for subject in seen), f"leaked: the next session of B {seen}"


async def _read_other(world: World, read: Any) -> list[Any]:
    async with world.aborrow(world.b) as session:
        return await session.run_sync(read)
