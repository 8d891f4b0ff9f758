"""Work claimed and recorded: any number of processes share a run, and no home has two of them at once."""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, bindparam, delete, func, select, update

from tenantry.catalog import warming
from tenantry.catalog.holder import LEASE_SECONDS, has_let_go, this_process
from tenantry.catalog.tables import fleet_work, moment, now
from tenantry.fleet import journal
from tenantry.fleet.outcomes import Run, RunState, Work, WorkState
from tenantry.fleet.rings import is_canary_stage, is_gate

_SHORTEST_WAIT: Final = 0.02
_LONGEST_WAIT: Final = 1.0


@dataclass(frozen=True, slots=True)
class Share:
    """Who works: one call in one process, in one run."""

    run: uuid.UUID
    worker: uuid.UUID

    @property
    def held(self) -> ColumnElement[bool]:
        """The works that it holds."""
        mine = (fleet_work.c.run_id == self.run) & (fleet_work.c.worker == self.worker)
        return mine & (fleet_work.c.state == WorkState.RUNNING)


@dataclass(frozen=True, slots=True)
class Claim:
    """The works one thread got, or how many seconds to wait for some; neither: there are none to be had."""

    works: Sequence[Work]
    wait: float | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one work; *delay* is until it is tried again."""

    work: Work
    delay: float = 0.0


def claim(connection: Connection, share: Share, limit: int) -> Claim:
    """Takes up to *limit* works of the open stage in hand; each is on record as running before anything is done."""
    # Locked, so that whoever stops the run knows that no claim is on its way.
    run = journal.get(connection, share.run, shared=True)
    if run.state is not RunState.RUNNING:
        return Claim(())
    waiting = _waiting(run)
    due = select(fleet_work.c.home).where(waiting, fleet_work.c.due_at <= moment(connection))
    chosen = due.order_by(fleet_work.c.number).limit(limit).with_for_update(skip_locked=True)
    homes = connection.scalars(chosen).all()
    if not homes:
        return Claim((), _wait(connection, waiting))
    taken = (fleet_work.c.run_id == run.id) & fleet_work.c.home.in_(homes)
    held = {
        "state": WorkState.RUNNING,
        "attempt": fleet_work.c.attempt + 1,
        "claimed": fleet_work.c.claimed + 1,
        "holder": this_process(),
        "worker": share.worker,
        "lease_until": moment(connection, LEASE_SECONDS),
    }
    connection.execute(update(fleet_work).where(taken).values(**held))
    named = journal.named_works().where(taken).order_by(fleet_work.c.number)
    return Claim([journal.work_of(row._mapping) for row in connection.execute(named)])


def record(connection: Connection, share: Share, results: Sequence[Result]) -> None:
    """Writes down what became of works that are still held, and stops the run at a gate or the end of its budget."""
    # One statement for the batch; a thousand homes would otherwise have as many compiled for them.
    ended = [_facts(result.work) for result in results if not result.delay]
    if ended:
        connection.execute(_ENDED, [{"run": share.run, "who": share.worker, **facts} for facts in ended])
    for result in results:
        if result.delay:
            mine = share.held & (fleet_work.c.home == result.work.home.key)
            later = {"state": result.work.state, "error": result.work.error, "seconds": result.work.seconds, **_FREE}
            later["due_at"] = moment(connection, result.delay)
            connection.execute(update(fleet_work).where(mine).values(**later))
        _note_warm(connection, result.work)
    if any(result.work.state is WorkState.FAILED for result in results):
        check_failures(connection, share.run)


def _facts(work: Work) -> dict[str, Any]:
    facts = {f"new_{name}": getattr(work, name) for name in _TOLD}
    return {"key": work.home.key, **facts, "new_touched": dict(work.touched)}


def check_failures(connection: Connection, run_id: uuid.UUID) -> None:
    """Stops a run at the first failure of a canary or a common home, and beyond its failure budget."""
    run = journal.lock(connection, run_id)
    in_stage = journal.tally(connection, run_id, stage=run.stage)[WorkState.FAILED]
    failures, budget = journal.tally(connection, run_id)[WorkState.FAILED], run.options.max_failures
    if in_stage and is_gate(run.stage, run.verb):
        kind = "A canary" if is_canary_stage(run.stage) else "A home of common tables"
        journal.end(connection, run_id, RunState.STOPPED, f"{kind} failed, so the rest was not begun.")
    elif budget is not None and failures > budget:
        journal.end(connection, run_id, RunState.STOPPED, f"{failures} homes failed, and max_failures is {budget}.")


def give_back(connection: Connection, share: Share) -> None:
    """Lets go of every work that is still held and was not begun."""
    counts = {"attempt": fleet_work.c.attempt - 1, "claimed": fleet_work.c.claimed - 1}
    connection.execute(update(fleet_work).where(share.held).values(state=WorkState.PENDING, **counts, **_FREE))


def forget(connection: Connection, share: Share, work: Work) -> None:
    """Takes a work out of the run whose home has gone meanwhile."""
    connection.execute(delete(fleet_work).where(share.held, fleet_work.c.home == work.home.key))


def renew(connection: Connection, share: Share) -> None:
    """Prolongs the lease of everything that is held."""
    connection.execute(update(fleet_work).where(share.held).values(lease_until=moment(connection, LEASE_SECONDS)))


def sweep(connection: Connection, run_id: uuid.UUID, *, at_work: Collection[uuid.UUID]) -> int:
    """Marks as unknown what the dead left running, and returns how many works that were.

    *at_work* are the workers of this process that live.
    """
    running = (fleet_work.c.run_id == run_id) & (fleet_work.c.state == WorkState.RUNNING)
    columns = (fleet_work.c.holder, fleet_work.c.worker, func.max(fleet_work.c.lease_until) < moment(connection))
    swept = 0
    for holder, worker, expired in connection.execute(select(*columns).where(running).group_by(*columns[:2])).all():
        mine = holder == this_process()
        if worker not in at_work if mine else has_let_go(holder, expired=expired):
            theirs = running & (fleet_work.c.worker == worker)
            swept += connection.execute(update(fleet_work).where(theirs).values(state=WorkState.UNKNOWN)).rowcount
    return swept


def settle(connection: Connection, run_id: uuid.UUID, works: Sequence[Work]) -> None:
    """Writes down what was found at homes whose work was unknown, unless somebody settled it before."""
    for work in works:
        unknown = (fleet_work.c.run_id == run_id) & (fleet_work.c.home == work.home.key)
        unknown &= fleet_work.c.state == WorkState.UNKNOWN
        found = {"state": work.state, "after": work.after, "error": work.error, "due_at": moment(connection), **_FREE}
        connection.execute(update(fleet_work).where(unknown).values(**found))
        _note_warm(connection, work)
    if any(work.state is WorkState.FAILED for work in works):
        check_failures(connection, run_id)


def _note_warm(connection: Connection, work: Work) -> None:
    """Lets creations take a placement that is kept ready once it stands where they expect it."""
    if work.home.warm and work.home.tenant is not None and work.state is WorkState.DONE:
        warming.note_head(connection, work.home.tenant, work.after)


_FREE: Final[dict[str, Any]] = {"holder": None, "worker": None, "lease_until": None}
_TOLD: Final = ("state", "seconds", "before", "after", "error", "attempt")
_ENDED: Final = (
    update(fleet_work)
    .where(
        fleet_work.c.run_id == bindparam("run"),
        fleet_work.c.worker == bindparam("who"),
        fleet_work.c.state == WorkState.RUNNING,
        fleet_work.c.home == bindparam("key"),
    )
    .values({name: bindparam(f"new_{name}") for name in (*_TOLD, "touched")} | _FREE)
)


def _waiting(run: Run) -> ColumnElement[bool]:
    here = (fleet_work.c.run_id == run.id) & (fleet_work.c.stage == run.stage)
    return here & (fleet_work.c.state == WorkState.PENDING)


def _wait(connection: Connection, waiting: ColumnElement[bool]) -> float | None:
    soonest: datetime.datetime | None = connection.scalar(select(func.min(fleet_work.c.due_at)).where(waiting))
    if soonest is None:
        return None
    return min(max((soonest - now()).total_seconds(), _SHORTEST_WAIT), _LONGEST_WAIT)
