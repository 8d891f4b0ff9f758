"""A call with a key takes effect once, in every cell through every door."""

from __future__ import annotations

import asyncio
import datetime
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from cells import PLACES, SYNC_PLACES, Door, Ground, Place
from sqlalchemy import MetaData, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlmodel import SQLModel

from tenantry import Tenancy
from tenantry.errors import (
    CommitInsideCall,
    ConfigurationError,
    IdempotencyConflict,
    IdempotencyUnfinished,
    InvalidIdempotencyKey,
    PayloadRefused,
)
from tenantry.idempotency import Answer, Idempotency, Idempotent, create_idempotent
from tenantry.models import TenantOwned

from .models import Event, Order


class Shop:
    """The effect whose doing is counted, under a key of this test's own."""

    def __init__(self, ground: Ground, place: Place, side: str = "near") -> None:
        self.ground, self.place, self.side = ground, place, side
        self.idempotency: Idempotency = ground.made(place)
        self.key = uuid.uuid4().hex

    @contextmanager
    def opened(self) -> Iterator[Door]:
        with self.ground.session(self.place, self.side) as door:
            yield door

    def place_order(self, door: Door, *, answer: Any = "placed", fails: bool = False, **options: Any) -> Answer:
        """Places an order under the key, unless an earlier call has."""

        def effect(session: Any) -> Any:
            session.add(Order(call=self.key))
            session.flush()
            if fails:
                raise ValueError("out of stock")
            return answer

        async def effect_async(session: Any) -> Any:
            return await session.run_sync(effect)

        chosen = effect if door.place.door == "sync" else effect_async
        return door.call(self.idempotency.run, self.key, chosen, **options)

    def called(self, **options: Any) -> Answer:
        """Places an order in a transaction of its own."""
        with self.opened() as door:
            answer = self.place_order(door, **options)
            door.commit()
            return answer

    def orders(self) -> int:
        counted = select(func.count()).select_from(Order).where(Order.call == self.key)
        with self.opened() as door:
            return door.run(lambda session: session.scalars(counted).one())


@pytest.fixture(params=PLACES, ids=str)
def shop(request: pytest.FixtureRequest, ground: Ground) -> Shop:
    return Shop(ground, request.param)


@pytest.mark.parametrize(
    "answer", [{"number": 7, "lines": ["a", None]}, [1.5, True], "text", 12345678901234567890, None]
)
def test_a_repeated_call_gets_the_stored_answer(shop: Shop, answer: Any) -> None:
    assert shop.called(answer=answer, payload={"sum": 5}) == Answer(answer, replayed=False)
    assert shop.called(answer="another", payload={"sum": 5}) == Answer(answer, replayed=True)
    assert shop.orders() == 1


def test_an_answer_is_the_same_the_first_time(shop: Shop) -> None:
    first = shop.called(answer={2: (1, 2), 3: "three"})
    assert first.value == {"2": [1, 2], "3": "three"} == shop.called().value


def test_another_payload_is_a_conflict(shop: Shop) -> None:
    shop.called(payload={"a": 1, "b": [uuid.UUID(int=1)]})
    assert shop.called(payload={"b": [uuid.UUID(int=1)], "a": 1}).replayed
    for other in ({"a": 2, "b": [uuid.UUID(int=1)]}, {"a": 1}, None, {"a": True, "b": [uuid.UUID(int=1)]}):
        with pytest.raises(IdempotencyConflict):
            shop.called(payload=other)
    assert shop.orders() == 1


def test_an_effect_that_raised_leaves_nothing(shop: Shop) -> None:
    with shop.opened() as door:
        with pytest.raises(ValueError, match="out of stock"):
            shop.place_order(door, fails=True)
        # The caller goes on, and commits what else it has done.
        door.commit()
    assert shop.orders() == 0
    assert not shop.called().replayed
    assert shop.orders() == 1


def test_an_error_of_the_database_leaves_nothing_either(shop: Shop) -> None:
    row = uuid.uuid4()

    def twice(session: Any) -> None:
        session.add(Order(id=row, call=shop.key))
        session.flush()
        session.execute(Order.__table__.insert().values(tenant_id=session.tenant.id, id=row, call=shop.key))

    async def twice_async(session: Any) -> None:
        await session.run_sync(twice)

    with shop.opened() as door:
        with pytest.raises(IntegrityError):
            door.call(shop.idempotency.run, shop.key, twice if door.place.door == "sync" else twice_async)
        assert not shop.place_order(door).replayed
        door.commit()
    assert shop.orders() == 1


def test_what_is_rolled_back_never_was(shop: Shop) -> None:
    with shop.opened() as door:
        shop.place_order(door)
        door.rollback()
    assert not shop.called().replayed
    assert shop.orders() == 1


def test_two_calls_in_one_transaction_are_two_calls(shop: Shop) -> None:
    with shop.opened() as door:
        assert not shop.place_order(door).replayed
        assert shop.place_order(door).replayed
        door.commit()
    assert shop.orders() == 1


def test_a_key_counts_for_one_tenant_and_one_scope(shop: Shop) -> None:
    shop.called(payload=1)
    far = Shop(shop.ground, shop.place, "far")
    far.key = shop.key
    assert not far.called(payload=2).replayed
    assert not shop.called(payload=2, scope="refunds").replayed
    assert (shop.orders(), far.orders()) == (2, 1)
    with far.opened() as door:
        assert door.call(far.idempotency.forget, far.key)
        assert door.call(far.idempotency.find, far.key) is None
        door.commit()
    with shop.opened() as door:
        assert door.call(shop.idempotency.find, shop.key) == Answer("placed", replayed=True)
        assert door.call(shop.idempotency.find, "no such key") is None
        assert not door.call(shop.idempotency.forget, "no such key")


def test_an_expired_key_is_free_again_and_purged(shop: Shop) -> None:
    shop.called(payload=1)
    table = shop.idempotency.keys.table
    past = datetime.datetime.now(datetime.UTC) - datetime.timedelta(seconds=1)
    aged = update(table).where(table.c.key == shop.key).values(expires_at=past)

    def age() -> None:
        with shop.opened() as door:
            door.run(lambda session: session.execute(aged))
            assert door.call(shop.idempotency.find, shop.key) is None
            door.commit()

    age()
    assert not shop.called(payload=2).replayed
    assert shop.called(payload=2).replayed
    age()
    with shop.opened() as door:
        assert door.call(shop.idempotency.purge) == 1
        assert door.call(shop.idempotency.purge) == 0
        door.commit()
    assert shop.orders() == 2


@pytest.mark.parametrize("key", ["", "k" * 256, "a\nb", 5])
@pytest.mark.parametrize("place", SYNC_PLACES[:1], ids=str)
def test_a_key_that_cannot_be_kept_is_refused(ground: Ground, place: Place, key: Any) -> None:
    shop = Shop(ground, place)
    shop.key = key
    with pytest.raises(InvalidIdempotencyKey):
        shop.called()


@pytest.mark.parametrize("answer", [{1, 2}, float("nan"), "a\0b", "\ud800", uuid.uuid4()])
@pytest.mark.parametrize("place", SYNC_PLACES, ids=str)
def test_an_answer_that_cannot_be_kept_undoes_the_call(ground: Ground, place: Place, answer: Any) -> None:
    shop = Shop(ground, place)
    with pytest.raises(PayloadRefused, match="The answer"):
        shop.called(answer=answer)
    assert shop.orders() == 0
    assert shop.called(answer="a\\u0000b").value == "a\\u0000b"


@pytest.mark.parametrize("place", SYNC_PLACES, ids=str)
def test_a_commit_inside_the_call_is_noticed(ground: Ground, place: Place) -> None:
    shop = Shop(ground, place)

    def commit(session: Any) -> None:
        session.add(Order(call=shop.key))
        session.commit()

    with shop.opened() as door, pytest.raises(CommitInsideCall):
        shop.idempotency.run(door.session, shop.key, commit)
    # Nobody can tell what it did, so nobody does it again unasked.
    with pytest.raises(IdempotencyUnfinished):
        shop.called()
    with shop.opened() as door:
        assert shop.idempotency.forget(door.session, shop.key)
        door.commit()
    assert not shop.called().replayed


@pytest.mark.parametrize("place", SYNC_PLACES, ids=str)
def test_a_call_inside_itself_is_refused(ground: Ground, place: Place) -> None:
    shop = Shop(ground, place)
    with shop.opened() as door, shop.idempotency.once(door.session, shop.key) as call:
        with pytest.raises(IdempotencyUnfinished):
            shop.place_order(door)
        call.answer = "outer"
        door.session.add(Order(call=shop.key))
    # Not committed.
    assert shop.orders() == 0


@pytest.mark.parametrize("place", PLACES, ids=str)
def test_a_row_made_with_a_key_is_made_once(ground: Ground, place: Place) -> None:
    idempotency, key = ground.made(place), uuid.uuid4().hex
    ids = {}
    for side in ("near", "far"):
        for expected in (True, False):
            with ground.session(place, side) as door:
                event, created = door.call(idempotency.create_idempotent, Event, {"kind": "opened"}, key=key)
                assert created is expected
                assert event.id == ids.setdefault(side, event.id)
                door.commit()
    assert len(set(ids.values())) == 2
    with ground.session(place) as door, pytest.raises(IdempotencyConflict):
        door.call(idempotency.create_idempotent, Event, {"kind": "closed"}, key=key)


@pytest.mark.parametrize("place", SYNC_PLACES, ids=str)
def test_other_constraints_of_such_a_row_say_what_they_said(ground: Ground, place: Place) -> None:
    idempotency, row = ground.made(place), uuid.uuid4()
    with ground.session(place) as door:
        door.call(idempotency.create_idempotent, Event, {"id": row, "kind": "opened"}, key=uuid.uuid4().hex)
        door.session.expunge_all()
        with pytest.raises(IntegrityError):
            door.call(idempotency.create_idempotent, Event, {"id": row, "kind": "opened"}, key=uuid.uuid4().hex)
        with pytest.raises(ConfigurationError, match="no place for an idempotency key"):
            door.call(idempotency.create_idempotent, Order, {"call": "x"}, key="x")


def test_a_model_of_sqlmodel_bears_its_key_too(tmp_path: Path) -> None:
    class Base(SQLModel):
        metadata = MetaData()

    class Ticket(Idempotent, TenantOwned, Base, table=True):
        __tablename__ = "tickets"
        subject: str

    tenancy = Tenancy(f"sqlite:///{tmp_path}", models=Base)
    tenancy.install(create_tables=True)
    tenancy.tenants.create("acme")
    found = []
    for _ in range(2):
        with tenancy.transaction("acme") as session:
            ticket, created = create_idempotent(session, Ticket, {"subject": "a"}, key="1")
            found.append((ticket.id, created))
    assert found == [(found[0][0], True), (found[0][0], False)]
    tenancy.close()


@pytest.mark.parametrize("place", [place for place in PLACES if place.door != "sync"], ids=str)
@pytest.mark.parametrize("inside", ["between statements", "a statement"])
def test_a_cancelled_call_leaves_nothing(ground: Ground, place: Place, inside: str) -> None:
    shop = Shop(ground, place)

    async def call(begun: asyncio.Event) -> None:
        async with (
            ground.tenancy(place).aio.transaction(f"near-{place.cell}") as session,
            shop.idempotency.aio.once(session, shop.key),
        ):
            session.add(Order(call=shop.key))
            await session.flush()
            begun.set()
            if inside == "a statement" and place.postgresql:
                await session.execute(select(func.pg_sleep(60)))
            await asyncio.sleep(60)

    async def attempt() -> None:
        begun = asyncio.Event()
        calling = asyncio.create_task(call(begun))
        await begun.wait()
        # Once round the loop, so that it has gone on to where it waits.
        await asyncio.sleep(0)
        calling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await calling

    ground.runner.run(attempt())
    assert shop.orders() == 0
    assert not shop.called(wait=60.0).replayed
    assert shop.orders() == 1
