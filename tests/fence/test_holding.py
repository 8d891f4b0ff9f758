"""Behind the fence: who waits, for how long, who does not, and what is left when the one who put it up dies."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import psycopg
import pytest
from cells import PLACES, SYNC_PLACES, Place
from sqlalchemy import func, insert, select, text, update
from sqlalchemy.exc import DBAPIError

from tenantry.errors import FenceBusy, TenantMoved, TenantMoving
from tenantry.isolation import fencing
from tenantry.isolation.fencing_statements import MOVED, MOVING
from tenantry.isolation.sqlite_stored import STORED_SUFFIX

from .conftest import Case
from .models import Tag, Ticket

POSTGRESQL = [place for place in PLACES if place.postgresql]
# Where it is one program after another, the rest is left to the soak.
FEW = [
    pytest.param(place, marks=[] if place.cell in ("postgresql-rows", "sqlite-file") else [pytest.mark.soak])
    for place in SYNC_PLACES
]
COMMON = [Place("postgresql-rows", "sync")]
LEVELS = ("READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE")


def add(session: Any) -> None:
    session.add(Ticket(subject="x"))


def count(session: Any) -> int:
    return session.scalar(select(func.count()).select_from(Ticket))


@pytest.mark.parametrize("place", POSTGRESQL, ids=str)
def test_a_writer_waits_for_a_bounded_time_and_a_reader_not_at_all(case: Case) -> None:
    case.do(add)
    fencing.prepare(case.server, case.tenant, wait=0.2)
    with fencing.closed(case.server, case.tenant):
        before = case.do(count)
        with pytest.raises(TenantMoving) as raised:
            case.do(add)
        assert raised.value.fields["tenant"] == case.tenant.id
        assert case.do(count) == before > 0
        # It would be held for longer than the test may take.
        case.do(add, case.neighbour)
    case.do(add)
    assert case.do(count) == before + 1


@pytest.mark.parametrize("place", SYNC_PLACES, ids=str)
def test_a_writer_that_does_not_end_keeps_the_fence_away(case: Case) -> None:
    fencing.prepare(case.server, case.tenant)
    with case.tenancy.session(case.tenant.id) as session:
        add(session)
        session.flush()
        with pytest.raises(FenceBusy), fencing.closed(case.server, case.tenant, patience=0.4):
            raise AssertionError("a writer is still at it")
        session.commit()
    with fencing.closed(case.server, case.tenant, patience=0.4) as fence:
        assert len(fence.changes()["tickets"]) == 1


@pytest.mark.parametrize("place", COMMON, ids=str)
def test_a_reader_of_the_table_keeps_the_fence_from_being_made_ready(case: Case) -> None:
    with case.tenancy.session(case.neighbour) as session:
        count(session)
        with pytest.raises(FenceBusy):
            fencing.prepare(case.server, case.tenant, patience=0.2)
        # What was made ready of it by then holds nobody.
        case.do(add)
    fencing.prepare(case.server, case.tenant, patience=0.2)


@pytest.mark.parametrize("departing", [False, True])
@pytest.mark.parametrize("since", ["before the fence was made ready", "before it closed"])
@pytest.mark.parametrize("level", LEVELS[1:])
@pytest.mark.parametrize("place", COMMON, ids=str)
def test_a_snapshot_older_than_the_fence_does_not_pass(case: Case, level: str, since: str, departing: bool) -> None:
    if since == "before it closed":
        fencing.prepare(case.server, case.tenant)
    with case.tenancy.session(case.tenant.id, isolation_level=level) as session:
        session.execute(text("select now()"))
        fencing.prepare(case.server, case.tenant)
        with fencing.closed(case.server, case.tenant, departing=departing):
            pass
        with pytest.raises(TenantMoving):
            session.execute(insert(Ticket).values(tenant_id=case.tenant.id, subject="late"))
    fencing.reopen(case.server, case.tenant)
    case.do(add, isolation_level=level)


@pytest.mark.parametrize("place", COMMON, ids=str)
@pytest.mark.parametrize("level", LEVELS[1:])
def test_a_snapshot_older_than_the_tombstone_adds_nothing(case: Case, level: str) -> None:
    fencing.prepare(case.server, case.tenant)
    with case.tenancy.session(case.tenant.id, isolation_level=level) as session:
        session.execute(text("select now()"))
        with fencing.closed(case.server, case.tenant, departing=True):
            pass
        fencing.take_down(case.server, case.tenant)
        with pytest.raises(TenantMoving):
            session.execute(insert(Ticket).values(tenant_id=case.tenant.id, subject="late"))


@pytest.mark.parametrize("place", SYNC_PLACES, ids=str)
def test_a_session_that_was_open_all_along_is_told_too(case: Case) -> None:
    case.do(add)
    with case.tenancy.session(case.tenant.id) as session:
        assert count(session) > 0
        session.rollback()
        fencing.prepare(case.server, case.tenant)
        with fencing.closed(case.server, case.tenant, departing=True):
            pass
        for work in (count, add):
            with pytest.raises(TenantMoved):
                _ = work(session), session.flush()
            session.rollback()


@pytest.mark.parametrize("place", COMMON, ids=str)
def test_who_has_no_tenant_bound_meets_the_fence_at_the_tenants_rows(case: Case) -> None:
    case.do(add)
    case.do(add, case.neighbour)
    neighbour = case.tenancy.tenants.get(case.neighbour)
    fencing.prepare(case.server, case.tenant)
    change = update(Ticket).values(subject="by the operator")
    with case.tenancy.operator("mending") as session:
        session.execute(change.where(Ticket.tenant_id == case.tenant.id))
        session.commit()
    with fencing.closed(case.server, case.tenant, departing=True) as fence:
        assert fence.changes()["tickets"]
    with case.tenancy.operator("mending") as session:
        assert session.execute(change.where(Ticket.tenant_id == neighbour.id)).rowcount > 0
        session.commit()
        with pytest.raises(TenantMoved):
            session.execute(change.where(Ticket.tenant_id == case.tenant.id))
    with case.server.owner(action="Truncating") as owner, pytest.raises(psycopg.Error) as raised:
        owner.execute("truncate public.tickets cascade")
    assert raised.value.sqlstate in (MOVED, MOVING)


@pytest.mark.parametrize("place", [place for place in POSTGRESQL if "database" not in place.cell], ids=str)
def test_what_the_catalog_refuses_is_not_taken_for_a_fence(case: Case) -> None:
    """Whoever catches TenantMoving tries again, and this would be refused for ever."""
    with pytest.raises(DBAPIError, match="the catalog answers the library alone"):
        case.do(lambda session: session.execute(text("select * from tenantry.resolve('slug', 'acme')")))


@pytest.mark.parametrize("place", COMMON, ids=str)
def test_nobody_passes_for_the_one_who_put_the_fence_up(case: Case) -> None:
    fencing.prepare(case.server, case.tenant)
    with case.tenancy.session(case.tenant.id) as session:
        session.execute(text("set local tenantry.fencing = 'on'"))
        with pytest.raises(DBAPIError, match="only for the transaction that fences"):
            session.execute(insert(Ticket).values(tenant_id=case.tenant.id, subject="unseen"))


@pytest.mark.parametrize("place", SYNC_PLACES, ids=str)
def test_what_is_done_behind_the_fence_is_done_and_not_noted(case: Case) -> None:
    case.do(lambda session: session.add(Tag(id="old")))
    fencing.prepare(case.server, case.tenant)
    table = "tags" + STORED_SUFFIX * (case.place.cell == "sqlite-rows")
    owner = case.tenant.id if case.place.postgresql else case.tenant.id.hex
    statements = (f"delete from {table} where tenant_id = :owner", f"insert into {table} values (:owner, 'new')")
    with fencing.closed(case.server, case.tenant) as fence:
        for statement in statements:
            assert fence.connection.execute(text(statement), {"owner": owner}).rowcount == 1
    if case.place.postgresql:
        with fencing.catching(case.server, case.tenant) as caught:
            assert caught.changes() == {}
    assert case.do(lambda session: [tag.id for tag in session.scalars(select(Tag))]) == ["new"]
    case.do(lambda session: session.execute(text("delete from tags")))


@pytest.mark.parametrize("place", FEW, ids=str)
def test_whoever_dies_behind_the_fence_leaves_the_tenant_open(case: Case) -> None:
    case.do(add)
    fencing.prepare(case.server, case.tenant)
    before = case.do(count)
    urls = dict(case.ground.urls) if case.place.postgresql else {"app_url": case.ground.sqlite_url}
    program = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("holding.py"))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={"PYTHONPATH": ":".join([str(Path(__file__).parents[1]), *sys.path])},
    )
    with program:
        assert program.stdin
        assert program.stdout
        program.stdin.write(json.dumps({**urls, "slug": case.tenant.slug}) + "\n")
        program.stdin.flush()
        assert program.stdout.readline() == "closed\n"
        program.send_signal(signal.SIGKILL)
        assert program.wait(timeout=30) == -signal.SIGKILL
    case.do(add)
    assert case.do(count) == before + 1
    assert fencing.tombstones(case.server, case.tenant) == []


@pytest.mark.parametrize("place", [Place("sqlite-file", "sync"), Place("sqlite-file", "aiosqlite")], ids=str)
def test_a_file_that_is_gone_is_not_made_by_looking_for_it(case: Case) -> None:
    path = case.server.file(case.tenant.physical)
    with case.tenancy.session(case.tenant.id) as held:
        assert count(held) >= 0
        aside = path.with_suffix(f".{uuid.uuid4().hex}")
        path.rename(aside)
        try:
            with pytest.raises((DBAPIError, FileNotFoundError)):
                case.do(count)
            assert not path.exists()
        finally:
            aside.rename(path)
    assert case.do(count) >= 0
