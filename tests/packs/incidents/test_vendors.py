"""Calls of vendors: rates and breakers are each tenant's own, and the vendor's row keeps in step."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tenantry.errors import CircuitOpen, RateLimited, RecordNotFound, VendorInactive
from tenantry.packs.incidents import Incident, Vendor
from tenantry.packs.incidents.repositories import VendorRepository
from tenantry.packs.incidents.rows_control import VendorRows

from .cells import AWAITED, Ground, Place, Units

# Both doors on both databases; the cells differ in nothing that matters here.
DOORS = [Place("postgresql-rows", "sync"), Place("postgresql-rows", "asyncpg"), Place("sqlite-file", "aiosqlite")]


class Calls:
    """Calls of one vendor through one door."""

    def __init__(self, ground: Ground, place: Place, **columns: Any) -> None:
        self.ground = ground
        self.place = place
        self.pack = ground.pack(place)
        self.name = f"vendor-{uuid.uuid4().hex[:8]}"
        self.pack.prepare([{"name": self.name, **columns}])

    def call(self, side: str = "acme", *, error: Exception | None = None) -> str:
        slug = f"{side}-{self.place.cell}"
        if self.place.door == "sync":
            with self.pack.vendors.call(slug, self.name) as vendor:
                return answer(vendor, error)
        return self.ground.runner.run(self._awaited(slug, error))

    async def _awaited(self, slug: str, error: Exception | None) -> str:
        async with self.pack.vendors.aio.call(slug, self.name) as vendor:
            return answer(vendor, error)

    def standing(self, side: str) -> dict[str, Any]:
        slug = f"{side}-{self.place.cell}"
        if self.place.door == "sync":
            return self.pack.vendors.standing(slug, self.name)
        return self.ground.runner.run(self.pack.vendors.aio.standing(slug, self.name))

    def row(self) -> Vendor:
        with self.pack.tenancy.platform() as session:
            found = VendorRows(session).get_by_name(self.name)
            assert found is not None
            return found

    def change(self, **values: Any) -> None:
        with self.pack.tenancy.platform() as session:
            rows = VendorRows(session)
            rows.update(rows.one(name=self.name), **values)
            session.commit()


def answer(vendor: Vendor, error: Exception | None) -> str:
    if error is not None:
        raise error
    return vendor.name


@pytest.fixture(params=DOORS, ids=str)
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    return request.param


@pytest.mark.ledger("S4-040")
def test_a_vendor_that_fails_is_held_back_for_who_saw_it_fail(ground: Ground, place: Place) -> None:
    calls = Calls(ground, place, failure_threshold=2, recovery_timeout_s=600)
    assert calls.call() == calls.name
    assert calls.row().last_success_at is not None
    for count in (1, 2):
        with pytest.raises(ConnectionError):
            calls.call(error=ConnectionError("down"))
        assert calls.row().circuit_breaker_failure_count == count
    row = calls.row()
    assert (row.circuit_breaker_state, row.circuit_breaker_opened_at is None) == ("open", False)
    with pytest.raises(CircuitOpen):
        calls.call()
    assert calls.row().circuit_breaker_failure_count == 2
    assert (calls.standing("acme")["state"], calls.standing("rival")["state"]) == ("open", "closed")
    assert calls.call("rival") == calls.name
    row = calls.row()
    assert (row.circuit_breaker_state, row.circuit_breaker_failure_count) == ("closed", 0)
    with pytest.raises(CircuitOpen):
        calls.call()


@pytest.mark.ledger("S4-040")
def test_a_tenant_calls_so_often_a_minute_and_no_more(ground: Ground, place: Place) -> None:
    calls = Calls(ground, place, rate_limit_per_minute=2)
    calls.call()
    calls.call()
    with pytest.raises(RateLimited):
        calls.call()
    assert calls.call("rival") == calls.name
    assert calls.standing("acme") == {
        "name": calls.name,
        "rate_limit_per_minute": 2,
        "state": "closed",
        "failures": 0,
        "retry_after": 0.0,
    }


@pytest.mark.ledger("S4-011")
def test_who_is_not_to_be_called_is_not(ground: Ground, place: Place) -> None:
    calls = Calls(ground, place)
    calls.change(is_active=False)
    with pytest.raises(VendorInactive):
        calls.call()
    calls.name = "unheard of"
    with pytest.raises(RecordNotFound):
        calls.call()


@pytest.mark.ledger("S4-011")
def test_an_action_ends_by_what_comes_of_its_call(ground: Ground, place: Place) -> None:
    calls, units = Calls(ground, place), Units(ground, place)
    pack, slug = calls.pack, units.slug

    def perform(action: Any, error: Exception | None) -> Any:
        def work(_: Any) -> dict[str, Any]:
            return {"said": answer(calls.row(), error)}

        async def work_awaited(given: Any) -> dict[str, Any]:
            return work(given)

        if place.door == "sync":
            return pack.perform(slug, action.id, work, vendor=calls.name)
        return ground.runner.run(pack.aio.perform(slug, action.id, work_awaited, vendor=calls.name))

    with pack.tenancy.transaction(slug) as session:
        incident = Incident(signature=calls.name, title="x")
        session.add(incident)
    first = units.plan(incident.id, action_type="retry")
    with pytest.raises(ConnectionError):
        perform(first, ConnectionError("down"))
    second = perform(units.plan(incident.id, action_type="retry"), None)
    assert (second.status, second.attempt, second.result) == ("SUCCEEDED", 2, {"said": calls.name})
    with pack.tenancy.session(slug) as session:
        actions = session.get_one(Incident, incident.id).actions
        assert [(each.status, each.error) for each in actions] == [
            ("FAILED", "ConnectionError: down"),
            ("SUCCEEDED", None),
        ]


@pytest.mark.ledger("S4-011")
def test_vendors_are_prepared_once(ground: Ground) -> None:
    for name in ("sqlite", "psycopg"):
        assert ground.packs[name].prepare() == 0


@pytest.mark.ledger("S4-011")
def test_the_platform_reads_vendors_by_name(ground: Ground) -> None:
    async def names(place: Place) -> list[str]:
        async with ground.pack(place).tenancy.aio.platform() as session:
            vendors = VendorRepository(session)
            assert (await vendors.get_by_name("payments")).failure_threshold == 3  # type: ignore[union-attr]
            return [row.name for row in await vendors.get_active()]

    for place in AWAITED:
        found = ground.runner.run(names(place))
        assert found == sorted(found)
        assert {"language-model", "notifications", "payments"} <= set(found)


@pytest.mark.ledger("S4-011")
@pytest.mark.parametrize("cell", ["postgresql-rows", "sqlite-file"])
def test_no_failure_of_many_at_once_is_lost(ground: Ground, cell: str) -> None:
    calls = Calls(ground, Place(cell, "sync"), failure_threshold=100)

    def fail(number: int) -> None:
        with pytest.raises(ConnectionError):
            calls.call(("acme", "rival")[number % 2], error=ConnectionError("down"))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(fail, range(12)))
    assert calls.row().circuit_breaker_failure_count == 12
    assert (calls.standing("acme")["failures"], calls.standing("rival")["failures"]) == (6, 6)
