"""One process's part in a run: homes claimed in small batches by threads, applied, recorded, until none is left."""

from __future__ import annotations

import contextlib
import dataclasses
import random
import threading
import time
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from tenantry.catalog.holder import LEASE_SECONDS
from tenantry.errors import HomeBusy, HookMissing, TenantNotFound
from tenantry.events import announce
from tenantry.fleet import claims, journal, planning
from tenantry.fleet.claims import Result, Share
from tenantry.fleet.failing import describe, was_lost
from tenantry.fleet.history import Applied, History, Position
from tenantry.fleet.homes import Home
from tenantry.fleet.outcomes import Run, RunState, Verb, Work, WorkState
from tenantry.fleet.rings import LAST_STAGE, Health, complaint, is_canary_stage
from tenantry.ids import uuid7
from tenantry.tenancy import Tenancy
from tenantry.types import Isolation, Tenant, TenantStatus

ACTION: Final = "Working on the fleet"
Backup = Callable[[Tenant], object]

_LARGEST_BATCH: Final = 100
# Below this, claiming costs more than a thread that ends a little later than the others.
_FAIR_BATCH: Final = 16
_GROWTH: Final = 4
# A batch that takes longer is halved: what is claimed by a slow worker keeps nobody else waiting.
_BATCH_SECONDS: Final = 0.5
_FIRST_DELAY: Final = 0.2
_LONGEST_DELAY: Final = 10.0
_GLANCE: Final = 0.1
# How long a creation that began before the run's end is waited for.
_CREATION_SECONDS: Final = 30.0

# The workers of this process that live: what others of its name held is nobody's any more.
AT_WORK: Final[set[uuid.UUID]] = set()


@dataclass(frozen=True, slots=True)
class Hooks:
    """What a run calls back in this process."""

    health: Health | None = None
    backup: Backup | None = None

    def names(self) -> tuple[str, ...]:
        """Returns the hooks that no journal can hold, so that every process of the run needs them."""
        return tuple(name for name in ("health", "backup") if callable(getattr(self, name)))

    def check(self, run: Run) -> None:
        """Lets a run pass whose hooks are all here.

        Raises: HookMissing.
        """
        for name in run.options.needs:
            if name not in self.names():
                raise HookMissing(run=run.id, hook=name)


class Part:
    """What one call, with its threads, does in a run.

    Raises: HookMissing for a run that was begun with a callable that is not in *hooks*.
    """

    def __init__(self, tenancy: Tenancy, history: History, run: Run, *, jobs: int, hooks: Hooks) -> None:
        hooks.check(run)
        self._tenancy = tenancy
        self._history = history
        self._run = run
        self._jobs = jobs
        self._hooks = hooks
        self._share = Share(run.id, uuid7())
        self._enough = threading.Event()
        self._counting = threading.Lock()
        self._total = self._done = self._failed = 0
        self._kept: set[str] = set()
        self._blind = 0
        self._waited = 0.0

    def take(self) -> None:
        """Works until the run is at its end, paused or stopped; an interrupt leaves it to be resumed."""
        AT_WORK.add(self._share.worker)
        try:
            while (run := self._look_up()).state is RunState.RUNNING:
                self._step(run)
        finally:
            AT_WORK.discard(self._share.worker)

    def _look_up(self) -> Run:
        with self._catalog() as connection:
            swept = claims.sweep(connection, self._run.id, at_work=AT_WORK)
            self._count(connection)
            found = journal.get(connection, self._run.id)
        if swept:
            self._tell("sweep", swept=swept)
        return found

    def _step(self, run: Run) -> None:
        """Does what is next at the open stage."""
        with self._catalog() as connection:
            here = journal.tally(connection, run.id, stage=run.stage)
        if here[WorkState.UNKNOWN]:
            self._settle(run)
        elif here[WorkState.PENDING]:
            self._drain_in_threads()
        elif here[WorkState.RUNNING]:
            time.sleep(_GLANCE)
        elif here[WorkState.FAILED] and run.stage < LAST_STAGE:
            self._end(RunState.STOPPED, f"{here[WorkState.FAILED]} homes failed, and others lean on them.")
        else:
            self._close_stage(run)

    def _settle(self, run: Run) -> None:
        """Looks at the homes that the dead left, and takes what it finds as the truth."""
        self._tell("settle")
        with self._catalog() as connection:
            works = journal.works(connection, run.id, WorkState.UNKNOWN)
        try:
            found = truth(self._history, works, verb=run.verb)
        except Exception as error:  # whatever keeps us from looking may pass
            self._blind += 1
            if self._blind < run.options.pace.attempts:
                time.sleep(_delay(self._blind))
            else:
                self._end(RunState.STOPPED, f"{len(works)} homes could not be looked at: {describe(error)}")
            return
        self._blind = 0
        with self._catalog() as connection:
            claims.settle(connection, run.id, found)

    def _close_stage(self, run: Run) -> None:
        with self._catalog() as connection:
            stage = journal.next_stage(connection, run.id)
        leaves_canaries = is_canary_stage(run.stage) and (stage is None or not is_canary_stage(stage))
        if leaves_canaries and not self._canaries_are_well(run):
            return
        if stage is None:
            self._finish(run)
            return
        self._tell("open", stage=stage)
        with self._catalog() as connection:
            journal.open_stage(connection, run, stage)

    def _canaries_are_well(self, run: Run) -> bool:
        health = self._hooks.health or run.options.health
        if health is None:
            return True
        with self._catalog() as connection:
            canaries = [work.home for work in journal.works(connection, run.id) if is_canary_stage(work.stage)]
        self._tell("health", canaries=len(canaries))
        against = complaint(self._tenancy, canaries, health)
        if against is not None:
            self._end(RunState.STOPPED, against)
        return against is None

    def _finish(self, run: Run) -> None:
        """Ends the run when no home is behind; what was created meanwhile is caught up first."""
        if run.options.whole and (self._must_wait() or self._catch_up(run)):
            return
        with self._catalog() as connection:
            failed = journal.tally(connection, run.id)[WorkState.FAILED]
        self._end(RunState.FAILED if failed else RunState.DONE, f"{failed} homes failed." if failed else "")

    def _must_wait(self) -> bool:
        """Waits a moment for a creation that began before the run's end, and says so; but not for ever."""
        with self._catalog() as connection:
            busy = planning.creations_under_way(connection)
        if not busy or self._waited >= _CREATION_SECONDS:
            return False
        self._waited += _GLANCE
        time.sleep(_GLANCE)
        return True

    def _catch_up(self, run: Run) -> bool:
        self._tell("catch up")
        with self._catalog() as connection:
            known = journal.keys(connection, run.id)
        found = planning.look(self._tenancy, self._history, run.target, where=lambda home: home.key not in known)
        works = planning.outline(found, verb=run.verb, target=run.target, canaries=())
        with self._catalog() as connection:
            added = journal.add(connection, run, works)
            if any(work.state is WorkState.FAILED for work in added):
                claims.check_failures(connection, run.id)
        return bool(added)

    def _drain_in_threads(self) -> None:
        self._enough.clear()
        with ThreadPoolExecutor(self._jobs, thread_name_prefix="tenantry-fleet") as pool:
            threads = [pool.submit(self._drain) for _ in range(self._jobs)]
            try:
                self._watch(threads)
            finally:
                self._enough.set()
                wait(threads)
                self._let_go()
        for thread in threads:
            thread.result()

    def _watch(self, threads: Sequence[Future[None]]) -> None:
        left: Collection[Future[None]] = threads
        while left:
            done, left = wait(left, timeout=LEASE_SECONDS / 4, return_when=FIRST_EXCEPTION)
            if any(thread.exception() for thread in done):
                return
            with self._catalog() as connection:
                claims.renew(connection, self._share)

    def _let_go(self) -> None:
        with self._catalog() as connection:
            claims.give_back(connection, self._share)

    def _drain(self) -> None:
        size, results = 1, list[Result]()
        while not self._enough.is_set():
            self._tell("claim", limit=size)
            begun = time.monotonic()
            with self._catalog() as connection:
                claims.record(connection, self._share, results)
                claim = claims.claim(connection, self._share, size)
                self._count(connection)
            results = []
            if claim.works:
                results = list(self._work_through(claim.works))
                size = self._next_size(size, time.monotonic() - begun)
            elif claim.wait is None:
                return
            else:
                self._enough.wait(claim.wait)
        with self._catalog() as connection:
            claims.record(connection, self._share, results)

    def _next_size(self, size: int, seconds: float) -> int:
        if seconds >= _BATCH_SECONDS:
            return max(size // 2, 1)
        # Half of a thread's share of what is left, so that all end together.
        fair = max((self._total - self._done - self._failed) // (2 * self._jobs), _FAIR_BATCH)
        return min(size * _GROWTH, fair, _LARGEST_BATCH)

    def _work_through(self, works: Sequence[Work]) -> Iterator[Result]:
        """Yields what may be recorded with the batch; what others must know of is recorded at once."""
        for work in works:
            if self._enough.is_set():
                return
            result = self._do(work)
            if result is None:
                continue
            if result.work.state is WorkState.DONE:
                yield result
                continue
            with self._catalog() as connection:
                claims.record(connection, self._share, [result])
                if journal.get(connection, self._run.id).state is not RunState.RUNNING:
                    self._enough.set()

    def _do(self, work: Work) -> Result | None:
        begun = time.monotonic()
        try:
            self._back_up(work)
            self._tell("apply", work)
            applied = self._history.apply(work.home, work.target, pace=self._run.options.pace)
        except Exception as error:  # whatever one home met is that home's outcome
            result = self._judge(work, error)
        else:
            result = Result(_done(work, applied))
        if result is None:
            return None
        result = dataclasses.replace(result, work=dataclasses.replace(result.work, seconds=time.monotonic() - begun))
        self._note(result.work)
        return result

    def _back_up(self, work: Work) -> None:
        if self._hooks.backup is None or work.home.warm or work.home.key in self._kept:
            return
        self._tell("backup", work)
        for tenant in self._tenants_of(work.home):
            self._hooks.backup(tenant)
        self._kept.add(work.home.key)

    def _tenants_of(self, home: Home) -> Iterable[Tenant]:
        """Returns whose rows stand in a home: one tenant's, or in common tables all of theirs."""
        if home.tenant is not None:
            return [self._tenancy.tenants.get(home.tenant)]
        living = self._tenancy.every_tenant(statuses=(TenantStatus.ACTIVE, TenantStatus.SUSPENDED))
        return (each for each in living if each.isolation is Isolation.ROWS and each.server == home.server)

    def _judge(self, work: Work, error: Exception) -> Result | None:
        """Returns what became of a work that met *error*, or None where its home is no more."""
        again = work.attempt < self._run.options.pace.attempts
        pending = Result(
            dataclasses.replace(work, state=WorkState.PENDING, error=describe(error)), _delay(work.attempt)
        )
        if isinstance(error, HomeBusy) and again:
            return pending
        if self._has_gone(work):
            with self._catalog() as connection:
                claims.forget(connection, self._share, work)
            return None
        if not was_lost(error):
            return Result(dataclasses.replace(work, state=WorkState.FAILED, error=describe(error)))
        try:
            (found,) = truth(self._history, [work], verb=self._run.verb)
        except Exception:  # it could not be reached for looking either
            return Result(dataclasses.replace(work, state=WorkState.UNKNOWN, error=describe(error)))
        if found.state is WorkState.PENDING and not again:
            return Result(dataclasses.replace(work, state=WorkState.FAILED, error=describe(error)))
        return pending if found.state is WorkState.PENDING else Result(found)

    def _has_gone(self, work: Work) -> bool:
        if work.home.tenant is None:
            return False
        try:
            tenant = self._tenancy.tenants.get(work.home.tenant)
        except TenantNotFound:
            return not any(kept.id == work.home.tenant for kept in self._tenancy.tenants.warm_placements())
        return tenant.status in (TenantStatus.ERASING, TenantStatus.ERASED) or tenant.physical != work.home.physical

    def _end(self, state: RunState, reason: str = "") -> None:
        self._tell("end", state=state, reason=reason)
        with self._catalog() as connection:
            journal.end(connection, self._run.id, state, reason)

    @contextlib.contextmanager
    def _catalog(self) -> Iterator[Connection]:
        with self._tenancy.catalog(ACTION) as connection:
            yield connection

    def _count(self, connection: Connection) -> None:
        counts = journal.tally(connection, self._run.id)
        with self._counting:
            self._total = sum(counts.values())
            # What this process has done is recorded batch by batch, so the journal may lag behind.
            self._done = max(self._done, counts[WorkState.DONE])
            self._failed = max(self._failed, counts[WorkState.FAILED])

    def _note(self, work: Work) -> None:
        with self._counting:
            self._done += work.state is WorkState.DONE
            self._failed += work.state is WorkState.FAILED
        self._tell("record", work)

    def _tell(self, step: str, work: Work | None = None, **facts: object) -> None:
        with self._counting:
            done, failed, left = self._done, self._failed, self._total - self._done - self._failed
        progress = {"done": done, "failed": failed, "left": max(left, 0)}
        if work is not None:
            told = ("state", "attempt", "before", "after", "seconds", "touched", "error")
            facts |= {"home": work.home, "tenant": work.home.tenant, **{name: getattr(work, name) for name in told}}
        announce("fleet", step, run=self._run.id, **progress, **facts)


def truth(history: History, works: Sequence[Work], *, verb: Verb) -> list[Work]:
    """Returns the works as their homes tell: done, to do, or gone beyond where the run would bring them."""
    current = history.read([work.home for work in works])
    return [_told(history, work, current.get(work.home), verb) for work in works]


def _done(work: Work, applied: Applied) -> Work:
    # Somebody who claimed it before may have done a part, or all of it: the home then came from where it was planned.
    before = applied.before if work.claimed == 1 else work.before
    done = dataclasses.replace(work, state=WorkState.DONE, before=before, after=applied.after, error=None)
    return dataclasses.replace(done, touched=dict(applied.touched))


def _told(history: History, work: Work, current: str | None, verb: Verb) -> Work:
    position = history.position(current, work.target)
    if position is Position.AT:
        return dataclasses.replace(work, state=WorkState.DONE, after=current, error=None)
    if position is (Position.BEHIND if verb is Verb.UPGRADE else Position.AHEAD):
        return dataclasses.replace(work, state=WorkState.PENDING, error=None)
    error = f"It stands at {current or 'base'}, from where no {verb} leads to {work.target or 'base'}."
    return dataclasses.replace(work, state=WorkState.FAILED, error=error)


def _delay(attempt: int) -> float:
    """Returns how long to leave a busy home alone: longer each time, and never two for the same time."""
    longest = min(_FIRST_DELAY * 2 ** (attempt - 1), _LONGEST_DELAY)
    return random.uniform(longest / 2, longest)  # noqa: S311  # spreads retries; guards no secret
