"""Circuit breakers: closed, open, half open, each tenant's its own, exact under many clients."""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from cells import SYNC_PLACES, Ground, Place
from sqlalchemy import update

from tenantry.errors import CircuitOpen, ConfigurationError
from tenantry.limits.breakers import Breakers
from tenantry.limits.circuits import CircuitState, Permit, Policy

from .crowd import Crowd, crowd
from .places import EVERYWHERE
from .stage import POLICY, PROBES, Base

EXACT = [Place("postgresql-rows", "sync"), Place("sqlite-file", "sync")]


class Caller:
    """One tenant's breakers through one door, spelt the same for both."""

    def __init__(self, ground: Ground, place: Place, side: str = "near") -> None:
        self._ground, self._place = ground, place
        self.key = f"{side}-{place.cell}"
        self.breakers: Breakers = ground.made(place).breakers

    def run(self, method: Callable[..., Any], *args: Any) -> Any:
        if self._place.door == "sync":
            return method(*args)
        twin: Callable[..., Coroutine[Any, Any, Any]] = getattr(self.breakers.aio, method.__name__)
        return self._ground.runner.run(twin(*args))

    def allow(self, name: str = "crm") -> Permit:
        permit: Permit = self.run(self.breakers.allow, self.key, name)
        return permit

    def fail(self, times: int, name: str = "crm") -> None:
        for _ in range(times):
            self.run(self.breakers.record_failure, self.allow(name))

    def succeed(self, name: str = "crm") -> None:
        self.run(self.breakers.record_success, self.allow(name))

    def state(self, name: str = "crm") -> CircuitState:
        state: CircuitState = self.run(self.breakers.state, self.key, name).state
        return state

    def pass_time(self, column: str) -> None:
        """Puts a time of every breaker two hours back."""
        table = Base.metadata.tables["circuit_breakers"]
        past = datetime.datetime.now(datetime.UTC) - datetime.timedelta(hours=2)
        with self._ground.tenancy(self._place).transaction(self.key) as db:
            db.execute(update(table).values({column: past}))


@pytest.mark.parametrize("place", EVERYWHERE)
def test_failures_one_after_another_open_it_for_this_tenant_alone(ground: Ground, place: Place) -> None:
    caller, neighbour = Caller(ground, place), Caller(ground, place, "far")
    assert caller.state() == CircuitState.CLOSED
    caller.fail(4)
    caller.succeed()
    caller.fail(4)
    assert caller.state() == CircuitState.CLOSED
    neighbour.fail(4)
    caller.fail(1)
    assert caller.state() == CircuitState.OPEN
    refused = caller.allow()
    assert not refused
    assert 3590 < refused.retry_after <= 3600
    assert neighbour.allow()
    assert neighbour.state() == CircuitState.CLOSED
    assert caller.allow("other")


@pytest.mark.parametrize("place", EVERYWHERE)
def test_half_open_a_few_try_and_what_they_find_decides(ground: Ground, place: Place) -> None:
    caller = Caller(ground, place)
    stale = caller.allow()
    caller.fail(5)
    caller.pass_time("opened_at")
    probes = [caller.allow() for _ in range(PROBES + 2)]
    assert [bool(permit) for permit in probes] == [True] * PROBES + [False] * 2
    assert caller.state() == CircuitState.HALF_OPEN
    # Calls that began before it opened say nothing about now.
    caller.run(caller.breakers.record_success, stale)
    caller.run(caller.breakers.record_failure, stale)
    assert caller.state() == CircuitState.HALF_OPEN
    caller.run(caller.breakers.release, probes[0])
    assert caller.allow()
    assert not caller.allow()
    caller.run(caller.breakers.record_failure, probes[1])
    assert caller.state() == CircuitState.OPEN
    caller.pass_time("opened_at")
    again = caller.allow()
    caller.run(caller.breakers.record_success, probes[2])
    assert caller.state() == CircuitState.HALF_OPEN
    caller.run(caller.breakers.record_success, again)
    assert caller.state() == CircuitState.CLOSED
    caller.fail(4)
    assert caller.allow()


@pytest.mark.parametrize("place", EVERYWHERE)
def test_probes_that_never_report_are_given_up_for_lost(ground: Ground, place: Place) -> None:
    caller = Caller(ground, place)
    caller.fail(5)
    caller.pass_time("opened_at")
    lost = [caller.allow() for _ in range(PROBES)]
    assert not caller.allow()
    caller.pass_time("probes_until")
    found = [caller.allow() for _ in range(PROBES + 1)]
    assert [bool(permit) for permit in found] == [True] * PROBES + [False]
    for permit in lost:
        caller.run(caller.breakers.record_failure, permit)
    assert caller.state() == CircuitState.HALF_OPEN


@pytest.mark.parametrize("place", EVERYWHERE)
def test_failures_within_a_window_open_it_whatever_succeeds_between(ground: Ground, place: Place) -> None:
    caller = Caller(ground, place)
    caller.fail(2, "windowed")
    caller.succeed("windowed")
    caller.pass_time("failing_since")
    caller.fail(2, "windowed")
    assert caller.state("windowed") == CircuitState.CLOSED
    caller.succeed("windowed")
    caller.fail(1, "windowed")
    assert caller.state("windowed") == CircuitState.OPEN
    caller.run(caller.breakers.reset, caller.key, "windowed")
    assert caller.allow("windowed")


@pytest.mark.parametrize("place", EVERYWHERE)
def test_a_block_reports_what_becomes_of_the_call_even_if_the_caller_rolls_back(ground: Ground, place: Place) -> None:
    caller = Caller(ground, place)
    breakers = caller.breakers

    def once(error: BaseException | None) -> None:
        with breakers(caller.key, "crm"):
            if error is not None:
                raise error

    async def once_async(error: BaseException | None) -> None:
        async with breakers(caller.key, "crm"):
            if error is not None:
                raise error

    def call(error: BaseException | None) -> None:
        once(error) if place.door == "sync" else ground.runner.run(once_async(error))

    call(None)
    for _ in range(5):
        with pytest.raises(OSError, match="no route"):
            call(OSError("no route"))
    with pytest.raises(CircuitOpen, match="'crm'") as refused:
        call(None)
    assert 3590 < refused.value.retry_after <= 3600
    caller.pass_time("opened_at")
    for _ in range(PROBES + 1):
        # Whoever is interrupted found nothing out, and holds no place.
        with pytest.raises(asyncio.CancelledError):
            call(asyncio.CancelledError())
    assert caller.state() == CircuitState.HALF_OPEN
    call(None)
    assert caller.state() == CircuitState.CLOSED


@pytest.mark.parametrize("place", SYNC_PLACES, ids=str)
def test_an_error_that_is_not_counted_says_that_somebody_answered(ground: Ground, place: Place) -> None:
    breakers = Breakers(ground.tenancy(place), policy=Policy(failures=1), counted=(OSError,))
    key = f"near-{place.cell}"
    with pytest.raises(ValueError, match="odd"), breakers(key, "crm"):
        raise ValueError("odd")
    assert breakers.state(key, "crm").state == CircuitState.CLOSED
    with pytest.raises(TimeoutError), breakers(key, "crm"):
        raise TimeoutError
    assert breakers.state(key, "crm").state == CircuitState.OPEN
    for name in ("", "x" * 256):
        with pytest.raises(ConfigurationError, match="name of a breaker"):
            breakers.allow(key, name)


def test_a_policy_that_cannot_be_is_refused() -> None:
    for wrong in ({"failures": 0}, {"probes": 0}, {"successes": 0}, {"lease": 0}, {"cool_down": -1}, {"window": -1}):
        with pytest.raises(ConfigurationError, match=next(iter(wrong))):
            Policy(**wrong)


def tried_by(ground: Ground, place: Place, clients: Crowd) -> tuple[int, int, int, int]:
    """Opens a breaker by 16 clients, lets them try, lets their probes be lost and tried anew, and closes it.

    Returns how many failures were counted, how many probes went through at first and after the loss, and at last all.
    """
    caller = Caller(ground, place)
    made = clients.do("fail", "crm")
    # Who was let in before it opened finishes; nobody after it.
    assert POLICY.failures <= sum(made) <= POLICY.failures + len(made)
    counted = caller.breakers.state(caller.key, "crm")
    assert (counted.state, sum(clients.do("ask", "crm"))) == (CircuitState.OPEN, 0)
    caller.pass_time("opened_at")
    first = sum(clients.do("ask", "crm"))
    assert sum(clients.do("ask", "crm")) == 0
    caller.pass_time("probes_until")
    anew = sum(clients.do("ask", "crm"))
    clients.do("succeed", "crm")
    assert caller.state() == CircuitState.CLOSED
    return counted.failures, first, anew, sum(clients.do("ask", "crm"))


@pytest.mark.parametrize("place", EXACT, ids=str)
def test_exactly_so_many_probes_go_through_among_sixteen_clients(ground: Ground, place: Place) -> None:
    with crowd(ground, place, processes=2) as clients:
        assert tried_by(ground, place, clients) == (POLICY.failures, PROBES, PROBES, 16)
        clients.do("fail", "crm")
        caller = Caller(ground, place)
        caller.pass_time("opened_at")
        assert sum(clients.do("ask", "crm")) == PROBES
    # Now those who hold the probes are killed, and the breaker does not hang.
    assert not caller.allow()
    caller.pass_time("probes_until")
    caller.run(caller.breakers.record_success, caller.allow())
    assert caller.state() == CircuitState.CLOSED


@pytest.mark.soak
@pytest.mark.parametrize("place", EXACT, ids=str)
def test_a_breaker_is_exact_in_every_round(ground: Ground, place: Place) -> None:
    with crowd(ground, place, processes=4) as clients:
        found = [tried_by(ground, place, clients) for _ in range(20)]
    assert found == [(POLICY.failures, PROBES, PROBES, 16)] * 20
    print(f"\n{place}: 20 rounds of 16 clients (failures counted, probes, probes anew, closed): {sorted(set(found))}")
