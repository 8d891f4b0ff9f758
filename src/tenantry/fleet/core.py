"""The fleet: every home of every tenant on every server, as the target of a migration that can be carried on."""

from __future__ import annotations

import functools
import importlib
import uuid
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tenantry.errors import ExtraMissing, RunClosed, SeveralHeads
from tenantry.events import announce, watched
from tenantry.fleet import journal, planning
from tenantry.fleet.executors import Executor, Threads
from tenantry.fleet.failing import describe
from tenantry.fleet.history import Applied, History, Pace, Position
from tenantry.fleet.homes import Home, homes_of
from tenantry.fleet.orders import HEAD, MAX_FAILURES, Order
from tenantry.fleet.outcomes import Outcome, Ring, Run, RunState, Status, Verb
from tenantry.fleet.planning import Where
from tenantry.fleet.rings import Canary, Health
from tenantry.fleet.running import ACTION, Backup, Hooks
from tenantry.fleet.runs import Runs
from tenantry.tenancy import Tenancy
from tenantry.types import Finding, TenantStatus


class Fleet:
    """Migrates every home of an installation; *history* is its Alembic scripts unless another one is given."""

    def __init__(self, tenancy: Tenancy, history: History | None = None) -> None:
        self._tenancy = tenancy
        self._given = history
        self._read_history()

    def _read_history(self) -> None:
        self._history = self._given or alembic_history(self._tenancy)
        self._runs = Runs(self._tenancy, self._history)

    def __repr__(self) -> str:
        return f"Fleet({self._tenancy!r}, {self._history.name!r})"

    def status(self, target: str = HEAD, *, where: Where | None = None) -> Status:
        """Returns where every home stands, seen from *target*, and the newest run.

        Raises: RevisionUnknown, SeveralHeads, LoginRequired.
        """
        resolved = self._history.resolve(target)
        found = planning.look(self._tenancy, self._history, resolved, where=where)
        return Status(resolved, found, self.newest_run())

    def newest_run(self) -> Outcome | None:
        """Returns the newest run of this history with the work on each home, or None where there was none."""
        runs = self._runs.newest(limit=1)
        return self._runs.outcome(runs[0].id) if runs else None

    def current(self, *, where: Where | None = None) -> Mapping[Home, str | None]:
        """Returns at which revision every home stands."""
        return self._history.read(planning.homes_served(self._tenancy, self._history, where=where))

    def plan(
        self,
        target: str = HEAD,
        *,
        verb: Verb = Verb.UPGRADE,
        canary: Canary | None = None,
        where: Where | None = None,
    ) -> Outcome:
        """Returns what a run would do, home by home in its order, and changes nothing.

        Raises: RevisionUnknown, SeveralHeads, CanaryRefused, LoginRequired.
        """
        return self._runs.plan(Order(verb=verb, target=target, canary=canary, where=where))

    @watched("fleet.upgrade")
    def upgrade(
        self,
        target: str = HEAD,
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
        return self._runs.plan(order) if dry_run else self._runs.go(order, jobs=jobs)

    @watched("fleet.downgrade")
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
        return self._runs.plan(order) if dry_run else self._runs.go(order, jobs=jobs)

    def pause(self, run: uuid.UUID) -> Outcome:
        """Has every process stop after the homes it has in hand; ``resume`` goes on.

        Raises: RunUnknown, RunClosed for a run that is not under way.
        """
        with self._tenancy.catalog(ACTION) as connection:
            if not journal.end(connection, run, RunState.PAUSED):
                raise RunClosed(run=run, state=journal.get(connection, run).state, wanted="paused")
            return journal.outcome(connection, run)

    @watched("fleet.resume")
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
        found, hooks = self._runs.resumable(run), Hooks(health, backup)
        hooks.check(found)
        self._runs.reopen(found)
        return self._runs.take_part(found, hooks, jobs=jobs)

    @watched("fleet.rollback")
    def rollback(self, run: uuid.UUID, *, ring: Ring | str | None = None, jobs: int = 4) -> Outcome:
        """Brings the homes that a run changed, all or those of one ring, back to where they came from.

        A home that has moved on since is not touched and is reported as failed.

        Raises: RunUnknown, RunInProgress while somebody works on the run.
        """
        return self._runs.roll_back(run, ring=None if ring is None else Ring(ring), jobs=jobs)

    def work(
        self,
        run: uuid.UUID | None = None,
        *,
        jobs: int = 4,
        health: Health | None = None,
        backup: Backup | None = None,
    ) -> list[Outcome]:
        """Takes part in every run that is under way, or in one, and returns what became of them.

        Finishes tenants that wait for the owner's login, catches up homes that fell behind since the last run, and
        makes what ``Config.warm`` lacks. Runs that need a hook that this process was not given are left to others.

        Raises: RunUnknown, LoginRequired.
        """
        self.finish_waiting()
        hooks = Hooks(health, backup)
        outcomes = [self._runs.take_part(found, hooks, jobs=jobs) for found in self._runs.open_to(hooks, only=run)]
        if run is not None:
            return outcomes
        late = self._runs.catch_up(hooks, jobs=jobs)
        self._tenancy.tenants.refill()
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
            except Exception as error:  # one that cannot be finished keeps nobody else waiting, and stays as it is
                announce("fleet", "not finished", tenant=tenant.id, error=describe(error))
                continue
            if made.status is TenantStatus.ACTIVE:
                finished.append(made.slug)
        return finished

    @watched("fleet.stamp")
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

    def sql(self, target: str = HEAD, *, where: Where | None = None) -> Mapping[Home, str]:
        """Returns what would be run, for one home of each kind, server and revision that stands for the others.

        Raises: RevisionUnknown, SeveralHeads, LoginRequired.
        """
        resolved = self._history.resolve(target)
        found = planning.look(self._tenancy, self._history, resolved, where=where)
        moved = (standing for standing in found if standing.position in (Position.BEHIND, Position.AHEAD))
        examples = {(each.home.server, each.home.kind, each.current): each.home for each in moved}
        return {home: self._history.sql(home, resolved) for home in examples.values()}

    def heads(self) -> Sequence[str]:
        """Returns the newest revision; several of them where the history has branches to be joined."""
        try:
            head = self._history.resolve(HEAD)
        except SeveralHeads as error:
            return tuple(str(error.fields["heads"]).split(", "))
        return () if head is None else (head,)

    def history(self) -> Sequence[str]:
        """Returns the revisions from the first to the head, in the order in which they are applied.

        Raises: SeveralHeads.
        """
        return self._history.steps(None, self._history.resolve(HEAD))

    @watched("fleet.check")
    def check(self, *, where: Where | None = None, orphans: bool = True, jobs: int = 4) -> Sequence[Finding]:
        """Returns what is wrong with the schemas of the fleet; an empty answer means that every home was looked at.

        Raises: LoginRequired, ExtraMissing without Alembic.
        """
        homes = [home for home in homes_of(self._tenancy) if where is None or where(home)]
        checking = _part("checking")
        found: Sequence[Finding] = checking.check(self._tenancy, self._history, homes=homes, orphans=orphans, jobs=jobs)
        return found

    def revision(self, message: str, *, autogenerate: bool = True) -> Path:
        """Writes a new Alembic revision, by default with what the models have and the homes have not.

        Raises: MigrationsMissing, SeveralHeads, HomeBehind, LoginRequired, ExtraMissing without Alembic.
        """
        written: Path = _part("revisions").revision(self._tenancy, message, autogenerate=autogenerate)
        # What was read of the scripts before does not know it.
        self._read_history()
        return written

    def begin(
        self,
        target: str = HEAD,
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
        run = self._runs.under_way(order)
        hands = executor or Threads(self.work)
        if run.state is RunState.RUNNING:
            for _ in range(workers):
                hands.submit(run.id)
        return run


def alembic_history(tenancy: Tenancy) -> History:
    """Returns the history that the application's Alembic scripts are.

    Raises: ExtraMissing without Alembic.
    """
    history: History = _part("scripts").AlembicHistory(tenancy)
    return history


def _part(name: str) -> Any:
    try:
        # By name and late: a fleet on Sqitch needs no Alembic.
        return importlib.import_module(f"tenantry.fleet.{name}")
    except ModuleNotFoundError as error:
        if error.name != "alembic":
            raise
        raise ExtraMissing(module=f"tenantry.fleet.{name}", extra="fleet") from error
