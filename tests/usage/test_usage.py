"""What calls used and cost, and the budgets they come out of, in every cell and through every door."""

from __future__ import annotations

import datetime
import pickle
from decimal import Decimal
from typing import Any

import pytest
from cells import SYNC_PLACES, Ground, Place
from sqlalchemy import MetaData, select, text, update
from sqlalchemy.exc import DBAPIError

from tenantry import Tenancy
from tenantry.errors import AppendOnlyViolation, BudgetExceeded, ConfigurationError, InvalidUsage, PriceUnknown
from tenantry.usage import Price, Total, Usage

from .places import EVERYWHERE
from .stage import HEARD, KEPT, PRICES, Base, forget_all

HELLO = {"provider": "openai", "model": "gpt-4o", "prompt_tokens": 1000, "completion_tokens": 100}
HELLO_COST = Decimal("0.0035")


@pytest.fixture(autouse=True)
def _clean(request: pytest.FixtureRequest) -> Any:
    """Leaves no row of a test behind in its place."""
    wanted = ("ground", "place") if "place" in request.fixturenames else ()
    found = [request.getfixturevalue(name) for name in wanted]
    yield
    if found:
        ground, place = found
        with ground.session(place) as door:
            door.run(forget_all)
            door.commit()


@pytest.mark.parametrize("place", EVERYWHERE)
def test_calls_are_priced_and_summed_for_their_tenant_alone(ground: Ground, place: Place) -> None:
    usage = ground.made(place)
    with ground.session(place) as door:
        door.session.info["actor"] = 7
        made = door.call(usage.record, **HELLO)
        assert (made.cost, made.total_tokens) == (HELLO_COST, 1100)
        door.call(usage.record, **HELLO, user_id="ann")
        door.call(usage.record, provider="ollama", model="llama", prompt_tokens=5)
        door.commit()
        with ground.session(place, "far", read_only=True) as other:
            assert other.call(usage.total) == Total()
            assert other.call(usage.totals, by="user") == {}
        assert door.call(usage.total) == Total(3, 2005, 200, 2 * HELLO_COST)
        by_user = door.call(usage.totals, by="user")
        assert (by_user["7"].requests, by_user["ann"].requests, by_user["nobody"]) == (2, 1, Total())
        by_model = door.call(usage.totals, by="model", provider="openai")
        assert {key: total.cost for key, total in by_model.items()} == {("openai", "gpt-4o"): 2 * HELLO_COST}


@pytest.mark.parametrize("place", EVERYWHERE)
def test_a_hard_budget_takes_from_every_period_or_from_none(ground: Ground, place: Place) -> None:
    usage = ground.made(place)
    with ground.session(place) as door:
        door.call(usage.record, **HELLO)
        # What the month has used already counts.
        budget = door.call(usage.set_budget, "month", cost=3 * HELLO_COST, tokens=10_000)
        assert (budget.cost, budget.tokens, budget.left("tokens")) == (HELLO_COST, 1100, 8900)
        door.call(usage.set_budget, "day", tokens=5000)
        door.call(usage.set_budget, "total", tokens=1100, hard=False)
        door.call(usage.record, **HELLO)
        door.call(usage.record, **HELLO)
        with pytest.raises(BudgetExceeded, match="next month") as refused:
            door.call(usage.record, **HELLO)
        assert (refused.value.limit, refused.value.spent) == (3 * HELLO_COST, 3 * HELLO_COST)
        assert 0 < refused.value.retry_after <= 31 * 86_400
        used = {period: budget.tokens for period, budget in door.call(usage.budgets).items()}
        assert used == {"day": 3300, "month": 3300, "total": 3300}
        assert door.call(usage.total).requests == 3
        door.call(usage.record, provider="ollama", model="llama", prompt_tokens=100)
        door.call(usage.drop_budget, "month")
        door.call(usage.record, **HELLO)
        door.commit()
        with ground.session(place, "far") as other:
            assert other.call(usage.budgets) == {}
            other.call(usage.record, **HELLO)


@pytest.mark.parametrize("place", EVERYWHERE)
def test_what_is_held_back_is_settled_once_cancelled_or_expires(ground: Ground, place: Place) -> None:
    usage = ground.made(place)
    with ground.session(place) as door:
        door.call(usage.set_budget, "total", tokens=3000)
        held = door.call(usage.reserve, **HELLO)
        dropped = door.call(usage.reserve, **HELLO)
        with pytest.raises(BudgetExceeded, match="Raise the budget"):
            door.call(usage.reserve, **HELLO)
        door.call(usage.cancel, dropped)
        crashed = door.call(usage.reserve, **HELLO, seconds=-1)
        # The one that expired is given back where another is short of it.
        again = door.call(usage.reserve, **HELLO)
        made = door.call(usage.settle, held, prompt_tokens=1000, completion_tokens=900)
        assert made.total_tokens == 1900
        assert door.call(usage.settle, pickle.loads(pickle.dumps(held)), prompt_tokens=9) == made
        door.call(usage.settle, again, prompt_tokens=100)
        assert door.call(usage.budgets)["total"].tokens == 2000
        # A call that was made is recorded, although it was given up for lost.
        door.call(usage.settle, crashed, prompt_tokens=2000)
        assert (door.call(usage.total).total_tokens, door.call(usage.budgets)["total"].tokens) == (4000, 4000)


@pytest.mark.parametrize("place", EVERYWHERE)
def test_a_threshold_is_told_by_the_one_call_that_reaches_it(ground: Ground, place: Place) -> None:
    usage = ground.made(place)
    HEARD.clear()
    with ground.session(place) as door:
        door.call(usage.set_budget, "day", cost=Decimal("0.0100"), hard=False)
        for _ in range(5):
            door.call(usage.record, **HELLO)
    told = [(said.measure, said.fraction, said.used) for said in HEARD]
    assert told == [("cost", Decimal("0.8"), 3 * HELLO_COST), ("cost", Decimal(1), 3 * HELLO_COST)]


@pytest.mark.parametrize("place", EVERYWHERE)
def test_a_new_period_begins_at_nought(ground: Ground, place: Place) -> None:
    usage = ground.made(place)
    budgets = Base.metadata.tables["usage_budgets"]
    with ground.session(place) as door:
        door.call(usage.set_budget, "day", tokens=1100)
        door.call(usage.record, **HELLO)
        held_yesterday = Base.metadata.tables["usage_reservations"]
        yesterday = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
        door.run(lambda session: session.execute(update(budgets).values(began_at=yesterday)))
        assert door.call(usage.budgets)["day"].tokens == 0
        held = door.call(usage.reserve, **HELLO)
        door.run(lambda session: session.execute(update(held_yesterday).values(reserved_at=yesterday)))
        # What was held yesterday is not given back to today.
        door.call(usage.settle, held, prompt_tokens=10)
        assert door.call(usage.budgets)["day"].tokens == 1110


@pytest.mark.parametrize("place", EVERYWHERE)
def test_days_are_those_of_the_zone_and_none_is_missing(ground: Ground, place: Place) -> None:
    usage = ground.made(place)
    late = datetime.datetime(2024, 3, 30, 23, 30, tzinfo=datetime.UTC)
    with ground.session(place) as door:
        door.call(usage.set_budget, "total", tokens=1)
        for hours in (0, 1, 23, 24):
            door.call(usage.record, **HELLO, at=late + datetime.timedelta(hours=hours))
        assert door.call(usage.budgets)["total"].tokens == 0
        since, until = datetime.date(2024, 3, 29), datetime.date(2024, 4, 2)
        days = door.call(usage.totals, by="day", since=since, until=until)
        counted = {str(day): total.requests for day, total in days.items()}
        assert counted == {"2024-03-29": 0, "2024-03-30": 1, "2024-03-31": 3, "2024-04-01": 0}
        # The night in which the clocks of Berlin are put forward.
        berlin = Usage(ground.tenancy(place), prices=PRICES, zone="Europe/Berlin")
        days = door.call(berlin.totals, by="day", since=since, until=until)
        assert [total.requests for total in days.values()] == [0, 0, 2, 2]
        assert door.call(usage.recount)["total"].tokens == 4400
        assert door.call(berlin.set_budget, "day", tokens=9).tokens == 0


@pytest.mark.parametrize("place", EVERYWHERE)
def test_money_is_exact_and_the_total_cannot_disagree(ground: Ground, place: Place) -> None:
    usage = ground.made(place)
    table = Base.metadata.tables["usage_records"]
    with ground.session(place) as door:
        for _ in range(3):
            door.call(usage.record, provider="a", model="b", cost=Decimal("0.100001"))
        door.call(usage.record, provider="a", model="b", cost=Decimal("99999999.999999"))
        assert door.call(usage.total, provider="a").cost == Decimal("100000000.300002")
        assert door.run(lambda session: session.scalars(select(table.c.cost)).all())[0] == Decimal("0.100001")
        door.commit()
        with pytest.raises(DBAPIError):
            door.run(lambda session: session.execute(text("UPDATE usage_records SET total_tokens = 1")))


@pytest.mark.parametrize("place", SYNC_PLACES, ids=str)
def test_records_that_are_append_only_stay_as_they_are(ground: Ground, place: Place) -> None:
    usage = Usage(ground.tenancy(place), prices=PRICES, table=KEPT, append_only=True)
    with ground.session(place) as door:
        door.call(usage.record, **HELLO)
        door.call(usage.settle, door.call(usage.reserve, **HELLO), prompt_tokens=1)
        for statement in (f"UPDATE {KEPT} SET cost = 0", f"DELETE FROM {KEPT}"):
            with pytest.raises((AppendOnlyViolation, DBAPIError)), door.session.begin_nested():
                door.session.execute(text(statement))
        assert door.call(usage.total).requests == 2


@pytest.mark.parametrize("place", SYNC_PLACES, ids=str)
def test_what_cannot_be_recorded_is_refused_and_changes_nothing(ground: Ground, place: Place) -> None:
    usage = ground.made(place)
    with ground.session(place) as door:
        for wrong in (
            {"prompt_tokens": -1},
            {"prompt_tokens": 1.5},
            {"model": ""},
            {"cost": 0.1},
            {"cost": Decimal("NaN")},
            {"cost": Decimal(10) ** 9},
            {"prompt_tokens": 10**13},
            {"user_id": "x" * 256},
            {"operation": "chat\0"},
            {"at": datetime.datetime(2024, 1, 1)},
        ):
            with pytest.raises(InvalidUsage):
                door.call(usage.record, **{**HELLO, **wrong})
        with pytest.raises(PriceUnknown):
            door.call(usage.record, provider="openai", model="o9")
        with pytest.raises(InvalidUsage):
            door.call(usage.totals, by="moon")
        with pytest.raises(InvalidUsage, match="no time zone"):
            door.call(usage.total, since=datetime.datetime(2024, 1, 1))
        for limits in (
            {"period": "week", "tokens": 1},
            {"period": "day"},
            {"period": "day", "tokens": -1},
            {"period": "day", "tokens": 2**63},
        ):
            with pytest.raises(InvalidUsage):
                door.call(usage.set_budget, limits.pop("period"), **limits)
        assert door.call(usage.total) == Total()
        free = Usage(ground.tenancy(place), unpriced=True)
        assert door.call(free.record, provider="openai", model="o9", prompt_tokens=3).cost is None
        assert door.call(free.total) == Total(1, 3, 0, Decimal(0), unpriced=1)


def test_prices_and_zones_are_checked_when_they_are_given() -> None:
    assert Price.per_thousand(Decimal("0.01"), Decimal("0.02")).of(1000, 500) == Decimal("0.02")
    for wrong in (0.5, Decimal(-1), Decimal("inf")):
        with pytest.raises(ConfigurationError):
            Price(wrong, Decimal(1))  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="time zone"):
        Usage(Tenancy("sqlite:///nowhere", models=MetaData()), zone="Mars/Olympus")
