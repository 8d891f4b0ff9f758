"""Who asks and for which tenant: carried by the request itself, and, for doors that name no tenant, by its task."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final

from tenantry.errors import ConfigurationError, TenantRequired
from tenantry.types import Tenant

# In an ASGI scope and a WSGI environ; no header can get there.
CARRIER: Final = "tenantry.context"


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantContext:
    """Who asks, and for which tenant; made at a request's entry and never changed.

    ``claims`` are what the token said. ``found`` is the tenant or None; ``tenant`` is for who needs one. A *closed*
    request is to have none, whatever else it names: a token that is needed is missing, or is of no tenant.
    """

    correlation_id: str
    found: Tenant | None = None
    claims: Any = None
    closed: bool = False

    @property
    def tenant(self) -> Tenant:
        """The tenant.

        Raises: TenantRequired where the request has none.
        """
        if self.found is None:
            raise TenantRequired
        return self.found

    @property
    def actor(self) -> str | None:
        """Who asks, as the token says, or None."""
        return getattr(self.claims, "subject", None)

    @property
    def impersonator(self) -> str | None:
        """Who asks in the actor's name, or None."""
        return getattr(self.claims, "impersonator", None)

    def facts(self) -> dict[str, Any]:
        """Returns what is known of the asker, for a session of this request: the audit and permissions read it."""
        said = {"actor": self.actor, "impersonator": self.impersonator, "claims": self.claims}
        known = {name: value for name, value in said.items() if value is not None}
        return {**known, "correlation_id": self.correlation_id}


_current: ContextVar[TenantContext | None] = ContextVar("tenantry_request", default=None)


def context_of(carrier: Mapping[str, Any]) -> TenantContext:
    """Returns the context of a request from its ASGI scope or WSGI environ; it may be one without a tenant.

    Raises: ConfigurationError for a request that did not pass the middleware.
    """
    found = carrier.get(CARRIER)
    if not isinstance(found, TenantContext):
        raise ConfigurationError(
            what="The request did not pass through the tenancy's middleware.",
            fix="Call app.add_middleware(TenancyMiddleware, tenancy=tenancy, resolvers=[...]).",
        )
    return found


def request_context() -> TenantContext | None:
    """Returns the context of the request that this task or thread serves, or None; for doors that name no tenant."""
    return _current.get()


def carry(context: TenantContext | None) -> None:
    """Makes *context* the one of this task or thread, whatever a request before it has left there."""
    _current.set(context)
