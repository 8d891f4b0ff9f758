"""In every place and through every door: who writes is noted, who comes late is told, and nothing stays in the end."""

from __future__ import annotations

import contextlib
import datetime
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from cells import PLACES, SYNC_PLACES
from sqlalchemy import delete, func, insert, select, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from tenantry.errors import MoveRefused, TenantMoved
from tenantry.isolation import fencing

from .conftest import Case
from .models import Entry, Holiday, Reply, Tag, Ticket, Visit

WAYS: dict[str, Callable[[Session], Any]] = {
    "read": lambda session: session.scalars(select(Ticket)).all(),
    "read by key": lambda session: session.get(Ticket, uuid.UUID(int=7)),
    "count": lambda session: session.scalar(select(func.count()).select_from(Ticket)),
    "read an empty table": lambda session: session.scalars(select(Holiday)).all(),
    "read raw": lambda session: session.execute(text("select subject from tickets where subject = 'x'")).all(),
    "add": lambda session: session.add(Ticket(subject="late")),
    "insert": lambda session: session.execute(insert(Ticket).values(tenant_id=session.tenant.id, subject="late")),
    "update": lambda session: session.execute(update(Ticket).values(subject="late")),
    "delete": lambda session: session.execute(delete(Ticket)),
    "update raw": lambda session: session.execute(text("update tickets set subject = 'late'")),
}


def count(case: Case, key: Any = None) -> int:
    return case.do(lambda session: session.scalar(select(func.count()).select_from(Ticket)), key)


@pytest.mark.parametrize("place", PLACES, ids=str)
def test_who_comes_after_the_tenant_left_is_told(case: Case) -> None:
    case.do(lambda session: session.add(Ticket(subject="before")))
    before, neighbours = count(case), count(case, case.neighbour)
    fencing.prepare(case.server, case.tenant)
    with fencing.closed(case.server, case.tenant, departing=True):
        pass
    for buried in (False, True):
        for name, way in list(WAYS.items())[:: 3 if buried else 1]:
            with pytest.raises(TenantMoved) as raised:
                case.do(way)
            assert raised.value.fields["tenant"] == case.tenant.id, name
            assert case.tenancy.router.kept(case.tenant.id) is None, name
        case.do(WAYS["add"], case.neighbour)
        neighbours += 1
        assert count(case, case.neighbour) == neighbours
        if not buried:
            fencing.take_down(case.server, case.tenant)
    fencing.reopen(case.server, case.tenant)
    assert count(case) == before
    case.do(WAYS["add"])
    assert count(case) == before + 1


@pytest.mark.parametrize("place", PLACES, ids=str)
def test_every_change_is_noted_by_its_key(case: Case) -> None:
    def write(session: Session) -> dict[str, set[tuple[str, ...]]]:
        ticket, gone = Ticket(subject="a"), Ticket(subject="b")
        visit, day = Visit(page="/"), datetime.date(2026, 2, 3)
        tags = [Tag(id="it's, 'so'"), Tag(id="ä\\\t%,")]
        entry = Entry(said="x")
        session.add_all([ticket, gone, visit, *tags, Holiday(id=day), entry])
        session.flush()
        reply = Reply(ticket_id=gone.id)
        session.add(reply)
        session.flush()
        session.execute(delete(Ticket).where(Ticket.id == gone.id))
        session.execute(update(Tag).where(Tag.id == tags[0].id).values(id="renamed"))
        return {
            "tickets": {(str(ticket.id),), (str(gone.id),)},
            "replies": {(str(reply.id),)},
            "visits": {(str(visit.id),)},
            "tags": {(tag,) for tag in ("it's, 'so'", "ä\\\t%,", "renamed")},
            "holidays": {("2026-02-03",)},
            "entries": {(str(entry.id),)},
        }

    fencing.prepare(case.server, case.tenant)
    wanted = case.do(write)
    case.do(WAYS["add"], case.neighbour)
    with fencing.catching(case.server, case.tenant) as caught:
        found = dict(caught.changes())
        assert caught.changes() == {}
    # On SQLite the library numbers rows, by a counter that is a row of the tenant's too.
    found.pop("tenantry_counters", None)
    assert found == wanted
    case.do(lambda session: session.execute(text("delete from tags")))
    case.do(lambda session: session.execute(text("delete from holidays")))


@pytest.mark.parametrize("place", SYNC_PLACES, ids=str)
def test_what_was_taken_out_comes_back_with_a_rollback(case: Case) -> None:
    fencing.prepare(case.server, case.tenant)
    for _ in range(3):
        case.do(WAYS["add"])
    with fencing.catching(case.server, case.tenant) as caught:
        assert len(caught.changes()["tickets"]) == 3
        caught.connection.rollback()
    rounds = []
    for _ in range(3):
        with fencing.catching(case.server, case.tenant) as caught:
            rounds.append(len(caught.changes(limit=2).get("tickets", ())))
    assert rounds == [2, 1, 0]


@pytest.mark.parametrize("place", SYNC_PLACES, ids=str)
def test_a_fence_that_fails_leaves_the_tenant_as_it_was(case: Case) -> None:
    before = count(case)
    fencing.prepare(case.server, case.tenant)
    with pytest.raises(ZeroDivisionError), fencing.closed(case.server, case.tenant, departing=True):
        raise ZeroDivisionError
    case.do(WAYS["add"])
    assert count(case) == before + 1
    assert fencing.tombstones(case.server, case.tenant) == []


@pytest.mark.parametrize("place", SYNC_PLACES, ids=str)
def test_a_place_that_was_not_made_ready_is_not_fenced(case: Case) -> None:
    with pytest.raises((MoveRefused, DBAPIError)), fencing.closed(case.server, case.tenant):
        raise AssertionError("nothing holds the writers here")


@pytest.mark.parametrize("place", SYNC_PLACES, ids=str)
def test_nothing_stays_of_a_fence_that_was_lifted(case: Case) -> None:
    before = left(case)
    for _ in range(2):
        fencing.prepare(case.server, case.tenant)
        assert left(case) != before
    fencing.take_down(case.server, case.tenant)
    assert left(case) == before
    fencing.prepare(case.server, case.tenant)
    with fencing.closed(case.server, case.tenant, departing=True):
        pass
    fencing.take_down(case.server, case.tenant)
    assert [(stone.tenant, stone.departed) for stone in fencing.tombstones(case.server, case.tenant)] == [
        (case.tenant.id, True)
    ]
    for _ in range(2):
        fencing.lift(case.server, case.tenant)
        assert left(case) == before


def left(case: Case) -> list[Any]:
    """Returns everything in the database that was not there by itself, as the database's own catalog has it."""
    questions = (
        [
            "select tgrelid::text, tgname::text from pg_trigger where not tgisinternal order by 1, 2",
            "select polrelid::text, polname::text from pg_policy order by 1, 2",
            "select nspname::text from pg_namespace order by 1",
            "select pronamespace::text, proname::text from pg_proc where oid > 16383 order by 1, 2",
        ]
        if case.place.postgresql
        else ["select type, name, sql from sqlite_master order by 1, 2"]
    )
    with owning(case) as execute:
        return [list(execute(question)) for question in questions]


@contextlib.contextmanager
def owning(case: Case) -> Iterator[Callable[[str], Any]]:
    """Lends what runs a statement of the owner's where the tenant is."""
    if case.place.postgresql:
        database = case.tenant.physical if case.place.cell == "postgresql-database" else None
        with case.server.owner(action="Looking", database=database) as connection:
            yield connection.execute
    else:
        with case.server.connection(case.tenant.physical or "common.sqlite3") as connection:
            yield connection.exec_driver_sql
