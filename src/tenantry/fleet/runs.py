"""The runs of one history: begun or joined, taken part in, reopened, rolled back."""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Sequence

from sqlalchemy import Connection

from tenantry.errors import RunClosed, RunInProgress, RunUnknown
from tenantry.events import announce
from tenantry.fleet import claims, journal, planning
from tenantry.fleet.history import History
from tenantry.fleet.orders import BASE, Order
from tenantry.fleet.outcomes import RESUMABLE, Options, Outcome, Ring, Run, RunState, Verb, Work, WorkState
from tenantry.fleet.rings import choose
from tenantry.fleet.running import ACTION, AT_WORK, Hooks, Part, truth
from tenantry.tenancy import Tenancy


class Runs:
    """What ``Fleet`` does with runs."""

    def __init__(self, tenancy: Tenancy, history: History) -> None:
        self._tenancy = tenancy
        self._history = history

    def newest(self, *states: RunState, limit: int = 100) -> list[Run]:
        """Returns the newest runs in one of *states*, or in any."""
        with self._tenancy.catalog(ACTION) as connection:
            return journal.newest(connection, *states, history=self._history.name, limit=limit)

    def outcome(self, run: uuid.UUID) -> Outcome:
        """Returns a run with the work on each home.

        Raises: RunUnknown.
        """
        with self._tenancy.catalog(ACTION) as connection:
            return journal.outcome(connection, run)

    def plan(self, order: Order) -> Outcome:
        """Returns what a run would do; nothing is written down.

        Raises: RevisionUnknown, SeveralHeads, CanaryRefused, LoginRequired.
        """
        wanted = order.draft(self._history)
        return Outcome(wanted, self._outline(wanted, order))

    def go(self, order: Order, *, jobs: int) -> Outcome:
        """Does what was ordered, and returns what became of it.

        Raises: as ``under_way``.
        """
        run = self.under_way(order)
        return self.take_part(run, order.hooks, jobs=jobs) if run.state is RunState.RUNNING else _nothing_to_do(run)

    def under_way(self, order: Order) -> Run:
        """Returns the run that does what was ordered, begun here or elsewhere; a planned one where nothing is to do.

        Raises: RevisionUnknown, SeveralHeads, CanaryRefused, RunInProgress, LoginRequired, CatalogVersionMismatch.
        """
        wanted = order.draft(self._history)
        with self._tenancy.catalog(ACTION) as connection:
            running = journal.under_way(connection, wanted)
        if running is not None:
            return running
        works = self._outline(wanted, order)
        if not works:
            return wanted
        with self._tenancy.catalog(ACTION) as connection:
            return _begin(connection, wanted, works)

    def take_part(self, run: Run, hooks: Hooks, *, jobs: int) -> Outcome:
        """Works on a run until it is at its end, paused or stopped.

        Raises: HookMissing.
        """
        Part(self._tenancy, self._history, run, jobs=jobs, hooks=hooks).take()
        return self.outcome(run.id)

    def resumable(self, run: uuid.UUID | None) -> Run:
        """Returns a run that can go on: that one, or the newest unless the whole fleet has been served since.

        Raises: RunUnknown, RunClosed.
        """
        if run is None:
            return self._newest_resumable()
        found = self.outcome(run).run
        if found.state not in RESUMABLE:
            raise RunClosed(run=run, state=found.state, wanted="resumed")
        return found

    def reopen(self, run: Run) -> None:
        """Sets a run going again from what its homes tell: what failed, or was in hand when somebody died, too."""
        with self._tenancy.catalog(ACTION) as connection:
            claims.sweep(connection, run.id, at_work=AT_WORK)
            unfinished = journal.works(connection, run.id, WorkState.PENDING, WorkState.UNKNOWN, WorkState.FAILED)
        announce("fleet", "reopen", run=run.id, left=len(unfinished))
        settled = truth(self._history, unfinished, verb=run.verb)
        with self._tenancy.catalog(ACTION) as connection:
            journal.reopen(connection, run, settled)
            if any(work.state is WorkState.FAILED for work in settled):
                claims.check_failures(connection, run.id)

    def roll_back(self, run: uuid.UUID, *, ring: Ring | None, jobs: int) -> Outcome:
        """Brings the homes that a run changed back to where they came from, and closes the run.

        Raises: RunUnknown, RunInProgress.
        """
        undone = self._stop(run)
        works = [work for work in self.outcome(run).works if ring in (None, work.ring)]
        back = planning.back(works, self._history.read([work.home for work in works]))
        options = Options(pace=undone.options.pace, whole=False)
        wanted = journal.draft(verb=Verb.ROLLBACK, history=undone.history, target=undone.target, options=options)
        with self._tenancy.catalog(ACTION) as connection:
            journal.close(connection, run, f"{ring or 'All of it'} was rolled back by run {wanted.id}.")
            begun = _begin(connection, wanted, back) if back else wanted
        return self.take_part(begun, Hooks(), jobs=jobs) if back else _nothing_to_do(wanted)

    def open_to(self, hooks: Hooks, *, only: uuid.UUID | None) -> list[Run]:
        """Returns the runs under way in which a process with these hooks can take part, the oldest first.

        Raises: RunUnknown.
        """
        if only is not None:
            found = self.outcome(only).run
            return [found] if found.state is RunState.RUNNING else []
        return [run for run in reversed(self.newest(RunState.RUNNING)) if set(run.options.needs) <= set(hooks.names())]

    def catch_up(self, hooks: Hooks, *, jobs: int) -> Outcome | None:
        """Brings homes that fell behind since the last upgrade of the whole fleet to where it brought the others."""
        last = next((run for run in self.newest() if run.options.whole), None)
        if last is None or last.verb is not Verb.UPGRADE or last.state is not RunState.DONE:
            return None
        again = self.go(Order(verb=Verb.UPGRADE, target=last.target or BASE, hooks=hooks), jobs=jobs)
        return again if again.works else None

    def _outline(self, wanted: Run, order: Order) -> list[Work]:
        announce("fleet", "plan", verb=wanted.verb, target=wanted.target)
        found = planning.look(self._tenancy, self._history, wanted.target, where=order.where)
        canaries = choose(self._tenancy, found, order.canary)
        return planning.outline(found, verb=wanted.verb, target=wanted.target, canaries=canaries)

    def _newest_resumable(self) -> Run:
        for run in self.newest():
            if run.state in RESUMABLE:
                return run
            if run.state is RunState.DONE and (run.options.whole or run.verb is Verb.ROLLBACK):
                break
        raise RunUnknown(run="to resume")

    def _stop(self, run: uuid.UUID) -> Run:
        """Returns a run of which nobody claims work any more.

        Raises: RunUnknown, RunInProgress while somebody has a home of it in hand.
        """
        with self._tenancy.catalog(ACTION) as connection:
            found = journal.lock(connection, run)
            claims.sweep(connection, run, at_work=AT_WORK)
            if journal.tally(connection, run)[WorkState.RUNNING]:
                raise RunInProgress(run=run, verb=found.verb, target=found.target or BASE)
            for other in journal.newest(connection, RunState.RUNNING, history=found.history):
                if other.id != run:
                    journal.refuse_beside(other)
            journal.end(connection, run, RunState.STOPPED, "It is about to be rolled back.")
        return found


def _begin(connection: Connection, wanted: Run, works: Sequence[Work]) -> Run:
    announce("fleet", "begin", run=wanted.id, verb=wanted.verb, target=wanted.target, left=len(works))
    begun = journal.begin(connection, wanted, works)
    if any(work.state is WorkState.FAILED for work in works):
        claims.check_failures(connection, begun.id)
    return begun


def _nothing_to_do(wanted: Run) -> Outcome:
    return Outcome(dataclasses.replace(wanted, state=RunState.DONE), ())
