"""Backups by the clock: each tenant's next one is due in the catalog, and one process of all takes it in hand."""

from __future__ import annotations

import contextlib
import logging
import random
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from tenantry.archive.retention import Keep
from tenantry.catalog import schedules
from tenantry.catalog.holder import LEASE_SECONDS, this_process
from tenantry.catalog.schedules import EVERY_TENANT, Schedule
from tenantry.errors import ConfigurationError, ScheduleUnknown, TenantryError
from tenantry.events import announce
from tenantry.tenancy import Tenancy
from tenantry.types import Tenant, TenantKey

_log: Final = logging.getLogger(__name__)
_ACTION: Final = "Scheduling backups"
_SHORTEST: Final = timedelta(seconds=1)
_BATCH: Final = 500
# After a failure: this long, then twice as long each time, and never longer than to the next regular turn.
_FIRST_RETRY: Final = timedelta(minutes=5)
# Where every tenant is backed up, they are spread over this part of the interval.
_SPREAD: Final = 0.1

_at_work: set[uuid.UUID] = set()


@dataclass(frozen=True, slots=True)
class Plan:
    """What a schedule asks for: how often, how far from the full interval at most, what to keep, and whether to verify.

    Raises: ConfigurationError.
    """

    every: timedelta = timedelta(hours=24)
    jitter: timedelta = timedelta(0)
    keep: Keep | None = None
    verify: bool = False

    def __post_init__(self) -> None:
        if self.every < _SHORTEST or not timedelta(0) <= self.jitter <= self.every:
            raise ConfigurationError(
                what=f"Nothing can be done every {self.every}, up to {self.jitter} later.",
                fix="Use an interval of at least a second, and no more jitter than that.",
            )

    @property
    def options(self) -> dict[str, Any]:
        """The part of it that is kept as JSON."""
        return {"keep": self.keep.to_json() if self.keep else None, "verify": self.verify}


@dataclass(frozen=True, slots=True)
class Turn:
    """One backup that a schedule asked for: the archive's name, or why there is none."""

    tenant: Tenant
    archive: str | None
    error: str | None


# Backs one tenant up as the plan says, and returns the archive's name.
Backup = Callable[[Tenant, Plan], str]


class Schedules:
    """The schedules of backups to one store; any number of processes may work on them, and each turn is had by one."""

    def __init__(self, tenancy: Tenancy, store: str, backup: Backup) -> None:
        self._tenancy = tenancy
        self._store = store
        self._backup = backup

    def __repr__(self) -> str:
        return f"Schedules({self._store!r})"

    def put(self, key: TenantKey | None, plan: Plan) -> Schedule:
        """Has a tenant backed up by a plan from now on, in the place of the one it had; None is every tenant.

        A tenant's own schedule stands before that of every tenant. The first backup of one tenant is due at once;
        those of all tenants are spread over their jitter, or a tenth of the interval where there is none.

        Raises: TenantNotFound, LoginRequired.
        """
        tenant = self._tenant(key)
        if tenant == EVERY_TENANT and not plan.jitter:
            plan = Plan(plan.every, plan.every * _SPREAD, plan.keep, plan.verify)
        facts: dict[str, Any] = {"every": plan.every.total_seconds(), "jitter": plan.jitter.total_seconds()}
        with self._tenancy.catalog(_ACTION) as connection:
            schedules.put(connection, tenant, delay=0.0, store=self._store, options=plan.options, **facts)
            return _known(schedules.get(connection, tenant))

    def cancel(self, key: TenantKey | None) -> None:
        """Ends a tenant's schedule, or that of every tenant; a backup in hand comes to its end.

        Raises: TenantNotFound, ScheduleUnknown, LoginRequired.
        """
        tenant = self._tenant(key)
        with self._tenancy.catalog(_ACTION) as connection:
            if not schedules.drop(connection, tenant):
                raise ScheduleUnknown(tenant=key if key is not None else "every tenant")

    def pause(self, key: TenantKey | None, *, resume: bool = False) -> None:
        """Lets no turn of a schedule begin until it is resumed.

        Raises: TenantNotFound, ScheduleUnknown, LoginRequired.
        """
        tenant = self._tenant(key)
        with self._tenancy.catalog(_ACTION) as connection:
            if not schedules.set_state(connection, tenant, schedules.ACTIVE if resume else schedules.PAUSED):
                raise ScheduleUnknown(tenant=key if key is not None else "every tenant")

    def listing(self) -> list[Schedule]:
        """Returns every schedule, the next one due first.

        Raises: LoginRequired.
        """
        with self._tenancy.catalog(_ACTION) as connection:
            return schedules.listing(connection)

    def work(self, *, jobs: int = 2, over: threading.Event | None = None) -> list[Turn]:
        """Takes the turns that are due, *jobs* at a time, until none is, and returns how they ended.

        What fails is recorded and tried again later; it stops nobody else's. An interrupt, or *over*, ends it after
        the turns in hand.

        Raises: LoginRequired.
        """
        end = over or threading.Event()
        self._prepare()
        with ThreadPoolExecutor(jobs, thread_name_prefix="tenantry-backup") as pool:
            try:
                return [turn for part in pool.map(lambda _: list(self._turns(end)), range(jobs)) for turn in part]
            except BaseException:
                end.set()
                raise

    @contextlib.contextmanager
    def kept(self, *, every: float = 30.0, jobs: int = 1) -> Iterator[None]:
        """Has a thread take the turns that are due, looking every so many seconds, while a ``with`` block lasts."""
        over = threading.Event()

        def look() -> None:
            while not over.is_set():
                try:
                    self.work(jobs=jobs, over=over)
                except Exception:
                    # The catalog may be away; what is due then is due still.
                    _log.exception("Looking for backups that are due failed; it is tried again in %s s", every)
                over.wait(every)

        thread = threading.Thread(target=look, name="tenantry-schedules", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def _prepare(self) -> None:
        """Frees what the dead had in hand, and enters tenants that have come since."""
        with self._tenancy.catalog(_ACTION) as connection:
            schedules.sweep(connection, at_work=frozenset(_at_work), mine=this_process())
            schedules.part_with_erased(connection)
        while self._enter_some() == _BATCH:
            pass

    def _enter_some(self) -> int:
        # A batch at a time: whoever registers a tenant waits for this transaction.
        with self._tenancy.catalog(_ACTION) as connection:
            pattern = schedules.get(connection, EVERY_TENANT)
            found = schedules.strangers(connection, _BATCH) if pattern is not None else []
            if found and pattern is not None:
                delays = {tenant: random.uniform(0, pattern.jitter) for tenant in found}  # noqa: S311  # no secret
                schedules.follow(connection, delays)
        return len(found)

    def _turns(self, over: threading.Event) -> Iterator[Turn]:
        while not over.is_set():
            worker = uuid.uuid4()
            _at_work.add(worker)
            try:
                with self._tenancy.catalog(_ACTION) as connection:
                    taken = schedules.claim(connection, self._store, worker)
                if taken is None:
                    return
                yield self._take(taken, worker)
            finally:
                _at_work.discard(worker)

    def _take(self, taken: Schedule, worker: uuid.UUID) -> Turn:
        tenant = self._tenancy.tenants.get(taken.tenant_id)
        announce("schedule", "backup", tenant=tenant.id, due=taken.due_at)
        with self._held(worker):
            turn = self._try(tenant, plan_of(taken))
        with self._tenancy.catalog(_ACTION) as connection:
            at = schedules.present(connection)
            due = next_turn(taken, at) if turn.error is None else next_attempt(taken, at)
            schedules.finish(connection, worker, due_at=due, error=turn.error)
        return turn

    def _try(self, tenant: Tenant, plan: Plan) -> Turn:
        try:
            name = self._backup(tenant, plan)
        except Exception as error:
            # What a database says may hold values of rows; the log is the program's own.
            expected = isinstance(error, TenantryError)
            told = str(error) if expected else f"{type(error).__name__}; the log has more."
            _log.error("Backup failed for tenant %s: %s", tenant.id, told, exc_info=not expected)
            return Turn(tenant, None, told)
        _log.info("Backup completed for tenant %s: %s", tenant.id, name)
        return Turn(tenant, name, None)

    @contextlib.contextmanager
    def _held(self, worker: uuid.UUID) -> Iterator[None]:
        over = threading.Event()

        def renew() -> None:
            while not over.wait(LEASE_SECONDS / 4):
                with contextlib.suppress(Exception), self._tenancy.catalog(_ACTION) as connection:
                    schedules.renew(connection, [worker])

        thread = threading.Thread(target=renew, name="tenantry-turn", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def _tenant(self, key: TenantKey | None) -> uuid.UUID:
        return EVERY_TENANT if key is None else self._tenancy.tenants.get(key).id


def plan_of(schedule: Schedule) -> Plan:
    """Returns the plan that a schedule was set with."""
    keep = schedule.options.get("keep")
    return Plan(
        every=timedelta(seconds=schedule.every),
        jitter=timedelta(seconds=schedule.jitter),
        keep=Keep.from_json(keep) if keep else None,
        verify=bool(schedule.options.get("verify")),
    )


def next_turn(schedule: Schedule, at: datetime) -> datetime:
    """Returns when the first turn after *at* is due: a whole number of intervals from the first, and the jitter.

    What was missed meanwhile is not made up for.
    """
    plan = plan_of(schedule)
    whole = (at - schedule.anchor) // plan.every + 1
    return schedule.anchor + whole * plan.every + random.uniform(0, 1) * plan.jitter  # noqa: S311  # no secret


def next_attempt(schedule: Schedule, at: datetime) -> datetime:
    """Returns when a turn that failed is tried again: later each time, and with the next one at the latest."""
    return min(next_turn(schedule, at), at + _FIRST_RETRY * 2.0 ** min(schedule.failures, 20))


def _known(schedule: Schedule | None) -> Schedule:
    assert schedule is not None  # noqa: S101  # it was written in this transaction
    return schedule
