"""Two transactions with one key: the second is told so, waits if it asks to, and never does the work again."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from typing import Any

import pytest
from cells import PLACES, SYNC_PLACES, Ground, Place
from sqlalchemy import event, func, select

from tenantry.errors import IdempotencyInFlight
from tenantry.idempotency import Answer

from .models import Event, Order

POSTGRESQL = [place for place in PLACES if place.postgresql]
SQLITE = [place for place in SYNC_PLACES if not place.postgresql]


class Racer:
    """Calls with one key from several transactions."""

    def __init__(self, ground: Ground, place: Place) -> None:
        self.tenancy, self.idempotency = ground.tenancy(place), ground.made(place)
        self.slug, self.key = f"near-{place.cell}", uuid.uuid4().hex

    def call(self, session: Any, answer: Any = "second", **options: Any) -> Answer:
        def effect(session: Any) -> Any:
            session.add(Order(call=self.key))
            return answer

        return self.idempotency.run(session, self.key, effect, **options)

    @contextmanager
    def at_work(self, end: Callable[[Any], None] | None = None) -> Iterator[threading.Event]:
        """Has another thread hold the key until the event is set; *end* then says how its transaction ends."""
        held, release = threading.Event(), threading.Event()

        def work() -> None:
            with self.tenancy.session(self.slug) as session:
                self.call(session, "first")
                session.flush()
                held.set()
                assert release.wait(60)
                (end or (lambda session: session.commit()))(session)

        with ThreadPoolExecutor(1) as pool:
            working = pool.submit(work)
            assert held.wait(60)
            try:
                yield release
            finally:
                release.set()
            working.result()

    def orders(self) -> int:
        with self.tenancy.session(self.slug) as session:
            return session.scalars(select(func.count()).select_from(Order).where(Order.call == self.key)).one()


@pytest.mark.parametrize("place", POSTGRESQL, ids=str)
def test_a_call_under_way_is_told_apart(ground: Ground, place: Place) -> None:
    racer = Racer(ground, Place(place.cell, "sync"))
    # Held by one door, asked for through another.
    idempotency = ground.made(place)
    with racer.at_work():
        for wait in (0.0, 0.05):
            with ground.session(place) as door:
                with pytest.raises(IdempotencyInFlight) as caught:
                    door.call(idempotency.run, racer.key, lambda _: None, wait=wait)
                assert caught.value.retry_after == 1.0
                # The transaction goes on, and what is another's is not held up.
                assert door.call(idempotency.find, racer.key) is None
    with ground.session(place) as door:
        assert door.call(idempotency.find, racer.key) == Answer("first", replayed=True)


@pytest.mark.parametrize("place", [place for place in SYNC_PLACES if place.postgresql], ids=str)
def test_the_neighbour_has_the_same_key_at_the_same_time(ground: Ground, place: Place) -> None:
    racer = Racer(ground, place)
    with racer.at_work(), ground.session(place, "far") as door:
        assert not racer.call(door.session).replayed


@pytest.mark.parametrize("place", [place for place in SYNC_PLACES if place.postgresql], ids=str)
@pytest.mark.parametrize("ends", ["commit", "rollback"])
def test_who_waits_gets_the_answer_or_does_the_work(ground: Ground, place: Place, ends: str) -> None:
    racer = Racer(ground, place)

    def looked(*_: Any) -> None:
        release.set()

    with (
        racer.at_work(lambda session: getattr(session, ends)()) as release,
        racer.tenancy.session(racer.slug) as session,
    ):
        # The other ends once this one has begun to wait.
        event.listen(session.get_bind(), "before_cursor_execute", _at_sleep(looked))
        answer = racer.call(session, wait=60.0)
        session.commit()
    assert answer == (Answer("first", replayed=True) if ends == "commit" else Answer("second", replayed=False))
    assert racer.orders() == 1


def _at_sleep(then: Callable[[], None]) -> Callable[..., None]:
    def before(_: Any, __: Any, statement: str, *rest: Any) -> None:
        if "pg_sleep" in statement:
            then()

    return before


@pytest.mark.parametrize("place", [place for place in SYNC_PLACES if place.postgresql], ids=str)
@pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
def test_a_snapshot_too_old_to_see_the_answer_is_told_so(ground: Ground, place: Place, level: str) -> None:
    racer = Racer(ground, place)
    with racer.tenancy.session(racer.slug, isolation_level=level) as session:
        session.scalars(select(func.count()).select_from(Order)).one()
        with racer.tenancy.transaction(racer.slug) as other:
            racer.call(other, "first")
            racer.idempotency.create_idempotent(other, Event, {"kind": "x"}, key=racer.key)
        with pytest.raises(IdempotencyInFlight) as caught:
            racer.call(session)
        assert caught.value.retry_after == 0
        with pytest.raises(IdempotencyInFlight):
            racer.idempotency.create_idempotent(session, Event, {"kind": "x"}, key=racer.key)
    with racer.tenancy.transaction(racer.slug, isolation_level=level) as session:
        assert racer.call(session) == Answer("first", replayed=True)
        assert not racer.idempotency.create_idempotent(session, Event, {"kind": "x"}, key=racer.key)[1]
    assert racer.orders() == 1


@pytest.mark.parametrize("place", SQLITE, ids=str)
def test_on_sqlite_a_file_that_stays_busy_is_a_call_under_way(ground: Ground, place: Place) -> None:
    racer = Racer(ground, place)
    impatient = ground.open(ground.sqlite_url)
    with closing(impatient), racer.at_work():
        engine = impatient.router.route(racer.slug).engine()
        event.listen(engine, "do_connect", lambda *found: found[3].update(timeout=0.05))
        with impatient.session(racer.slug) as session, pytest.raises(IdempotencyInFlight):
            racer.call(session)
    assert racer.orders() == 1


@pytest.mark.parametrize("place", SYNC_PLACES, ids=str)
def test_eight_threads_do_the_work_once(ground: Ground, place: Place) -> None:
    racer, start = Racer(ground, place), threading.Barrier(8)

    def race(number: int) -> tuple[Any, bool]:
        start.wait(60)
        with racer.tenancy.transaction(racer.slug) as session:
            event, made = racer.idempotency.create_idempotent(session, Event, {"kind": "x"}, key=racer.key)
        with racer.tenancy.transaction(racer.slug) as session:
            return (racer.call(session, number, wait=60.0).value, event.id), made

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(race, range(8)))
    assert len({answer for answer, _ in found}) == 1
    assert sum(made for _, made in found) == 1
    assert racer.orders() == 1
