"""Calls of vendors: held to each tenant's rate and breaker, by what the platform says of the vendor."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from tenantry.access.core import looking
from tenantry.errors import RecordNotFound, VendorInactive
from tenantry.limits import Circuit, Limit, Policy
from tenantry.packs.incidents.behaviours import Behaviours
from tenantry.packs.incidents.models import Vendor
from tenantry.packs.incidents.rows_control import VendorRows
from tenantry.types import TenantKey

if TYPE_CHECKING:
    from tenantry.packs.incidents.vendors_aio import AsyncVendors


class Vendors:
    """Lets a tenant call a vendor, so often a minute, while the tenant's own breaker lets calls through.

    One tenant's failures hold no other tenant's calls back. The vendor's row says how its last call went, whose ever
    that was; it takes the platform's login.
    """

    def __init__(self, behaviours: Behaviours) -> None:
        self.behaviours = behaviours
        self.tenancy = behaviours.tenancy

    def __repr__(self) -> str:
        return f"<Vendors of {self.tenancy!r}>"

    @functools.cached_property
    def aio(self) -> AsyncVendors:
        """The same, awaited.

        Raises: ExtraMissing without greenlet.
        """
        from tenantry.packs.incidents.vendors_aio import AsyncVendors  # noqa: PLC0415  # needs greenlet

        return AsyncVendors(self)

    @contextlib.contextmanager
    def call(self, key: TenantKey, name: str) -> Iterator[Vendor]:
        """Wraps one call of a vendor, for a ``with`` block outside of any session, and reports what becomes of it.

        Raises: on entering, RateLimited, CircuitOpen, VendorInactive, RecordNotFound, LoginRequired.
        """
        with self.tenancy.platform() as session:
            vendor = looking(session, lambda platform: usable(VendorRows(platform), name))
        self.behaviours.rates.consume_or_raise(key, resource_of(vendor), limit=limit_of(vendor))
        breakers, let_in = self.behaviours.breakers(policy_of(vendor)), False
        try:
            with breakers(key, name):
                let_in = True
                yield vendor
        except Exception:
            if let_in:
                self._keep_in_step(name, breakers.state(key, name), failed=True)
            raise
        self._keep_in_step(name, breakers.state(key, name), failed=False)

    def standing(self, key: TenantKey, name: str) -> dict[str, Any]:
        """Returns how a vendor stands for a tenant: its breaker's state, and how often it may be called.

        Raises: RecordNotFound, VendorInactive, LoginRequired.
        """
        with self.tenancy.platform() as session:
            vendor = looking(session, lambda platform: usable(VendorRows(platform), name))
        return told_of(vendor, self.behaviours.breakers(policy_of(vendor)).state(key, name))

    def _keep_in_step(self, name: str, circuit: Circuit, *, failed: bool) -> None:
        with self.tenancy.platform() as session:
            VendorRows(session).keep_in_step(name, circuit, failed=failed)
            session.commit()


def usable(rows: VendorRows, name: str) -> Vendor:
    """Returns the vendor of this name.

    Raises: RecordNotFound, VendorInactive.
    """
    found = rows.get_by_name(name)
    if found is None:
        raise RecordNotFound(model="Vendor")
    if not found.is_active:
        raise VendorInactive(name=name)
    return found


def policy_of(vendor: Vendor) -> Policy:
    """Returns when a breaker of calls to the vendor opens and closes."""
    return Policy(
        failures=vendor.failure_threshold, cool_down=vendor.recovery_timeout_s, probes=vendor.half_open_max_calls
    )


def limit_of(vendor: Vendor) -> Limit:
    """Returns how often a tenant may call the vendor."""
    return Limit(vendor.rate_limit_per_minute, per="minute")


def resource_of(vendor: Vendor) -> str:
    """Returns what calls of the vendor are counted as."""
    return f"vendor:{vendor.id}"


def told_of(vendor: Vendor, circuit: Circuit) -> dict[str, Any]:
    """Returns what a tenant is told of a vendor: nothing of other tenants' calls."""
    own = {"state": circuit.state, "failures": circuit.failures, "retry_after": circuit.retry_after}
    return {"name": vendor.name, "rate_limit_per_minute": vendor.rate_limit_per_minute, **own}
