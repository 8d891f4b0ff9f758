"""A relay delivers in order, again after a failure, and never for another's lease; in every cell."""

from __future__ import annotations

import datetime
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from cells import SYNC_PLACES, Ground, Place
from sqlalchemy import update

from tenantry.errors import ConfigurationError, EventNotParked, HandlerMissing
from tenantry.events import Step, listen
from tenantry.outbox import Backoff, Delivery, Event, Relay

from .desk import AT_ONCE, NEVER, Desk, flaky
from .models import Note


@pytest.fixture(params=SYNC_PLACES, ids=str)
def desk(request: pytest.FixtureRequest, ground: Ground) -> Desk:
    return Desk(ground, request.param)


def test_events_are_delivered_once_and_in_order(desk: Desk) -> None:
    desk.outbox.handler("*")(desk.record)
    desk.add(1, 2, 3)
    desk.add(4, 5)
    assert desk.deliver(desk.relay(batch=2)) == Delivery(delivered=5)
    assert desk.numbers == [1, 2, 3, 4, 5]
    assert [event.number for event in desk.seen] == [1, 2, 3, 4, 5]
    assert desk.deliver() == Delivery()
    desk.add(6)
    assert desk.deliver() == Delivery(delivered=1)
    assert [event.number for event in desk.seen][-1] == 6
    assert desk.read("pending") == []


def test_each_topic_has_its_handler(desk: Desk) -> None:
    said: list[str] = []
    desk.outbox.handler("a")(lambda event: said.append(f"a{event.payload['number']}"))
    desk.outbox.handler("*")(lambda event: said.append(f"*{event.payload['number']}"))
    desk.add(1, topic="b")
    desk.add(2, topic="a")
    desk.deliver()
    assert said == ["*1", "a2"]
    for topic in ("a", "*"):
        with pytest.raises(ConfigurationError, match="has a handler already"):
            desk.outbox.handler(topic)(desk.record)


def test_a_failed_event_is_tried_again_before_those_behind_it(desk: Desk) -> None:
    perhaps = flaky(0.5, seed=5)
    tried: list[int] = []

    @desk.outbox.handler("noted")
    def handle(event: Event) -> None:
        tried.append(event.payload["number"])
        assert event.attempts == tried.count(event.payload["number"]) - 1
        perhaps()
        desk.record(event)

    desk.add(*range(10))
    relay = desk.relay(attempts=50)
    while desk.deliver(relay).failed:
        waiting = desk.read("pending")[0]
        assert waiting.error == "ConnectionError: no route to host"
    assert desk.numbers == list(range(10))
    assert tried == sorted(tried)
    assert len(tried) > 10


def test_a_failed_event_rests_before_it_is_tried_again(desk: Desk) -> None:
    desk.outbox.handler("noted")(lambda _: 1 / 0)
    desk.add(1)
    assert desk.deliver(desk.relay(backoff=NEVER)) == Delivery(failed=1)
    # Not due, whoever asks, and however it is asked.
    assert desk.deliver() == Delivery()
    assert not desk.relay().sweep([desk.slug]).done
    assert desk.read("pending")[0].attempts == 1
    desk.let_pass("due_at")
    assert desk.relay().sweep([desk.slug]).done == {desk.slug: Delivery(failed=1)}
    assert desk.read("pending")[0].attempts == 2


def test_a_rest_grows_and_is_bounded() -> None:
    backoff = Backoff(first=1.0, factor=2.0, longest=20.0)
    for attempt, whole in ((1, 1), (2, 2), (3, 4), (4, 8), (5, 16), (6, 20), (10_000, 20)):
        assert all(whole / 2 <= backoff.seconds(attempt) <= whole for _ in range(50))
    assert len({backoff.seconds(5) for _ in range(50)}) > 1


def refuse_two(desk: Desk) -> None:
    """Registers a handler that takes every event but the second."""

    @desk.outbox.handler("noted")
    def handle(event: Event) -> None:
        if event.payload["number"] == 2:
            raise ValueError("I do not like 2\0")
        desk.record(event)


def deliver_all(desk: Desk, relay: Relay) -> Delivery:
    total = Delivery()
    for _ in range(1000):
        found = desk.deliver(relay)
        if found == Delivery():
            return total
        total += found
    raise AssertionError(f"it goes on for ever: {total}")


def test_a_parked_event_blocks_those_behind_it(desk: Desk) -> None:
    refuse_two(desk)
    desk.add(1, 2, 3)
    relay = desk.relay(attempts=3)
    assert deliver_all(desk, relay) == Delivery(delivered=1, failed=3, parked=1)
    assert desk.numbers == [1]
    (parked,) = desk.read("parked")
    assert (parked.payload, parked.number, parked.attempts) == ({"number": 2}, 2, 3)
    assert parked.error == "ValueError: I do not like 2"
    desk.add(4)
    assert desk.deliver(relay) == Delivery()
    with desk.tenancy.transaction(desk.slug) as session:
        desk.outbox.retry(session, parked.id)
    assert deliver_all(desk, relay) == Delivery(failed=3, parked=1)
    with desk.tenancy.transaction(desk.slug) as session:
        desk.outbox.discard(session, parked.id)
        with pytest.raises(EventNotParked):
            desk.outbox.discard(session, parked.id)
    assert deliver_all(desk, relay) == Delivery(delivered=2)
    assert desk.numbers == [1, 3, 4]
    assert desk.read("parked") == []


def test_a_parked_event_is_passed_where_that_is_asked_for(desk: Desk) -> None:
    refuse_two(desk)
    desk.add(1, 2, 3, 4)
    assert deliver_all(desk, desk.relay(attempts=1, on_parked="skip")) == Delivery(delivered=3, failed=1, parked=1)
    assert desk.numbers == [1, 3, 4]


def test_a_topic_that_nobody_takes_waits_unharmed(desk: Desk) -> None:
    desk.add(1)
    relay = desk.relay(attempts=1)
    for _ in range(3):
        assert desk.deliver(relay) == Delivery(failed=1)
    assert desk.read("pending")[0].attempts == 0
    assert "HandlerMissing" in str(desk.read("pending")[0].error)
    with pytest.raises(HandlerMissing):
        desk.outbox.handler_of("noted")
    desk.outbox.handler("noted")(desk.record)
    assert desk.deliver(relay) == Delivery(delivered=1)


def test_a_transactional_handler_takes_effect_once(desk: Desk) -> None:
    perhaps = flaky(0.5, seed=7)

    @desk.outbox.handler("noted", transactional=True)
    def handle(event: Event, session: Any) -> None:
        session.add(Note(number=event.payload["number"]))
        session.flush()
        perhaps()

    desk.add(*range(8))
    failures = deliver_all(desk, desk.relay(attempts=50)).failed
    assert failures > 0
    assert desk.notes() == list(range(8))


def test_a_coroutine_function_is_awaited(desk: Desk) -> None:
    @desk.outbox.handler("noted")
    async def handle(event: Event) -> None:
        desk.record(event)

    with pytest.raises(ConfigurationError, match="coroutine"):
        desk.outbox.handler("other", transactional=True)(handle)
    desk.add(1, 2)
    assert desk.deliver() == Delivery(delivered=2)
    assert desk.numbers == [1, 2]


def test_a_stream_has_one_deliverer_at_a_time(desk: Desk) -> None:
    entered, release = threading.Event(), threading.Event()

    @desk.outbox.handler("noted")
    def handle(event: Event) -> None:
        entered.set()
        assert release.wait(60)
        desk.record(event)

    desk.add(1, 2)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(desk.deliver)
        assert entered.wait(60)
        assert desk.deliver() == Delivery()
        assert not desk.relay().sweep([desk.slug]).done
        release.set()
        assert first.result() == Delivery(delivered=2)
    assert desk.numbers == [1, 2]


def test_a_relay_that_stalled_cannot_acknowledge_for_another(desk: Desk) -> None:
    """The first is held up for longer than its lease; the second takes over and gets as far as the first did."""
    entered, release = threading.Event(), threading.Event()
    numbers: list[tuple[str, int]] = []

    @desk.outbox.handler("noted")
    def handle(event: Event) -> None:
        stalls = not entered.is_set()
        if stalls:
            entered.set()
            assert release.wait(60)
        numbers.append(("first" if stalls else "second", event.payload["number"]))
        if not stalls and event.payload["number"] == 2:
            raise ValueError("the second fails at 2")

    desk.add(1, 2, 3)
    lost: list[Step] = []
    end = listen(lambda step: lost.append(step) if step.name == "stream lost" else None)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(desk.deliver)
        assert entered.wait(60)
        desk.let_pass("lease_until")
        assert desk.deliver(desk.relay(backoff=NEVER)) == Delivery(delivered=1, failed=1)
        release.set()
        assert first.result() == Delivery()
    end()
    assert len(lost) == 1
    assert numbers == [("second", 1), ("second", 2), ("first", 1)]
    assert [event.payload["number"] for event in desk.read("pending")] == [2, 3]


@pytest.mark.parametrize("place", [place for place in SYNC_PLACES if place.postgresql], ids=str)
def test_a_later_number_never_shows_before_an_earlier_one(ground: Ground, place: Place) -> None:
    """Transactions that end in another order than they began in, which leaves a hole in a sequence."""
    desk = Desk(ground, place)
    desk.outbox.handler("noted")(desk.record)
    with desk.tenancy.session(desk.slug) as slow, desk.tenancy.session(desk.slug) as slower:
        desk.outbox.add(slow, "noted", {"number": 2})
        desk.outbox.add(slower, "noted", {"number": 3})
        desk.add(1)
        desk.deliver()
        slow.commit()
        # What follows from an event comes after it, whichever of them is seen first.
        desk.add(4)
        slower.commit()
        desk.deliver()
    assert desk.numbers[0] == 1
    assert sorted(desk.numbers) == [1, 2, 3, 4]
    assert desk.numbers.index(2) < desk.numbers.index(4)
    assert [event.number for event in desk.seen] == [1, 2, 3, 4]


def test_order_does_not_hang_on_anybodys_clock(desk: Desk) -> None:
    """The ids hold the time of the machine that made them: here one that is a few thousand years ahead."""
    desk.outbox.handler("noted")(desk.record)
    events = desk.outbox.tables.events
    for number in (1, 2, 3):
        desk.add(number)
        ahead = update(events).where(events.c.position == number).values(id=uuid.UUID(int=2**128 - number))
        with desk.tenancy.transaction(desk.slug) as session:
            session.execute(ahead)
    desk.deliver()
    assert desk.numbers == [1, 2, 3]


def test_delivered_events_are_purged(desk: Desk) -> None:
    desk.outbox.handler("noted")(desk.record)
    desk.add(1, 2, 3)
    desk.deliver()
    desk.add(4)
    with desk.tenancy.transaction(desk.slug) as session:
        assert desk.outbox.purge(session) == 0
        assert desk.outbox.purge(session, older_than=datetime.timedelta(), limit=2) == 2
        assert desk.outbox.purge(session, older_than=datetime.timedelta()) == 1
    desk.deliver()
    # The numbers go on.
    assert [event.number for event in desk.seen] == [1, 2, 3, 4]


def test_a_handler_adds_events_of_its_own(desk: Desk) -> None:
    @desk.outbox.handler("noted", transactional=True)
    def handle(event: Event, session: Any) -> None:
        desk.record(event)
        if event.payload["number"] < 5:
            desk.outbox.add(session, "noted", {"number": event.payload["number"] + 1})

    desk.add(1)
    assert desk.deliver() == Delivery(delivered=5)
    assert desk.numbers == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("options", [{"attempts": 0}, {"lease": 0}, {"batch": -1}, {"jobs": 0}, {"on_parked": "drop"}])
def test_a_relay_that_lets_nothing_through_is_refused(ground: Ground, options: Any) -> None:
    with pytest.raises(ConfigurationError):
        Relay(ground.made(SYNC_PLACES[0]), **options)


def all_desks(ground: Ground, *, postgresql: bool) -> list[Desk]:
    """Returns desks of one tenancy, one a tenant, with one outbox."""
    places = [place for place in SYNC_PLACES if place.postgresql is postgresql]
    desks = [Desk(ground, place, side) for place in places for side in ("near", "far")]
    for desk in desks[1:]:
        desk.outbox, desk.seen = desks[0].outbox, desks[0].seen
    desks[0].outbox.handler("noted")(desks[0].record)
    return desks


@pytest.mark.parametrize("postgresql", [True, False])
def test_a_sweep_finds_every_tenant(ground: Ground, postgresql: bool) -> None:
    desks = all_desks(ground, postgresql=postgresql)
    for desk in desks[:-1]:
        desk.add(1, 2)
    found = Relay(desks[0].outbox).sweep()
    assert found.ok
    tenants = {event.tenant for event in desks[0].seen}
    assert found.done == dict.fromkeys(tenants, Delivery(delivered=2))
    assert len(tenants) == len(desks) - 1
    for tenant in tenants:
        assert [event.number for event in desks[0].seen if event.tenant == tenant] == [1, 2]


@pytest.mark.parametrize("postgresql", [True, False])
def test_a_running_relay_delivers_what_is_committed_beside_it(ground: Ground, postgresql: bool) -> None:
    desks = all_desks(ground, postgresql=postgresql)
    everything, outbox, last = threading.Event(), desks[0].outbox, []
    desks[0].add(0)

    @outbox.handler("last")
    def note_last(event: Event) -> None:
        last.append(event)
        if len(last) == 2:
            raise ConnectionError("no route to host")
        if len(last) > len(desks):
            everything.set()

    relay = Relay(outbox, jobs=2, backoff=AT_ONCE)
    with ThreadPoolExecutor(1) as pool:
        # One sweep at the start, and none again: what is committed later, or fails, is found by its hint.
        running = pool.submit(relay.run, every=3600.0)
        try:
            for desk in desks:
                desk.add(1)
                desk.add(2)
                desk.add(3, topic="last")
            assert everything.wait(60)
        finally:
            relay.stop()
        running.result(timeout=60)
    for tenant in {event.tenant for event in last}:
        assert [event.payload["number"] for event in desks[0].seen if event.tenant == tenant][-2:] == [1, 2]
    assert len({event.tenant for event in last}) == len(desks)
    # A relay that was stopped takes nothing more.
    desks[0].add(9)
    assert relay.deliver(desks[0].slug) == Delivery()


def test_a_hog_lets_others_have_their_turn(ground: Ground) -> None:
    hog, quiet = all_desks(ground, postgresql=True)[:2]
    hog.add(*range(25))
    quiet.add(100)
    found = Relay(hog.outbox, batch=1, jobs=1).sweep([hog.slug, quiet.slug])
    assert found.done == {hog.slug: Delivery(delivered=25), quiet.slug: Delivery(delivered=1)}
    assert hog.numbers == [*range(10), 100, *range(10, 25)]


def test_one_tenants_trouble_holds_up_no_other(ground: Ground) -> None:
    desks = all_desks(ground, postgresql=True)
    for desk in desks:
        desk.add(1)
    tenants = ground.tenancy(SYNC_PLACES[0]).tenants
    tenants.suspend(desks[0].slug)
    try:
        found = Relay(desks[0].outbox).sweep([desk.slug for desk in desks])
    finally:
        tenants.resume(desks[0].slug)
    assert list(found.failed) == [desks[0].slug]
    assert len(found.done) == len(desks) - 1
