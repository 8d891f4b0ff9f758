"""The fleet: every home of every tenant on every server, as the target of a migration that can be carried on."""

from __future__ import annotations

import dataclasses
import functools
import importlib
import uuid
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import Connection

from tenantry.errors import CreationInProgress, ExtraMissing, RunClosed, RunInProgress, RunUnknown
from tenantry.events import announce
from tenantry.fleet import claims, journal, planning
from tenantry.fleet.executors import Executor, Threads
from tenantry.fleet.history import Applied, History, Pace, Position
from tenantry.fleet.homes import Home
from tenantry.fleet.orders import BASE, MAX_FAILURES, Order
from tenantry.fleet.outcomes import RESUMABLE, Options, Outcome, Ring, Run, RunState, Status, Verb, Work, WorkState
from tenantry.fleet.planning import Where
from tenantry.fleet.rings import Canary, Health, choose
from tenantry.fleet.running import ACTION, AT_WORK, Backup, Hooks, Part, truth
from tenantry.tenancy import Tenancy
from tenantry.types import TenantStatus


class Fleet:
    """Migrates every home of an installation; *history* is its Alembic scripts unless another one is given."""

    def __init__(self, tenancy: Tenancy, history: History | None = None) -> None:
        self._tenancy = tenancy
        self._history = history or alembic_history(tenancy)

    def __repr__(self) -> str:
        return f"Fleet({self._tenancy!r}, {self._history.name!r})"

    def status(self, target: str = "head", *, where: Where | None = None) -> Status:
        """Returns where every home stands, seen from *target*, and the newest run.

        Raises: RevisionUnknown, SeveralHeads, LoginRequired.
        """
        resolved = self._history.resolve(target)
        found = planning.look(self._tenancy, self._history, resolved, where=where)
        return Status(resolved, found, self.newest_run())

    def newest_run(self) -> Outcome | None:
        """Returns the newest run of this history with the work on each home, or None where there was none."""
        with self._tenancy.catalog(ACTION) as connection:
            runs = journal.newest(connection, history=self._history.name, limit=1)
            return journal.outcome(connection, runs[0].id) if runs else None

    def current(self, *, where: Where | None = None) -> Mapping[Home, str | None]:
        """Returns at which revision every home stands."""
        return self._history.read(planning.homes_served(self._tenancy, self._history, where=where))

    def plan(
        self,
        target: str = "head",
        *,
        verb: Verb = Verb.UPGRADE,
        canary: Canary | None = None,
        where: Where | None = None,
    ) -> Outcome:
        """Returns what a run would do, home by home in its order, and changes nothing.

        Raises: RevisionUnknown, SeveralHeads, CanaryRefused, LoginRequired.
        """
        return self._plan(Order(verb=verb, target=target, canary=canary, where=where))

    def upgrade(
        self,
        target: str = "head",
        *,
        canary: Canary | None = None,
        health: Health | None = None,
        jobs: int = 4,
        max_failures: int | None = MAX_FAILURES,
        dry_run: bool = False,
        backup: Backup | None = None,
        where: Where | None = None,
        pace: Pace | None = None,
    ) -> Outcome:
        """Brings every home that is behind to *target*: canaries first, *jobs* homes at a time, until none is behind.

        What failed is in the outcome, home by home. Another process that does the same takes part in the same run.

        Raises: RevisionUnknown, SeveralHeads, CanaryRefused, RunInProgress, LoginRequired, CatalogVersionMismatch.
        """
        hooks = Hooks(health, backup)
        order = Order(
            verb=Verb.UPGRADE,
            target=target,
            canary=canary,
            hooks=hooks,
            max_failures=max_failures,
            where=where,
            pace=pace,
        )
        return self._plan(order) if dry_run else self._go(order, jobs=jobs)

    def downgrade(
        self,
        target: str,
        *,
        canary: Canary | None = None,
        health: Health | None = None,
        jobs: int = 4,
        max_failures: int | None = MAX_FAILURES,
        dry_run: bool = False,
        backup: Backup | None = None,
        where: Where | None = None,
        pace: Pace | None = None,
    ) -> Outcome:
        """Takes every home that is beyond *target* back to it, as ``upgrade`` does the other way.

        Raises: as ``upgrade``.
        """
        hooks = Hooks(health, backup)
        order = Order(
            verb=Verb.DOWNGRADE,
            target=target,
            canary=canary,
            hooks=hooks,
            max_failures=max_failures,
            where=where,
            pace=pace,
        )
        return self._plan(order) if dry_run else self._go(order, jobs=jobs)

    def pause(self, run: uuid.UUID) -> Outcome:
        """Has every process stop after the homes it has in hand; ``resume`` goes on.

        Raises: RunUnknown, RunClosed for a run that is not under way.
        """
        with self._tenancy.catalog(ACTION) as connection:
            if not journal.end(connection, run, RunState.PAUSED):
                raise RunClosed(run=run, state=journal.get(connection, run).state, wanted="paused")
            return journal.outcome(connection, run)

    def resume(
        self,
        run: uuid.UUID | None = None,
        *,
        jobs: int = 4,
        health: Health | None = None,
        backup: Backup | None = None,
    ) -> Outcome:
        """Goes on with a run, by default the newest that is not at its end; the homes themselves tell how far it came.

        Raises: RunUnknown, RunClosed, HookMissing, LoginRequired.
        """
        found, hooks = self._resumable(run), Hooks(health, backup)
        hooks.check(found)
        self._reopen(found)
        return self._take_part(found, hooks, jobs=jobs)

    def rollback(self, run: uuid.UUID, *, ring: Ring | str | None = None, jobs: int = 4) -> Outcome:
        """Brings the homes that a run changed, all or those of one ring, back to where they came from.

        A home that has moved on since is not touched and is reported as failed.

        Raises: RunUnknown, RunInProgress while somebody works on the run.
        """
        chosen = None if ring is None else Ring(ring)
        undone = self._stop(run)
        with self._tenancy.catalog(ACTION) as connection:
            works = [work for work in journal.works(connection, run) if chosen in (None, work.ring)]
        back = planning.back(works, self._history.read([work.home for work in works]))
        options = Options(pace=undone.options.pace, whole=False)
        wanted = journal.draft(verb=Verb.ROLLBACK, history=undone.history, target=undone.target, options=options)
        with self._tenancy.catalog(ACTION) as connection:
            journal.close(connection, run, f"{chosen or 'All of it'} was rolled back by run {wanted.id}.")
            begun = self._begin(connection, wanted, back)
        return self._take_part(begun, Hooks(), jobs=jobs) if back else _nothing_to_do(wanted)

    def work(
        self,
        run: uuid.UUID | None = None,
        *,
        jobs: int = 4,
        health: Health | None = None,
        backup: Backup | None = None,
    ) -> list[Outcome]:
        """Takes part in every run that is under way, or in one, and returns what became of them.

        Finishes tenants that wait for the owner's login, and catches up homes that fell behind since the last run.
        Runs that need a hook that this process was not given are left to others.

        Raises: RunUnknown, LoginRequired.
        """
        self.finish_waiting()
        hooks = Hooks(health, backup)
        outcomes = [self._take_part(found, hooks, jobs=jobs) for found in self._open_runs(run, hooks)]
        late = None if run is not None else self._catch_up_late(hooks, jobs=jobs)
        return outcomes if late is None else [*outcomes, late]

    def finish_waiting(self) -> list[str]:
        """Finishes the tenants whose creation waits for the owner's login, where it is here, and returns their slugs.

        Raises: LoginRequired without a login that lists tenants.
        """
        finished = []
        for tenant in self._tenancy.every_tenant(statuses=(TenantStatus.PROVISIONING,)):
            announce("fleet", "finish", tenant=tenant.id)
            try:
                made = self._tenancy.tenants.create(tenant.slug)
            except CreationInProgress:
                continue
            if made.status is TenantStatus.ACTIVE:
                finished.append(made.slug)
        return finished

    def stamp(self, target: str, *, jobs: int = 4, where: Where | None = None) -> Mapping[Home, Applied]:
        """Records *target* at every home without running anything.

        Raises: RevisionUnknown, SeveralHeads, LoginRequired, and what the first home that fails raises.
        """
        resolved = self._history.resolve(target)
        homes = list(self.current(where=where))
        announce("fleet", "stamp", target=resolved, homes=len(homes))
        with ThreadPoolExecutor(jobs) as pool:
            applied = pool.map(functools.partial(self._history.stamp, target=resolved), homes)
            stamped = dict(zip(homes, applied, strict=True))
        for home in stamped:
            if home.warm and home.tenant is not None:
                self._tenancy.tenants.note_warm_head(home.tenant, resolved)
        return stamped

    def sql(self, target: str = "head", *, where: Where | None = None) -> Mapping[Home, str]:
        """Returns what would be run, for one home of each kind, server and revision that stands for the others.

        Raises: RevisionUnknown, SeveralHeads, LoginRequired.
        """
        resolved = self._history.resolve(target)
        found = planning.look(self._tenancy, self._history, resolved, where=where)
        moved = (standing for standing in found if standing.position in (Position.BEHIND, Position.AHEAD))
        examples = {(each.home.server, each.home.kind, each.current): each.home for each in moved}
        return {home: self._history.sql(home, resolved) for home in examples.values()}

    def begin(
        self,
        target: str = "head",
        *,
        canary: Canary | None = None,
        health: str | None = None,
        max_failures: int | None = MAX_FAILURES,
        executor: Executor | None = None,
        workers: int = 1,
    ) -> Run:
        """Begins an upgrade, asks *executor* for as many *workers* to work on it, by default threads, and returns.

        Raises: as ``upgrade``.
        """
        hooks = Hooks(health)
        order = Order(verb=Verb.UPGRADE, target=target, canary=canary, hooks=hooks, max_failures=max_failures)
        run = self._under_way(order)
        hands = executor or Threads(self.work)
        if run.state is RunState.RUNNING:
            for _ in range(workers):
                hands.submit(run.id)
        return run

    def _plan(self, order: Order) -> Outcome:
        wanted = order.draft(self._history)
        return Outcome(wanted, self._outline(wanted, order))

    def _go(self, order: Order, *, jobs: int) -> Outcome:
        run = self._under_way(order)
        return self._take_part(run, order.hooks, jobs=jobs) if run.state is RunState.RUNNING else _nothing_to_do(run)

    def _under_way(self, order: Order) -> Run:
        """Returns the run that does what was ordered, begun here or elsewhere; a planned one where nothing is to do."""
        wanted = order.draft(self._history)
        with self._tenancy.catalog(ACTION) as connection:
            running = journal.under_way(connection, wanted)
        if running is not None:
            return running
        works = self._outline(wanted, order)
        if not works:
            return wanted
        with self._tenancy.catalog(ACTION) as connection:
            return self._begin(connection, wanted, works)

    def _outline(self, wanted: Run, order: Order) -> list[Work]:
        announce("fleet", "plan", verb=wanted.verb, target=wanted.target)
        found = planning.look(self._tenancy, self._history, wanted.target, where=order.where)
        canaries = choose(self._tenancy, found, order.canary)
        return planning.outline(found, verb=wanted.verb, target=wanted.target, canaries=canaries)

    def _begin(self, connection: Connection, wanted: Run, works: Sequence[Work]) -> Run:
        announce("fleet", "begin", run=wanted.id, verb=wanted.verb, target=wanted.target, left=len(works))
        begun = journal.begin(connection, wanted, works)
        if any(work.state is WorkState.FAILED for work in works):
            claims.check_failures(connection, begun.id)
        return begun

    def _take_part(self, run: Run, hooks: Hooks, *, jobs: int) -> Outcome:
        Part(self._tenancy, self._history, run, jobs=jobs, hooks=hooks).take()
        with self._tenancy.catalog(ACTION) as connection:
            return journal.outcome(connection, run.id)

    def _resumable(self, run: uuid.UUID | None) -> Run:
        with self._tenancy.catalog(ACTION) as connection:
            if run is None:
                runs = journal.newest(connection, *RESUMABLE, history=self._history.name, limit=1)
                if not runs:
                    raise RunUnknown(run="to resume")
                return runs[0]
            found = journal.get(connection, run)
        if found.state not in RESUMABLE:
            raise RunClosed(run=run, state=found.state, wanted="resumed")
        return found

    def _reopen(self, run: Run) -> None:
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

    def _stop(self, run: uuid.UUID) -> Run:
        """Returns a run of which nobody claims work any more.

        Raises: RunUnknown, RunInProgress while somebody has a home of it in hand.
        """
        with self._tenancy.catalog(ACTION) as connection:
            found = journal.lock(connection, run)
            claims.sweep(connection, run, at_work=AT_WORK)
            if journal.tally(connection, run)[WorkState.RUNNING]:
                raise RunInProgress(run=run, verb=found.verb, target=found.target or BASE)
            journal.end(connection, run, RunState.STOPPED, "It is about to be rolled back.")
        return found

    def _open_runs(self, run: uuid.UUID | None, hooks: Hooks) -> list[Run]:
        with self._tenancy.catalog(ACTION) as connection:
            if run is not None:
                found = journal.get(connection, run)
                return [found] if found.state is RunState.RUNNING else []
            runs = journal.newest(connection, RunState.RUNNING, history=self._history.name)
        return [run for run in reversed(runs) if set(run.options.needs) <= set(hooks.names())]

    def _catch_up_late(self, hooks: Hooks, *, jobs: int) -> Outcome | None:
        """Brings homes that fell behind since the last upgrade of the whole fleet to where it brought the others."""
        with self._tenancy.catalog(ACTION) as connection:
            runs = journal.newest(connection, history=self._history.name)
        last = next((run for run in runs if run.options.whole), None)
        if last is None or last.verb is not Verb.UPGRADE or last.state is not RunState.DONE:
            return None
        again = self._go(Order(verb=Verb.UPGRADE, target=last.target or BASE, hooks=hooks), jobs=jobs)
        return again if again.works else None


def _nothing_to_do(wanted: Run) -> Outcome:
    return Outcome(dataclasses.replace(wanted, state=RunState.DONE), ())


def alembic_history(tenancy: Tenancy) -> History:
    """Returns the history that the application's Alembic scripts are.

    Raises: ExtraMissing without Alembic.
    """
    try:
        # By name and late: a fleet on Sqitch needs no Alembic.
        scripts = importlib.import_module("tenantry.fleet.scripts")
    except ModuleNotFoundError as error:
        if error.name != "alembic":
            raise
        raise ExtraMissing(module="The fleet's default history", extra="fleet") from error
    history: History = scripts.AlembicHistory(tenancy)
    return history
