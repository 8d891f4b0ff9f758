"""Events are committed with the change, or never were; in every cell through every door."""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from cells import PLACES, Door, Ground, Place
from sqlalchemy import delete, select

from tenantry.errors import ConfigurationError, EventNotParked, PayloadRefused
from tenantry.outbox import Event, Outbox

from .models import Note


@pytest.fixture(params=PLACES, ids=str)
def place(request: pytest.FixtureRequest) -> Place:
    return request.param


@pytest.fixture
def outbox(ground: Ground, place: Place) -> Iterator[Outbox]:
    outbox = ground.made(place)
    yield outbox
    for side in ("near", "far"):
        with ground.session(place, side) as door:
            for table in (outbox.tables.events, outbox.tables.streams):
                door.run(lambda session, table=table: session.execute(delete(table)))
            door.commit()


def pending(ground: Ground, place: Place, side: str = "near") -> list[Event]:
    with ground.session(place, side) as door:
        return door.call(ground.made(place).pending)


def change(door: Door, number: int) -> None:
    door.run(lambda session: session.add(Note(number=number)))


def test_an_event_is_there_after_the_commit(ground: Ground, place: Place, outbox: Outbox) -> None:
    before = datetime.datetime.now(datetime.UTC) - datetime.timedelta(minutes=1)
    with ground.session(place) as door:
        change(door, 1)
        first = door.call(outbox.add, "ticket.created", {"id": 7, "tags": ("a", None)}, key="7", headers={"v": 1})
        second = door.call(outbox.add, "ticket.closed", {})
        door.commit()
        tenant = door.session.tenant.id
    events = pending(ground, place)
    assert [event.id for event in events] == [first, second]
    found = events[0]
    assert (found.topic, found.payload, found.key) == ("ticket.created", {"id": 7, "tags": ["a", None]}, "7")
    assert (found.headers, found.tenant, found.number, found.attempts) == ({"v": 1}, tenant, None, 0)
    assert found.added_at > before
    assert Event.from_dict(found.to_dict()) == found


def test_what_is_rolled_back_never_happened(ground: Ground, place: Place, outbox: Outbox) -> None:
    with ground.session(place) as door:
        door.call(outbox.add, "a", {})
        door.rollback()
        door.call(outbox.add, "b", {})

        def in_a_savepoint(session: Any) -> None:
            savepoint = session.begin_nested()
            outbox.add(session, "c", {})
            savepoint.rollback()

        door.run(in_a_savepoint)
        door.commit()
    assert [event.topic for event in pending(ground, place)] == ["b"]


def test_the_neighbour_has_its_own(ground: Ground, place: Place, outbox: Outbox) -> None:
    with ground.session(place) as door:
        ours = door.call(outbox.add, "ours", {})
        door.commit()
    assert pending(ground, place, "far") == []
    with ground.session(place, "far") as door:
        for method in (outbox.retry, outbox.discard):
            for unknown in (ours, uuid.uuid4()):
                with pytest.raises(EventNotParked):
                    door.call(method, unknown)
        assert door.call(outbox.purge, older_than=datetime.timedelta()) == 0
        positions = door.run(lambda session: session.scalars(select(outbox.tables.events.c.position)).all())
        assert positions == []
        door.call(outbox.add, "theirs", {})
        # Nor does a position tell how many events the neighbour has.
        positions = door.run(lambda session: session.scalars(select(outbox.tables.events.c.position)).all())
        assert positions == [1]
        door.commit()
    assert [event.topic for event in pending(ground, place)] == ["ours"]


def test_who_did_it_travels_with_the_event(ground: Ground, place: Place, outbox: Outbox) -> None:
    with ground.session(place) as door:
        info = door.run(lambda session: session.info)
        info.update(actor=uuid.UUID(int=3), correlation_id="c-1", impersonator=None)
        door.call(outbox.add, "a", {}, headers={"correlation_id": "own"})
        door.commit()
    assert pending(ground, place)[0].headers == {"actor": str(uuid.UUID(int=3)), "correlation_id": "own"}


@pytest.mark.parametrize(
    ("topic", "payload", "options", "error"),
    [
        ("a", [1], {}, PayloadRefused),
        ("a", {"at": datetime.date(2026, 1, 1)}, {}, PayloadRefused),
        ("a", {"x": float("inf")}, {}, PayloadRefused),
        ("a", {}, {"headers": {"x": "\0"}}, PayloadRefused),
        ("", {}, {}, ConfigurationError),
        ("a\n", {}, {}, ConfigurationError),
        ("a", {}, {"key": "k" * 256}, ConfigurationError),
    ],
)
def test_what_cannot_be_kept_is_refused(
    ground: Ground, place: Place, outbox: Outbox, topic: str, payload: Any, options: Any, error: type[Exception]
) -> None:
    with ground.session(place) as door:
        with pytest.raises(error):
            door.call(outbox.add, topic, payload, **options)
        door.commit()
    assert pending(ground, place) == []
