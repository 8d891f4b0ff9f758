"""Long operations in the journal: held by one process, kept apart from their like, taken up when it is gone."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import update

from tenantry import Tenancy
from tenantry.catalog import operations
from tenantry.catalog.holder import this_process
from tenantry.catalog.operations import BACKUP, DONE, FAILED, MOVE, RESTING, RESTORE, RUNNING, UNDONE, Operation
from tenantry.catalog.tables import journal, now
from tenantry.errors import ArchiveError, OperationInProgress, OperationLost, OperationUnknown
from tenantry.events import Step, listen

ACTION = "Trying operations"


def begin(tenancy: Tenancy, kind: str = RESTORE, slug: str = "acme", **facts: object) -> Operation:
    tenant = tenancy.tenants.get(slug)
    with tenancy.catalog(ACTION) as connection:
        return operations.begin(connection, kind, tenant.id, step="begin", **facts)


def get(tenancy: Tenancy, operation: uuid.UUID) -> Operation:
    with tenancy.catalog(ACTION) as connection:
        return operations.get(connection, operation)


def take(tenancy: Tenancy, operation: uuid.UUID) -> Operation:
    with tenancy.catalog(ACTION) as connection:
        return operations.take(connection, operation)


def hold_by(tenancy: Tenancy, operation: uuid.UUID, holder: str) -> None:
    """Has the journal say that another process has the operation."""
    with tenancy.catalog(ACTION) as connection:
        connection.execute(update(journal).where(journal.c.id == operation).values(holder=holder, state=RUNNING))


@contextlib.contextmanager
def a_process() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


def name_of(process: subprocess.Popen[bytes]) -> str:
    place, _, _ = this_process().rsplit(":", 2)
    with open(f"/proc/{process.pid}/stat", encoding="utf-8") as stat:
        return f"{place}:{process.pid}:{stat.read().rpartition(')')[2].split()[19]}"


def test_each_step_is_noted_before_it_is_announced(tenancy: Tenancy) -> None:
    heard: list[tuple[str, str, dict[str, object]]] = []

    def hear(step: Step) -> None:
        noted = get(tenancy, step.facts["entry"])
        heard.append((step.name, noted.step, dict(noted.detail)))

    begun = begin(tenancy, detail={"from": "one"})
    end = listen(hear)
    try:
        with operations.on_course(tenancy.catalog, begun) as course:
            course.step("copy", scratch="there")
            course.tell("copy", done=1, total=2)
            course.step("switch")
    finally:
        end()
    copied = {"from": "one", "scratch": "there"}
    assert heard == [("copy", "copy", copied), ("copy", "copy", copied), ("switch", "switch", copied)]
    assert (get(tenancy, begun.id).state, get(tenancy, begun.id).step) == (DONE, "switch")


def test_what_fails_is_left_to_be_taken_up_with_what_it_knew(tenancy: Tenancy) -> None:
    begun = begin(tenancy)

    def copy() -> None:
        with operations.on_course(tenancy.catalog, begun) as course:
            course.step("copy", rows=7)
            raise ArchiveError(what="The disk is full.", fix="Free some space.")

    with pytest.raises(ArchiveError):
        copy()
    assert get(tenancy, begun.id).state == FAILED
    again = take(tenancy, begun.id)
    assert again.step == "copy"
    assert again.detail == {"rows": 7, "error": "The archive: The disk is full. Free some space."}
    with operations.on_course(tenancy.catalog, again) as course:
        course.end(UNDONE)
    assert get(tenancy, begun.id).state == UNDONE


def test_what_a_database_says_is_not_noted(tenancy: Tenancy) -> None:
    begun = begin(tenancy)
    with pytest.raises(ValueError, match="4711"), operations.on_course(tenancy.catalog, begun):
        raise ValueError("duplicate key (email)=(4711)")
    assert get(tenancy, begun.id).detail["error"] == "ValueError"


@pytest.mark.parametrize("state", [RUNNING, FAILED, RESTING])
def test_what_changes_a_tenant_waits_for_what_is_not_at_its_end(tenancy: Tenancy, state: str) -> None:
    begun = begin(tenancy, MOVE)
    with tenancy.catalog(ACTION) as connection:
        operations.note(connection, begun.id, state=state)
    for kind in (MOVE, RESTORE):
        with pytest.raises(OperationInProgress, match=str(begun.id)):
            begin(tenancy, kind)
    assert begin(tenancy, RESTORE, slug="globex").state == RUNNING
    assert begin(tenancy, BACKUP, apart_from=()).state == RUNNING


@pytest.mark.parametrize("state", [DONE, UNDONE])
def test_what_is_at_its_end_keeps_nobody(tenancy: Tenancy, state: str) -> None:
    begun = begin(tenancy, MOVE)
    with operations.on_course(tenancy.catalog, begun) as course:
        course.end(state)
    assert begin(tenancy, MOVE).state == RUNNING
    with tenancy.catalog(ACTION) as connection:
        assert [each.state for each in operations.of_tenant(connection, begun.tenant, MOVE)] == [RUNNING, state]
        assert [each.state for each in operations.unfinished(connection, MOVE)] == [RUNNING]


def test_of_many_that_begin_at_once_one_does(tenancy: Tenancy) -> None:
    def try_one(_: int) -> bool:
        try:
            begin(tenancy, MOVE)
        except OperationInProgress:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(try_one, range(24))) == 1


def test_what_somebody_has_in_hand_is_not_taken_until_they_are_gone(tenancy: Tenancy) -> None:
    begun = begin(tenancy)
    with pytest.raises(OperationInProgress):
        take(tenancy, begun.id)
    with a_process() as process:
        hold_by(tenancy, begun.id, name_of(process))
        assert not get(tenancy, begun.id).abandoned
        with pytest.raises(OperationInProgress):
            take(tenancy, begun.id)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert get(tenancy, begun.id).abandoned
    assert take(tenancy, begun.id).state == RUNNING


def test_another_machines_operation_is_taken_when_its_lease_is_over(tenancy: Tenancy) -> None:
    begun = begin(tenancy)
    hold_by(tenancy, begun.id, "elsewhere:1:1")
    with pytest.raises(OperationInProgress):
        take(tenancy, begun.id)
    with tenancy.catalog(ACTION) as connection:
        connection.execute(update(journal).where(journal.c.id == begun.id).values(lease_until=now()))
    assert take(tenancy, begun.id).state == RUNNING


def test_who_lost_an_operation_stops(tenancy: Tenancy) -> None:
    begun = begin(tenancy)

    def copy() -> None:
        with operations.on_course(tenancy.catalog, begun) as course:
            hold_by(tenancy, begun.id, "elsewhere:1:1")
            course.renew()
            course.tell("copy", done=1, total=2)

    with pytest.raises(OperationLost):
        copy()
    assert get(tenancy, begun.id).state == RUNNING
    with tenancy.catalog(ACTION) as connection:
        operations.forget(connection, begun.id)
    with pytest.raises(OperationUnknown):
        get(tenancy, begun.id)
