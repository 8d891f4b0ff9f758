"""The meetings: workspaces, their CRMs, and what is made of their meetings."""

from __future__ import annotations

from tenantry.errors.base import TenantryError


class CRMConnectionMissing(TenantryError, LookupError):
    """This workspace has no CRM connection that works. Add one, or choose the default among those there are."""


class InvalidDomain(TenantryError, ValueError):
    """{value!r} holds no domain of e-mail addresses. Give an address such as ann@example.com, or its domain."""


class NoteFailed(TenantryError):
    """{provider} took no note: {error}. The credentials are left out of it. Mend it, and deliver the event again."""


class SubscriptionInactive(TenantryError):
    """The subscription of this workspace is {status}, so no meeting is processed. Set it to active first."""
