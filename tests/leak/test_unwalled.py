"""A server whose walls are down: what carries the tenant's predicate works, all else is refused."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import delete, func, select, update
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


@pytest.fixture
def world_of_the_sync_door(ground: PostgresGround) -> World:
    return World(Place("postgresql-rows", "sync"), ground, ground.runner)


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


def _routes() -> dict[str, Trial]:
    """Every route of the suite that a synchronous session takes."""
    found = {}
    for file in sorted(Path(__file__).parent.glob("test_*.py")):
        module = importlib.import_module(f".{file.stem}", __package__) if file.name != Path(__file__).name else None
        for name, value in vars(module).items() if module else ():
            trial = getattr(value, "trial", None)
            if trial and trial.kind == "route" and trial.fits(Place("postgresql-rows", "sync")):
                found[f"{file.stem}-{name}"] = trial
    return found


NOT_HERE = {
    "test_threads-test_threads_that_fail_in_between": "its threads count on their text, which is refused here",
    "test_identity_map-test_object_planted_in_the_map": "it writes into the session's own map, as only Python can",
}
ROUTES = {name: trial for name, trial in _routes().items() if name not in NOT_HERE}


@pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SAWarning", "ignore::sqlalchemy.exc.SADeprecationWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("name", ROUTES)
def test_route(name: str, world_of_the_sync_door: World) -> None:
    """Whatever leads past the ORM is refused here; the rest carries the tenant's predicate."""
    _check(world_of_the_sync_door, ROUTES[name].function)


def _reads(world: World) -> list[Any]:
    ticket, inner = aliased(world.Ticket), select(world.Comment.ticket_id)
    return [
        select(world.Ticket),
        select(world.Ticket.subject, world.Ticket.number).order_by("number"),
        select(ticket),
        select(world.Agent).options(selectinload(world.Agent.tickets)),
        select(world.Ticket).options(joinedload(world.Ticket.agent), joinedload(world.Ticket.comments)),
        select(world.Ticket.subject, world.Agent.note).join(world.Ticket.agent),
        select(world.Ticket.subject, world.Tag.note).join(world.Ticket.tags),
        select(world.BugTicket),
        select(func.count()).select_from(world.Ticket),
        select(world.Ticket.subject).where(world.Ticket.id.in_(inner)),
        select(select(world.Ticket.subject).subquery().c.subject),
        select(world.Ticket.headline, world.Product.title).join(world.Ticket.product),
    ]


def test_entities(world: World) -> None:
    def read(session: Session, world: World) -> list[Any]:
        seen = [session.execute(statement).unique().all() for statement in _reads(world)]
        assert all(seen)
        tickets = session.scalars(select(world.Ticket).order_by(world.Ticket.number)).all()
        return [seen, [[t.agent, t.tags, t.comments] for t in tickets], session.get(world.Ticket, tickets[0].id)]

    assert not _check(world, read)


def test_entities_of_the_other_tenant(world: World) -> None:
    """A stale predicate shows one tenant's rows to the other, whichever was first."""
    seen = _of_the_other(world, lambda session: session.scalars(select(world.Ticket.subject)).all())
    assert seen
    assert all(subject.startswith(world.b.canary) for subject in seen), f"leaked: {seen}"


def test_update_of_entities(world: World) -> None:
    def write(session: Session, world: World) -> None:
        assert session.execute(update(world.Ticket).values(subject="mine")).rowcount == world.a.counts["tickets"]
        assert session.execute(delete(world.Comment)).rowcount == world.a.counts["comments"]
        session.commit()

    assert not _check(world, write)


def test_objects(world: World) -> None:
    def work(session: Session, world: World) -> list[Any]:
        tag = world.Tag(label="new", note="new")
        ticket = world.Ticket(subject="new", number=1, tags=[tag])
        session.add(ticket)
        session.commit()
        session.refresh(ticket)
        ticket.subject = "changed"
        session.flush()
        session.expire_all()
        found = [ticket.subject, ticket.tags[0].label]
        session.delete(ticket)
        session.commit()
        assert found == ["changed", "new"]
        return found

    assert not _check(world, work)


def _of_the_other(world: World, read: Any) -> list[Any]:
    if not world.place.synchronous:
        return world.runner.run(_await_the_other(world, read))
    with world.borrow(world.b) as session:
        return read(session)


async def _await_the_other(world: World, read: Any) -> list[Any]:
    async with world.aborrow(world.b) as session:
        return await session.run_sync(read)
