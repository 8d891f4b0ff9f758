"""Vectors follow their rows: whatever changes a row, whatever fails on the way, and no oftener than needed."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from cells import PLACES, SYNC_PLACES, Ground, Place
from sqlalchemy import delete, insert, text, update

from tenantry.errors import ConfigurationError
from tenantry.models import TENANT_COLUMN
from tenantry.outbox import Backoff, Delivery, Relay
from tenantry.vectors import Mirror, Mirroring, Vectors

from .toys import Base, Project, Room, Step, Ticket, Words, told


@pytest.fixture(params=SYNC_PLACES, ids=str)
def place(request: pytest.FixtureRequest) -> Place:
    found: Place = request.param
    return found


@pytest.fixture
def room(ground: Ground, place: Place) -> Iterator[Room]:
    room: Room = ground.made(place)
    yield room
    room.words.before = lambda _: None
    with ground.session(place) as door:
        door.run(_empty)
        door.commit()


def _empty(session: Any) -> None:
    for table in reversed(Base.metadata.sorted_tables):
        if TENANT_COLUMN in table.c and not table.name.startswith("outbox_streams"):
            session.execute(delete(table))


@pytest.fixture
def slug(place: Place) -> str:
    return f"near-{place.cell}"


def deliver(room: Room, slug: str) -> Delivery:
    return Relay(room.outbox, attempts=3, backoff=Backoff(first=0.0)).deliver(slug)


def found(room: Room, slug: str, wanted: str) -> list[str]:
    """Returns the texts of the rows whose vectors are the nearest, each looked up by its key."""
    with room.tenancy.session(slug) as session:
        hits = room.tickets.search(session, wanted)
        rows = [session.get(Ticket, uuid.UUID(hit.key)) for hit in hits]
        return [str(row and row.subject) for row in rows]


@pytest.mark.parametrize("place", PLACES, ids=str, indirect=True)
def test_a_row_is_found_once_it_is_committed_and_delivered(room: Room, ground: Ground, place: Place, slug: str) -> None:
    with ground.session(place) as door:
        door.run(lambda session: session.add_all([Ticket(subject="no paper"), Ticket(subject="wrong invoice")]))
        door.commit()
    assert found(room, slug, "paper") == []

    assert deliver(room, slug).delivered == 1
    assert found(room, slug, "paper") == ["no paper", "wrong invoice"]
    with ground.session(place, "far") as door:
        assert door.call(room.tickets.search, "paper") == []


def test_changed_rows_are_embedded_again_and_deleted_ones_go(room: Room, slug: str) -> None:
    with room.tenancy.transaction(slug) as session:
        tickets = [Ticket(subject=f"paper {number}") for number in range(3)]
        session.add_all(tickets)
    deliver(room, slug)
    seen = len(room.words.seen)

    with room.tenancy.transaction(slug) as session:
        first, second, third = [session.merge(ticket) for ticket in tickets]
        first.subject, second.priority = "invoice", 7
        session.delete(third)
    assert deliver(room, slug).delivered == 1

    assert room.words.seen[seen:] == ["invoice", "paper 1"]
    assert set(found(room, slug, "invoice")) == {"invoice", "paper 1"}
    with room.tenancy.session(slug) as session:
        assert [hit.key for hit in room.tickets.search(session, "paper", where={"to": 7})] == [str(tickets[1].id)]


def test_a_row_without_a_text_has_no_vector(room: Room, slug: str) -> None:
    with room.tenancy.transaction(slug) as session:
        ticket = Ticket(subject="paper")
        session.add_all([ticket, Ticket(subject=None), Ticket(subject=" ")])
    deliver(room, slug)
    assert found(room, slug, "paper") == ["paper"]
    with room.tenancy.transaction(slug) as session:
        session.merge(ticket).subject = None
    deliver(room, slug)
    assert found(room, slug, "paper") == []


def test_what_is_rolled_back_was_never_told(room: Room, slug: str) -> None:
    with room.tenancy.session(slug) as session:
        session.add(Ticket(subject="paper"))
        session.flush()
        session.rollback()
        assert room.outbox.pending(session) == []


STATEMENTS = {
    "insert of the class": lambda: (insert(Ticket), [{"subject": "new paper"}]),
    "update of the class": lambda: (update(Ticket).values(subject="new paper"), None),
    "update of the table": lambda: (update(Ticket.__table__).values(subject="new paper"), None),
    "delete of the class": lambda: (delete(Ticket), None),
    "delete of the table": lambda: (delete(Ticket.__table__), None),
    "delete of what they hang on": lambda: (delete(Project), None),
}


@pytest.mark.parametrize("name", STATEMENTS)
def test_statements_are_noticed_too(room: Room, slug: str, name: str) -> None:
    with room.tenancy.transaction(slug) as session:
        project = Project(name="one")
        session.add(project)
        session.flush()
        session.add_all([Ticket(subject="old paper", project_id=project.id) for _ in range(2)])
    deliver(room, slug)
    statement, rows = STATEMENTS[name]()
    if rows:
        rows = [{**row, TENANT_COLUMN: room.tenancy.tenants.get(slug).id} for row in rows]

    with room.tenancy.transaction(slug) as session:
        session.execute(statement, *([rows] if rows else []))
    deliver(room, slug)

    with room.tenancy.session(slug) as session:
        left = sorted(str(subject) for (subject,) in session.execute(text("SELECT subject FROM tickets")))
    assert sorted(found(room, slug, "paper")) == left


def test_a_row_that_goes_with_another_takes_its_vector_along(room: Room, slug: str) -> None:
    with room.tenancy.transaction(slug) as session:
        project = Project(name="one")
        session.add(project)
        session.flush()
        session.add_all([Ticket(subject="paper", project_id=project.id), Ticket(subject="invoice")])
    deliver(room, slug)
    with room.tenancy.transaction(slug) as session:
        session.delete(session.merge(project))
    deliver(room, slug)
    assert found(room, slug, "paper") == ["invoice"]


def test_bulk_methods_are_noticed(room: Room, slug: str) -> None:
    with room.tenancy.transaction(slug) as session:
        session.bulk_save_objects([Ticket(tenant_id=session.tenant.id, subject="paper")])
    deliver(room, slug)
    assert found(room, slug, "paper") == ["paper"]


def test_rows_with_keys_of_several_parts_are_told_apart(room: Room, slug: str) -> None:
    with room.tenancy.transaction(slug) as session:
        session.add_all(
            [Step(ticket="a/1", number=2, text="paper"), Step(ticket="a", number=12, text="invoice")],
        )
    deliver(room, slug)
    with room.tenancy.transaction(slug) as session:
        kept = room.steps.vectors.known(session)
        assert len(kept) == 2
        session.delete(session.get_one(Step, ("a/1", 2)))
    deliver(room, slug)
    with room.tenancy.session(slug) as session:
        assert [hit.key for hit in room.steps.vectors.search(session, "paper")] == ["a/12"]


def test_a_failing_embedder_is_asked_again_and_nothing_is_lost(room: Room, slug: str) -> None:
    with room.tenancy.transaction(slug) as session:
        session.add(Ticket(subject="paper"))

    def fail(texts: Any) -> None:
        room.words.before = lambda _: None
        raise ConnectionError("the model does not answer")

    room.words.before = fail
    assert deliver(room, slug) == Delivery(failed=1)
    assert found(room, slug, "paper") == []
    assert deliver(room, slug) == Delivery(delivered=1)
    assert found(room, slug, "paper") == ["paper"]


def test_an_event_that_comes_twice_does_nothing_the_second_time(room: Room, slug: str) -> None:
    with room.tenancy.transaction(slug) as session:
        session.add(Ticket(subject="paper"))
        session.flush()
        (event,) = room.outbox.pending(session)
    deliver(room, slug)
    seen, table = len(room.words.seen), room.tickets.store.table  # type: ignore[attr-defined]  # a TableStore
    with room.tenancy.session(slug) as session:
        before = session.execute(table.select()).all()

    room.outbox.handler_of(event.topic).call(event)

    with room.tenancy.session(slug) as session:
        assert session.execute(table.select()).all() == before
    assert len(room.words.seen) == seen


def test_a_row_that_changes_while_it_is_embedded_is_not_found_by_its_old_text(room: Room, slug: str) -> None:
    with room.tenancy.transaction(slug) as session:
        ticket = Ticket(subject="paper")
        session.add(ticket)

    def meanwhile(_: Any) -> None:
        room.words.before = lambda _: None
        with room.tenancy.transaction(slug) as session:
            session.merge(ticket).subject = "invoice"

    room.words.before = meanwhile
    first = Relay(room.outbox, batch=1)
    with room.tenancy.session(slug) as session:
        (event,) = room.outbox.pending(session)
    room.outbox.handler_of(event.topic).call(event)
    assert found(room, slug, "paper") == []
    first.deliver(slug)
    with room.tenancy.session(slug) as session:
        (hit,) = room.tickets.search(session, "invoice")
    assert hit.score == pytest.approx(1.0, abs=1e-5)


def test_a_refresh_brings_what_no_event_told_of(room: Room, slug: str) -> None:
    with room.tenancy.transaction(slug) as session:
        session.add_all([Ticket(subject=f"paper {number}") for number in range(120)])
    deliver(room, slug)
    with room.tenancy.transaction(slug) as session:
        session.execute(text("DELETE FROM tickets WHERE subject LIKE 'paper 1%'"))
        session.execute(text("UPDATE tickets SET subject = 'invoice' WHERE subject = 'paper 2'"))
        assert room.outbox.pending(session) == []
        room.tickets.put(session, {"nobody": "paper", str(uuid.uuid4()): "paper"})

    assert room.mirror.refresh(slug) == Mirroring(put=1, deleted=33)
    assert room.mirror.refresh(slug) == Mirroring()
    with room.tenancy.session(slug) as session:
        assert len(room.tickets.known(session)) == 89
    assert found(room, slug, "invoice")[0] == "invoice"


def test_another_model_has_everything_embedded_anew(room: Room, slug: str) -> None:
    with room.tenancy.transaction(slug) as session:
        session.add(Ticket(subject="paper"))
    deliver(room, slug)
    room.words.model = "better words"
    try:
        assert room.mirror.refresh(slug) == Mirroring(put=1)
        assert found(room, slug, "paper") == ["paper"]
    finally:
        room.words.model = "words"


@pytest.mark.parametrize("place", PLACES, ids=str, indirect=True)
def test_rows_are_touched_by_hand(room: Room, ground: Ground, place: Place, slug: str) -> None:
    with ground.session(place) as door:
        ticket = Ticket(subject="paper")
        door.run(lambda session: session.add(ticket))
        door.commit()
    deliver(room, slug)
    with room.tenancy.transaction(slug) as session:
        session.execute(text("UPDATE tickets SET subject = 'invoice'"))
    with ground.session(place) as door:
        door.call(room.mirror.touch, [ticket])
        door.call(room.mirror.touch_all)
        door.commit()
    assert deliver(room, slug).delivered == 2
    assert found(room, slug, "invoice") == ["invoice"]


def test_a_mirror_says_what_it_cannot_mirror(room: Room, ground: Ground, place: Place) -> None:
    other = ground.made(next(each for each in SYNC_PLACES if each.postgresql is not place.postgresql))
    with pytest.raises(ConfigurationError, match="two tenancies"):
        Mirror(room.tickets, other.outbox, Ticket, text=told)
    with pytest.raises(ConfigurationError, match="has a handler already"):
        Mirror(room.tickets, room.outbox, Ticket, text=told)
    with pytest.raises(ConfigurationError, match="right after the Tenancy"):
        Vectors(room.tenancy, "late", embedder=Words())
