"""The repositories of what holds work back: vendors and how they stand, and kill switches."""

from __future__ import annotations

import builtins
import uuid
from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import case, select, update

from tenantry.limits import Circuit, CircuitState, KillSwitches
from tenantry.models.columns import utc_now
from tenantry.packs.incidents.behaviours import behaviours_of
from tenantry.packs.incidents.models import KillSwitch, Vendor, switch_name
from tenantry.packs.incidents.rows import Rows, bound

# What is said of a switch that is thrown; other values are those of a row.
_THROWING: Final = frozenset(["activated_by", "reason", "seconds", "workflow_id"])


class VendorRows(Rows[Vendor]):
    """The platform's vendors, over a session of ``tenancy.platform()``."""

    def get_by_name(self, name: str) -> Vendor | None:
        """Returns the vendor of this name, or None."""
        return self.first(select(Vendor).where(Vendor.name == name))

    def get_active(self) -> builtins.list[Vendor]:
        """Returns the vendors that may be called, by name."""
        return self.all(select(Vendor).where(Vendor.is_active).order_by(Vendor.name))

    def keep_in_step(self, name: str, circuit: Circuit, *, failed: bool) -> None:
        """Notes how a call went and how the caller's breaker stands now, in one statement, so that none is lost."""
        now, opened = utc_now(), circuit.state is CircuitState.OPEN
        newly = case((Vendor.circuit_breaker_state != CircuitState.OPEN, now), else_=Vendor.circuit_breaker_opened_at)
        told: dict[str, Any] = {
            "circuit_breaker_state": circuit.state,
            "circuit_breaker_failure_count": Vendor.circuit_breaker_failure_count + 1 if failed else 0,
            "last_failure_at" if failed else "last_success_at": now,
            "circuit_breaker_opened_at": newly if opened else Vendor.circuit_breaker_opened_at,
        }
        self.session.execute(update(Vendor).where(Vendor.name == name).values(told))


class KillSwitchRows(Rows[KillSwitch]):
    """The tenant's kill switches: ``limits.KillSwitches`` decides, these are its rows."""

    def create(self, given: KillSwitch | Mapping[str, Any] | None = None, /, **values: Any) -> KillSwitch:
        """Returns the switch of a workflow or of the whole tenant, thrown: ``workflow_id``, ``reason``, who.

        Raises: ConfigurationError without a reason, UnknownField.
        """
        if isinstance(given, KillSwitch):
            return super().create(given, **values)
        told = {**(given or {}), **values}
        self.name_tenant(told.pop("tenant_id", None))
        active = told.pop("is_active", True)
        if active and _THROWING.issuperset(told):
            return self.activate(**told)
        return super().create(told, is_active=active)

    def activate(
        self,
        *,
        reason: str,
        workflow_id: uuid.UUID | None = None,
        activated_by: str | None = None,
        seconds: float | None = None,
    ) -> KillSwitch:
        """Stops a workflow, or the whole tenant, from the commit on, for so many seconds or until it is released.

        Raises: ConfigurationError without a reason.
        """
        if workflow_id is not None:
            self.session.flush()
        named = _named(workflow_id)
        self._switches().activate(bound(self.session), reason=reason, workflow=named, by=activated_by, seconds=seconds)
        return self._row(workflow_id)

    def deactivate(
        self, *, workflow_id: uuid.UUID | None = None, reason: str | None = None, deactivated_by: str | None = None
    ) -> bool:
        """Releases a workflow, or the whole tenant, and says whether it was stopped."""
        named, session = _named(workflow_id), bound(self.session)
        released = self._switches().deactivate(session, workflow=named, reason=reason, by=deactivated_by)
        if released:
            self._row(workflow_id)
        return released

    def is_active(self, tenant_id: uuid.UUID | None = None, workflow_id: uuid.UUID | None = None) -> bool:
        """Returns whether the workflow is stopped, by its own switch or the tenant's; without one, the tenant.

        Raises: CrossTenant for another tenant's id.
        """
        self.name_tenant(tenant_id)
        return self._switches().is_active(bound(self.session), workflow=_named(workflow_id))

    def get_active(self, tenant_id: uuid.UUID | None = None) -> builtins.list[KillSwitch]:
        """Returns the switches that stop something now, the whole tenant's first.

        Raises: CrossTenant for another tenant's id.
        """
        self.name_tenant(tenant_id)
        names = [switch.workflow or "" for switch in self._switches().active(bound(self.session))]
        return self.all(select(KillSwitch).where(KillSwitch.workflow.in_(names)).order_by(KillSwitch.workflow))

    def _switches(self) -> KillSwitches:
        return behaviours_of(bound(self.session).info["tenancy"]).switches

    def _row(self, workflow_id: uuid.UUID | None) -> KillSwitch:
        mine = select(KillSwitch).where(KillSwitch.workflow == switch_name(workflow_id))
        return self.session.execute(mine, execution_options={"populate_existing": True}).scalar_one()


def _named(workflow_id: uuid.UUID | None) -> str | None:
    return None if workflow_id is None else switch_name(workflow_id)
