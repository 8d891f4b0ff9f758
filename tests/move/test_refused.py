"""What is in the way of a move is said before anything is changed; what stops one leaves the tenant in its place."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from sqlalchemy import select, update

from tenantry.catalog.tables import tenants
from tenantry.errors import (
    CopyDiffers,
    FenceBusy,
    LoginRequired,
    MoveRefused,
    MoveUnknown,
    OperationInProgress,
    RowRefused,
    ServerUnknown,
)
from tenantry.events import Step, listen
from tenantry.ids import physical_name
from tenantry.types import TenantStatus

from .grounds import Ground, open_tenancy
from .models import Thing, Ticket
from .traces import check_no_traces, traces


def check_untouched(ground: Ground, slug: str, place: str, before: Any) -> None:
    assert ground.content(slug) == before
    check_no_traces(ground, slug, but=place)


def codes(ground: Ground, slug: str, **where: str) -> list[str]:
    """Returns what a plan says is in the way."""
    plan = ground.move.plan(slug, **where)
    assert not plan.ok
    return [finding.code for finding in plan.refusals]


def test_the_place_where_it_lives_is_no_destination(ground: Ground) -> None:
    slug = ground.settle("stays", "rows")
    before = ground.content(slug)
    assert codes(ground, slug, isolation="rows") == ["V103"]
    with pytest.raises(MoveRefused, match="lives there already"):
        ground.move.start(slug, isolation="rows")
    with pytest.raises(ServerUnknown):
        ground.move.start(slug, server="nowhere")
    check_untouched(ground, slug, "rows", before)


def test_a_tenant_between_two_states_is_not_moved(ground: Ground) -> None:
    slug = ground.settle("half-erased", "rows")
    with ground.tenancy.catalog("A test") as connection:
        connection.execute(update(tenants).where(tenants.c.slug == slug).values(status=TenantStatus.ERASING))
    assert codes(ground, slug, isolation="schema") == ["V101"]


def test_a_suspended_tenant_moves_and_stays_suspended(ground: Ground) -> None:
    slug = ground.settle("sleeps", "file")
    ground.tenancy.tenants.suspend(slug)
    ground.move.start(slug, isolation="rows")
    ground.move.finalize(slug)
    assert ground.tenancy.tenants.get(slug).status is TenantStatus.SUSPENDED
    check_no_traces(ground, slug, but="common file")


def test_what_stands_in_the_new_place_is_not_written_over(ground: Ground) -> None:
    slug = ground.settle("comes-late", "rows")
    before, name = ground.content(slug), physical_name(ground.tenancy.tenants.get(slug).id)
    with ground.postgres.admin(ground.main) as connection:
        connection.execute(f"create schema {name}")
        assert codes(ground, slug, isolation="schema") == ["V105"]
        connection.execute(f"drop schema {name}")
    check_untouched(ground, slug, "rows", before)


def test_a_table_that_the_models_do_not_know_is_not_left_behind(ground: Ground) -> None:
    slug = ground.settle("has-more", "schema")
    before, name = ground.content(slug), physical_name(ground.tenancy.tenants.get(slug).id)
    with ground.postgres.admin(ground.main) as connection:
        connection.execute(f"create table {name}.notes (text text); insert into {name}.notes values ('mine')")
        assert codes(ground, slug, isolation="rows") == ["R002"]
        connection.execute(f"drop table {name}.notes")
    check_untouched(ground, slug, "schema", before)


def test_one_move_at_a_time_and_nothing_that_changes_the_tenant_beside_it(ground: Ground) -> None:
    slug = ground.settle("under-way", "rows")
    ground.move.start(slug, isolation="schema")
    assert codes(ground, slug, isolation="database") == ["V102"]
    with pytest.raises(OperationInProgress):
        ground.tenancy.tenants.erase(slug, confirm=slug)
    assert ground.tenancy.tenants.get(slug).status is TenantStatus.ACTIVE
    ground.move.finalize(slug)
    with pytest.raises(MoveUnknown):
        ground.move.finalize(slug)
    with pytest.raises(MoveUnknown):
        ground.move.rollback(slug)
    check_no_traces(ground, slug, but="schema")


def test_who_may_make_no_places_moves_nobody(ground: Ground) -> None:
    slug = ground.settle("unowned", "rows")
    tenancy, _ = open_tenancy(ground.urls)
    bare = type(tenancy)(ground.urls["app"], models=tenancy.models, platform_url=ground.urls["platform"])
    with contextlib.closing(bare), pytest.raises(LoginRequired):
        type(ground.move)(bare).start(slug, isolation="schema")
    tenancy.close()
    check_no_traces(ground, slug, but="rows")


def test_a_value_that_the_new_place_cannot_hold_stops_the_copy(ground: Ground) -> None:
    slug = ground.settle("has-nan", "rows")
    with ground.tenancy.transaction(slug) as session:
        session.execute(update(Thing).values(weight=float("nan")))
    with pytest.raises(RowRefused, match=r"things.*weight"):
        ground.move.start(slug, server="disk", isolation="database")
    (status,) = ground.move.status(slug)
    assert (status.state, status.step) == ("failed", "copy")
    assert "weight" in status.error
    assert ground.move.rollback(slug).state == "undone"
    check_no_traces(ground, slug, but="rows")


def test_a_long_transaction_of_the_tenant_is_not_waited_for_for_ever(ground: Ground) -> None:
    slug = ground.settle("writes-long", "rows")

    def hold(step: Step) -> None:
        if step.name == "fence":
            session.execute(update(Ticket).values(subject="still writing"))

    with ground.tenancy.session(slug) as session:
        forget = listen(hold)
        with pytest.raises(FenceBusy):
            ground.move.start(slug, isolation="schema", patience=0.2)
        forget()
        session.commit()
    with ground.tenancy.session(slug) as session:
        assert set(session.scalars(select(Ticket.subject))) == {"still writing"}
    assert ground.move.resume(slug).state == "resting"
    ground.move.finalize(slug)
    with ground.tenancy.session(slug) as session:
        assert set(session.scalars(select(Ticket.subject))) == {"still writing"}
    check_no_traces(ground, slug, but="schema")


def test_a_copy_that_differs_is_noticed_and_mended_or_refused(ground: Ground) -> None:
    """A change that nothing notes, since no trigger of ours sees it, is caught by the comparison."""
    slug = ground.settle("is-tampered-with", "rows")
    tenant = ground.tenancy.tenants.get(slug)
    times: list[int] = []

    def tamper(step: Step) -> None:
        if step.name == "compare" and len(times) < 1:
            times.append(1)
            with ground.postgres.admin(ground.main) as connection:
                connection.execute("set session_replication_role = replica")
                connection.execute("update public.tickets set subject = 'unseen' where tenant_id = %s", (tenant.id,))

    forget = listen(tamper)
    assert ground.move.start(slug, isolation="schema").state == "resting"
    forget()
    assert times
    with ground.tenancy.session(slug) as session:
        assert set(session.scalars(select(Ticket.subject))) == {"unseen"}
    ground.move.finalize(slug)
    check_no_traces(ground, slug, but="schema")


def test_a_copy_that_never_agrees_is_refused(ground: Ground) -> None:
    slug = ground.settle("never-agrees", "rows")
    tenant, changes = ground.tenancy.tenants.get(slug), iter(range(100))

    def tamper(step: Step) -> None:
        if step.name == "compare":
            with ground.postgres.admin(ground.main) as connection:
                connection.execute("set session_replication_role = replica")
                statement = "update public.tickets set subject = %s where tenant_id = %s"
                connection.execute(statement, (f"unseen {next(changes)}", tenant.id))

    forget = listen(tamper)
    with pytest.raises(CopyDiffers, match="tickets"):
        ground.move.start(slug, isolation="schema")
    forget()
    assert traces(ground, slug) >= {"rows", "schema"}
    assert ground.tenancy.tenants.get(slug).isolation.value == "rows"
    assert ground.move.rollback(slug).state == "undone"
    check_no_traces(ground, slug, but="rows")
