"""Entries that outlive their transaction: where there is one connection only, and where there is no database left."""

from __future__ import annotations

import asyncio
import json
import logging
import sqlite3
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from tenantry import Config, Tenancy
from tenantry.audit import Anchor, Audit

from .models import Base, Leaf

EVENT = {"event_type": "door.opened", "category": "c", "description": "The door"}


def opened(url: str, **options: Any) -> tuple[Tenancy, Audit]:
    tenancy = Tenancy(url, models=Base, config=Config(pool_size=1, max_overflow=0, connection_budget=1))
    audit = Audit(tenancy, **options)
    tenancy.install(create_tables=True)
    for isolation in ("rows", "database"):
        tenancy.tenants.create(f"in-{isolation}", isolation=isolation)
    return tenancy, audit


@pytest.fixture(params=["postgresql", "sqlite"])
def database(request: pytest.FixtureRequest, postgres: Any, tmp_path: Any) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}"
        return
    with postgres.lend_database() as url:
        yield url


def test_one_connection_is_enough(database: str) -> None:
    tenancy, audit = opened(database)
    for slug in ("in-rows", "in-database"):
        with pytest.raises(ValueError, match="stuck"), tenancy.transaction(slug) as session:
            fail(session, audit)
        with pytest.raises(ValueError, match="stuck"):
            asyncio.run(fail_awaited(tenancy, audit, slug))
        with tenancy.session(slug) as session:
            assert [entry.status for entry in audit.entries(session)] == ["failure"] * 2
        assert audit.verify(slug) == []
    tenancy.tenants.erase("in-database", confirm="in-database")
    tenancy.close()


def fail(session: Any, audit: Audit) -> None:
    with audit.action(session, **EVENT):
        session.add(Leaf(name="x"))
        session.flush()
        raise ValueError("stuck")


async def fail_awaited(tenancy: Tenancy, audit: Audit, slug: str) -> None:
    try:
        async with tenancy.aio.transaction(slug) as session, audit.aio.action(session, **EVENT):
            session.add(Leaf(name="x"))
            await session.flush()
            raise ValueError("stuck")
    finally:
        await tenancy.aio.close()


def test_a_cancelled_task_leaves_its_record(tmp_path: Any) -> None:
    tenancy, audit = opened(f"sqlite:///{tmp_path}")

    async def work(begun: asyncio.Event) -> None:
        async with tenancy.aio.transaction("in-rows") as session, audit.aio.action(session, **EVENT):
            begun.set()
            await asyncio.Event().wait()

    async def cancel() -> None:
        begun = asyncio.Event()
        task = asyncio.create_task(work(begun))
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await tenancy.aio.close()

    asyncio.run(cancel())
    with tenancy.session("in-rows") as session:
        (entry,) = audit.entries(session)
    assert entry.details is not None
    assert entry.details["error"] == "CancelledError"
    tenancy.close()


def test_a_record_that_cannot_be_written_is_logged_whole_and_told(
    postgres: Any, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[Any] = []
    with postgres.lend_database() as url:
        tenancy, audit = opened(url, lost=lambda *lost: told.append(lost))
        tenancy.tenants.erase("in-database", confirm="in-database")
        with pytest.raises(ValueError, match="stuck"), tenancy.transaction("in-rows") as session:
            lose(session, audit, lambda: go_away(postgres, url.rpartition("/")[2]))
        tenancy.close()
    ((tenant, values, error),) = told
    assert tenant.slug == "in-rows"
    assert values["details"] == {"try": 1, "error": "ValueError", "message": "stuck"}
    (message,) = [record.getMessage() for record in caplog.records if record.name == "tenantry.audit"]
    assert type(error).__name__ in message
    assert json.loads(message.partition(": ")[2])["details"] == values["details"]


def lose(session: Any, audit: Audit, go: Callable[[], None]) -> None:
    with audit.action(session, **EVENT, details={"try": 1}):
        session.flush()
        go()
        raise ValueError("stuck")


def go_away(postgres: Any, database: str) -> None:
    """Takes a database away from everybody, those inside included."""
    with postgres.admin() as connection:
        connection.execute(f'ALTER DATABASE "{database}" ALLOW_CONNECTIONS false')
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (database,))


def test_a_suspended_tenants_failure_is_told(tmp_path: Any, caplog: pytest.LogCaptureFixture) -> None:
    tenancy, audit = opened(f"sqlite:///{tmp_path}")
    with tenancy.session("in-rows") as session:
        audit.record(session, **EVENT, status="denied")
        tenancy.tenants.suspend("in-rows")
    assert [record.levelno for record in caplog.records if record.name == "tenantry.audit"] == [logging.ERROR]
    tenancy.close()


def test_what_a_commit_of_unknown_outcome_wrote_after_all_is_not_written_again(
    tmp_path: Any, caplog: pytest.LogCaptureFixture
) -> None:
    tenancy, audit = opened(f"sqlite:///{tmp_path}")
    with tenancy.session("in-rows") as session:
        audit.record(session, **EVENT, status="denied")
        audit.entries(session)
        drafts = [*audit.recorder.pending(session)._drafts]
        session.commit()
        # As if the connection had been lost while this was confirmed.
        audit.recorder.keep(session, drafts)
        assert len(audit.entries(session)) == 1
    assert not caplog.records
    assert audit.verify("in-rows") == []
    tenancy.close()


class Full:
    """A store that takes nothing."""

    def put(self, anchor: Anchor) -> None:
        raise OSError("No space left on device")

    def anchors(self, tenant: uuid.UUID) -> Iterator[Anchor]:
        yield from ()


def test_an_anchor_that_cannot_be_kept_does_not_undo_what_is_committed(
    tmp_path: Any, caplog: pytest.LogCaptureFixture
) -> None:
    tenancy, audit = opened(f"sqlite:///{tmp_path}", anchors=Full(), anchor_every=1)
    with tenancy.transaction("in-rows") as session:
        audit.record(session, **EVENT)
    (record,) = [record for record in caplog.records if record.name == "tenantry.audit"]
    assert "could not be anchored" in record.getMessage()
    with tenancy.session("in-rows") as session:
        assert len(audit.entries(session)) == 1
    with pytest.raises(OSError, match="No space"):
        audit.anchor("in-rows")
    tenancy.close()


def test_a_record_that_cannot_be_sealed_fails_the_commit(tmp_path: Any) -> None:
    """No change without its record: a session that cannot write the one does not write the other."""
    tenancy, audit = opened(f"sqlite:///{tmp_path}")
    tenant = tenancy.tenants.get("in-database")
    with closing(sqlite3.connect(tmp_path / tenant.physical)) as connection:
        connection.execute("ALTER TABLE audit_heads RENAME TO audit_tails")
    with tenancy.session(tenant) as session:
        session.add(Leaf(name="x"))
        audit.record(session, event_type="a.b", category="c", description="d")
        with pytest.raises(OperationalError, match="audit_heads"):
            session.commit()
    with tenancy.session(tenant) as session:
        assert session.query(Leaf).count() == 0
    tenancy.close()
