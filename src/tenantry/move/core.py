"""The moves of one installation: begun, taken up after a crash, taken back, brought to their end."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, Final

from tenantry.catalog import operations
from tenantry.catalog.operations import DONE, ENDED, MOVE, RESTING, UNDONE, Course, Operation, on_course
from tenantry.errors import MoveRefused, MoveUnknown
from tenantry.events import watched
from tenantry.move.carrying import Carriage, Pace, has_departed
from tenantry.move.planning import plan_move, refusals_of_return
from tenantry.move.stages import STEPS, Place, Plan, Status, Step, Trip, Way, place_from
from tenantry.tenancy import Tenancy
from tenantry.types import Finding, Isolation, Tenant, TenantKey

_ACTION: Final = "Moving a tenant"
_ENDS: Final = {Way.OUT: RESTING, Way.BACK: UNDONE, Way.UNDO: UNDONE, Way.END: DONE}


class Move:
    """Carries tenants of a tenancy from one placement to another, while they are used.

    A move ends with the old place kept, until ``finalize``; up to then ``rollback`` brings the tenant back to it with
    everything that was written since. Whatever is killed on the way goes on with ``resume``.
    """

    def __init__(self, tenancy: Tenancy) -> None:
        self._tenancy = tenancy

    def __repr__(self) -> str:
        return f"Move({self._tenancy!r})"

    def plan(self, key: TenantKey, *, isolation: Isolation | str | None = None, server: str | None = None) -> Plan:
        """Returns what a move would carry and what stands in its way; nothing is changed.

        Raises: TenantNotFound, ServerUnknown, IsolationUnavailable, LoginRequired.
        """
        tenant = self._tenancy.tenants.get(key)
        return plan_move(self._tenancy, tenant, self._target(tenant, isolation, server))

    @watched("move.start")
    def start(
        self,
        key: TenantKey,
        *,
        isolation: Isolation | str | None = None,
        server: str | None = None,
        rate: float | None = None,
        patience: float | None = None,
    ) -> Status:
        """Moves a tenant and returns when it lives in its new place, with the old one kept.

        Args:
            rate: how many bytes a second are copied at most, before the fence.
            patience: for how many seconds the fence is tried to be put up, and writers may be held by it.

        Raises: MoveRefused for whatever stands in the way, before anything is changed; FenceBusy, RowRefused,
            CopyDiffers and the database's errors: the tenant is where it was, and the move may be resumed or rolled
            back.
        """
        plan = self.plan(key, isolation=isolation, server=server)
        _refuse(plan.tenant, plan.refusals)
        ends = {"source": plan.source.to_json(), "target": plan.target.to_json()}
        # Common tables that it has left before stay shut to it when this move is undone.
        buried = plan.target.isolation is Isolation.ROWS and has_departed(self._tenancy, plan.target.of(plan.tenant))
        detail = {**ends, "way": Way.OUT, "buried": buried}
        with self._tenancy.catalog(_ACTION) as connection:
            begun = operations.begin(connection, MOVE, plan.tenant.id, step=Step.PREPARE, detail=detail)
        return self._go(begun, [Way.OUT], Pace.of(rate, patience))

    @watched("move.resume")
    def resume(self, key: TenantKey, *, rate: float | None = None, patience: float | None = None) -> Status:
        """Goes on with a move that stopped, the way it was heading, and returns how it stands then.

        Raises: MoveUnknown without one, OperationInProgress while its process lives, and as ``start``.
        """
        operation = self._open(key)
        if operation.state == RESTING:
            return self._status(operation)
        return self._go(self._taken(operation), [Way(operation.detail["way"])], Pace.of(rate, patience))

    @watched("move.rollback")
    def rollback(self, key: TenantKey, *, rate: float | None = None, patience: float | None = None) -> Status:
        """Brings a tenant back to where its move began, with every row as it is now.

        Before the switch the new place goes. After it the tenant moves backwards by the same steps: what was written
        in the new place is carried to the old one. After ``finalize`` there is no way back but another move.

        Raises: MoveUnknown, MoveRefused while it is being finalized or where it cannot come back, and as ``start``.
        """
        operation = self._open(key)
        ways = self._ways_back(operation)
        return self._go(self._taken(operation), ways, Pace.of(rate, patience))

    @watched("move.finalize")
    def finalize(self, key: TenantKey, *, force: bool = False) -> Status:
        """Empties the place that a tenant has left, for good; *force* takes along what stands there and is not ours.

        Raises: MoveUnknown, MoveRefused for a move that has not come to its new place, OperationInProgress,
            SurprisingErase.
        """
        operation = self._open(key)
        if operation.step not in (Step.KEEP, Step.DROP) or operation.detail["way"] == Way.BACK:
            reason = f"its move stopped at step {operation.step}. Resume it, or roll it back, first."
            raise MoveRefused(tenant=operation.tenant, reason=reason)
        return self._go(self._taken(operation), [Way.END], Pace(), force=force)

    def status(self, key: TenantKey | None = None, *, ended: bool = False) -> list[Status]:
        """Returns the moves that have not ended, the newest first: of one tenant, or all; *ended* adds a tenant's past.

        Raises: TenantNotFound, LoginRequired.
        """
        tenant = None if key is None else self._tenancy.tenants.get(key)
        with self._tenancy.catalog(_ACTION) as connection:
            if tenant is None:
                found = operations.unfinished(connection, MOVE)
            else:
                found = operations.of_tenant(connection, tenant.id, MOVE)
        return [self._status(each) for each in found if ended or each.state not in ENDED]

    def _target(self, tenant: Tenant, isolation: Isolation | str | None, server: str | None) -> Place:
        name = server or tenant.server
        chosen = Isolation(isolation) if isolation else tenant.isolation
        physical = self._tenancy.servers.strategy(name, chosen).place(tenant.id)
        return Place(name, chosen, physical, tenant.epoch + 1)

    def _open(self, key: TenantKey) -> Operation:
        tenant = self._tenancy.tenants.get(key)
        with self._tenancy.catalog(_ACTION) as connection:
            found = operations.of_tenant(connection, tenant.id, MOVE)
        for operation in found:
            if operation.state not in ENDED:
                return operation
        raise MoveUnknown(tenant=tenant.id)

    def _taken(self, operation: Operation) -> Operation:
        with self._tenancy.catalog(_ACTION) as connection:
            return operations.take(connection, operation.id)

    def _ways_back(self, operation: Operation) -> list[Way]:
        way = Way(operation.detail["way"])
        if way is Way.END:
            reason = "it is being finalized. Finish that with `tenantry tenants finalize`."
            raise MoveRefused(tenant=operation.tenant, reason=reason)
        if way is not Way.OUT:
            return [way]
        source, target = self._ends(operation)
        if operation.state == RESTING:
            _refuse(target, refusals_of_return(self._tenancy, target, source))
            return [Way.BACK]
        passed = operation.step in (Step.OPEN, Step.SWITCH, Step.KEEP)
        # What has left its old place comes to the new one first: only there is everything that was written.
        return [Way.OUT, Way.BACK] if passed or has_departed(self._tenancy, source) else [Way.UNDO]

    def _go(self, operation: Operation, ways: Sequence[Way], pace: Pace, *, force: bool = False) -> Status:
        tenant = self._tenancy.tenants.get(operation.tenant)
        with on_course(self._tenancy.catalog, operation) as course:
            for way in ways:
                self._follow(course, tenant, way, pace=pace, force=force)
            course.end(_ENDS[ways[-1]], error="")
        with self._tenancy.catalog(_ACTION) as connection:
            ended = operations.get(connection, operation.id)
        return self._status(ended)

    def _follow(self, course: Course, tenant: Tenant, way: Way, *, pace: Pace, force: bool) -> None:
        facts = _turned(course, way)
        steps = STEPS[way]
        reached = 0 if facts or course.reached not in steps else steps.index(Step(course.reached))
        ends = course.detail | facts
        source, target = (place_from(ends[end]).of(tenant) for end in ("source", "target"))
        carriage = Carriage(
            self._tenancy, course, Trip(source, target, returns=way is Way.BACK), pace=pace, force=force
        )
        for step in steps[reached:]:
            course.step(step, **facts)
            carriage.do(step)
            facts = {}

    def _ends(self, operation: Operation) -> tuple[Tenant, Tenant]:
        tenant = self._tenancy.tenants.get(operation.tenant)
        source, target = (place_from(operation.detail[end]).of(tenant) for end in ("source", "target"))
        return source, target

    def _status(self, operation: Operation) -> Status:
        detail = operation.detail
        return Status(
            id=operation.id,
            tenant=operation.tenant,
            slug=self._tenancy.tenants.get(operation.tenant).slug,
            source=place_from(detail["source"]),
            target=place_from(detail["target"]),
            way=Way(detail["way"]),
            step=operation.step,
            state=operation.state,
            abandoned=operation.abandoned,
            held=detail.get("held"),
            rows=detail.get("rows", {}),
            error=detail.get("error", ""),
        )


def _turned(course: Course, way: Way) -> dict[str, Any]:
    """Returns what the journal has to say of a move that takes another way from here, and nothing where it does not."""
    if course.detail["way"] == way:
        return {}
    if way is not Way.BACK:
        return {"way": way}
    here, there = place_from(course.detail["target"]), place_from(course.detail["source"])
    back = dataclasses.replace(there, epoch=here.epoch + 1)
    return {"way": way, "source": here.to_json(), "target": back.to_json()}


def _refuse(tenant: Tenant, refusals: Sequence[Finding]) -> None:
    if refusals:
        reason = " ".join(f"{each.object}: {each.message} {each.fix}" for each in refusals)
        raise MoveRefused(tenant=tenant.id, reason=reason)
