"""Tenants' keys and lives."""

from __future__ import annotations

import uuid

from tenantry.errors.base import TenantryError


class InvalidKey(TenantryError, ValueError):
    """The tenant key is not usable: {reason} Pass a UUID, a slug, a Tenant, or a (kind, value) pair."""


class InvalidSlug(InvalidKey):
    """The slug is not usable: {reason} Use 1 to 63 of a-z, 0-9 and '-', starting and ending with a letter or digit."""


class TenantRequired(TenantryError):
    """No tenant is bound, so no statement was sent. Open a session with tenancy.session(key)."""


class TenantNotFound(TenantryError, LookupError):
    """No tenant has the key {key!r}. Create it with tenancy.tenants.create(...), or check the key."""


class TenantExists(TenantryError):
    """A tenant with the slug {slug!r} exists already, or gave it up less than Config.route_ttl seconds ago. Use
    tenancy.tenants.get({slug!r}), wait, or choose another slug."""


class IdentityTaken(TenantryError):
    """The {kind} identity {value!r} finds another tenant, or did less than Config.route_ttl seconds ago. Identities are
    unique per kind; choose another, or wait."""


class TenantUnavailable(TenantryError):
    """Tenant {tenant} is {status}, so it gets no sessions. {next_step}"""

    tenant: uuid.UUID


class TenantSuspended(TenantUnavailable):
    """Tenant {tenant} is suspended, so it gets no sessions. Resume it with tenancy.tenants.resume(key)."""


class LifecycleError(TenantryError):
    """Tenant {tenant} is {status} and cannot become {wanted}. Allowed from here: {allowed}."""


class TenantLimitReached(TenantryError):
    """The ceiling of {limit} tenants is reached, so none was created. Raise max_tenants (MAX_TENANTS) or erase one."""


class TenantCreationDisabled(TenantryError):
    """Creating tenants is switched off here, so none was created. Set allow_tenant_creation (ALLOW_TENANT_CREATION)."""


class CreationInProgress(TenantryError):
    """Another process is creating the tenant {slug!r} right now.
    Call create() again in a moment:
    it then finishes or finds it."""


class EraseNotConfirmed(TenantryError):
    """Nothing was erased: confirm= must repeat the slug {slug!r} of the tenant to erase."""


class SurprisingErase(TenantryError):
    """Erasing tenant {tenant} met something it did not expect: {reason} Nothing was removed.
    Look at it, then erase again, or with force=True if it may go too."""
