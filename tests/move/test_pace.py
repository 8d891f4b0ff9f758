"""How fast is copied, and what is compared of a tenant that is too large to be compared whole behind the fence."""

from __future__ import annotations

import pytest
from sqlalchemy import select, update

from tenantry.errors import CopyDiffers
from tenantry.events import Step, listen
from tenantry.move import carrying
from tenantry.move.throttling import Throttle

from .grounds import Ground
from .models import Counter, Line, Page, Ticket
from .traces import check_no_traces


class Clock:
    """A clock that goes on while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def read(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.mark.parametrize(("rate", "seconds"), [(None, 0.0), (1000.0, 10.0), (5000.0, 2.0)])
def test_no_more_is_let_through_than_was_allowed(rate: float | None, seconds: float) -> None:
    clock = Clock()
    throttle = Throttle(rate, clock=clock.read, sleep=clock.sleep)
    for _ in range(2):
        assert sum(map(len, throttle.through([b"x" * 500] * 10))) == 5000
    assert clock.now == pytest.approx(seconds)


def test_who_was_slow_by_itself_is_not_held_back() -> None:
    clock = Clock()
    throttle = Throttle(1000.0, clock=clock.read, sleep=clock.sleep)
    clock.now = 60.0
    assert list(throttle.through([b"x" * 500] * 10))
    assert clock.now == 60.0


def write_at_the_fence(ground: Ground, slug: str) -> None:
    """Changes, adds and deletes rows that only the last look can see."""
    with ground.tenancy.transaction(slug) as session:
        session.execute(update(Ticket).values(subject="at the last moment"))
        session.add(Ticket(subject="at the last moment"))
        session.execute(update(Counter).values(n=77))
        session.delete(session.scalars(select(Page)).first())


def test_of_a_large_tenant_the_last_changes_are_compared(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(carrying, "_COMPARED", 0)
    slug = ground.settle("is-large", "rows")
    forget = listen(lambda step: write_at_the_fence(ground, slug) if step.name == "fence" else None)
    ground.move.start(slug, isolation="schema")
    forget()
    with ground.tenancy.session(slug) as session:
        assert set(session.scalars(select(Ticket.subject))) == {"at the last moment"}
        assert set(session.scalars(select(Counter.n))) == {77}
        assert session.scalars(select(Page)).all() == []
        assert len(session.scalars(select(Line)).all()) == 8
    ground.move.finalize(slug)
    check_no_traces(ground, slug, but="schema")


def test_a_last_change_that_does_not_arrive_is_noticed(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(carrying, "_COMPARED", 0)
    slug = ground.settle("is-large-and-cut", "rows")
    tenant = ground.tenancy.tenants.get(slug)

    def tamper(step: Step) -> None:
        if step.name == "fence":
            write_at_the_fence(ground, slug)
        if step.name == "compare":
            with ground.postgres.admin(ground.main) as connection:
                connection.execute("set session_replication_role = replica")
                statement = "update public.counters set n = n + 1 where tenant_id = %s"
                connection.execute(statement, (tenant.id,))

    forget = listen(tamper)
    with pytest.raises(CopyDiffers, match="counters"):
        ground.move.start(slug, isolation="schema")
    forget()
    assert ground.move.rollback(slug).state == "undone"
    check_no_traces(ground, slug, but="rows")
