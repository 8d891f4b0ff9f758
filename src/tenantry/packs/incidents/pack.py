"""Incidents of one tenancy: the flow, vendors, kill switches and the audit; each method here is a unit of work."""

from __future__ import annotations

import functools
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Concatenate, Final, ParamSpec, TypeVar

from tenantry.packs.incidents.behaviours import behaviours_of
from tenantry.packs.incidents.flow import Detects, Flow
from tenantry.packs.incidents.models import Action
from tenantry.packs.incidents.rows_control import VendorRows
from tenantry.packs.incidents.signatures import is_failure
from tenantry.packs.incidents.vendors import Vendors
from tenantry.session.core import TenantSession
from tenantry.tenancy import Tenancy
from tenantry.types import TenantKey

if TYPE_CHECKING:
    from tenantry.packs.incidents.pack_aio import AsyncIncidents

P = ParamSpec("P")
R = TypeVar("R")

# What actions call, unless ``prepare`` is given others.
VENDORS: Final[Sequence[Mapping[str, Any]]] = (
    {"name": "language-model", "rate_limit_per_minute": 60},
    {"name": "notifications", "rate_limit_per_minute": 120},
    {"name": "payments", "rate_limit_per_minute": 30, "failure_threshold": 3},
)


def in_one_commit(
    method: Callable[Concatenate[Flow, TenantSession, P], R],
) -> Callable[Concatenate[Incidents, TenantKey, P], R]:
    """Returns a step of the flow as a unit of work of its own, for a tenant's key."""

    @functools.wraps(method)
    def run(self: Incidents, key: TenantKey, /, *args: P.args, **kwargs: P.kwargs) -> R:
        with self.tenancy.transaction(key) as session:
            return method(self.flow, session, *args, **kwargs)

    return run


class Incidents:
    """Incidents of a tenancy; make it right after the ``Tenancy``.

    *detects* says, by an event's type and payload, whether it tells of a failure.
    """

    def __init__(self, tenancy: Tenancy, *, detects: Detects = is_failure) -> None:
        behaviours = behaviours_of(tenancy)
        self.tenancy = tenancy
        self.audit = behaviours.audit
        self.flow = Flow(behaviours, detects=detects)
        self.switches = behaviours.switches
        self.vendors = Vendors(behaviours)

    def __repr__(self) -> str:
        return f"<Incidents of {self.tenancy!r}>"

    @functools.cached_property
    def aio(self) -> AsyncIncidents:
        """The same, awaited.

        Raises: ExtraMissing without greenlet.
        """
        from tenantry.packs.incidents.pack_aio import AsyncIncidents  # noqa: PLC0415  # needs greenlet

        return AsyncIncidents(self)

    def prepare(self, vendors: Sequence[Mapping[str, Any]] = VENDORS) -> int:
        """Adds the vendors that there are not yet, and returns how many those were.

        Raises: LoginRequired without the platform's login.
        """
        with self.tenancy.platform() as session:
            rows = VendorRows(session)
            missing = [vendor for vendor in vendors if rows.get_by_name(vendor["name"]) is None]
            rows.bulk_create(missing)
            session.commit()
        return len(missing)

    def perform(
        self, key: TenantKey, action_id: uuid.UUID, call: Callable[[Action], Mapping[str, Any]], *, vendor: str
    ) -> Action:
        """Starts an action, makes its *call* of a vendor while no session is open, and ends it by what comes of that.

        Raises: as ``start``, and as ``Vendors.call``; what the call raises ends the action badly, and is raised.
        """
        action = self.start(key, action_id)
        try:
            with self.vendors.call(key, vendor):
                result = call(action)
        except Exception as error:
            self.fail(key, action_id, error=described(error))
            raise
        return self.succeed(key, action_id, result=result)

    analyse = in_one_commit(Flow.analyse)
    decide = in_one_commit(Flow.decide)
    fail = in_one_commit(Flow.fail)
    ignore = in_one_commit(Flow.ignore)
    ingest = in_one_commit(Flow.ingest)
    plan = in_one_commit(Flow.plan)
    resolve = in_one_commit(Flow.resolve)
    start = in_one_commit(Flow.start)
    succeed = in_one_commit(Flow.succeed)


Calls = Callable[[Action], Awaitable[Mapping[str, Any]]]


def described(error: Exception) -> str:
    """Returns what an action that failed says of why."""
    return f"{type(error).__name__}: {error}"[:2000]
