"""The steps a tenant may take in its life: provisioning, active and suspended in turn, erasing, erased."""

from __future__ import annotations

import uuid
from typing import Final

from tenantry.errors import LifecycleError
from tenantry.types import TenantStatus

_ALLOWED: Final = {
    TenantStatus.PROVISIONING: {TenantStatus.ACTIVE, TenantStatus.ERASING},
    TenantStatus.ACTIVE: {TenantStatus.SUSPENDED, TenantStatus.ERASING},
    TenantStatus.SUSPENDED: {TenantStatus.ACTIVE, TenantStatus.ERASING},
    TenantStatus.ERASING: {TenantStatus.ERASED},
    TenantStatus.ERASED: set[TenantStatus](),
}


def check_step(tenant: uuid.UUID, status: TenantStatus, wanted: TenantStatus) -> None:
    """Lets a legal step pass.

    Raises: LifecycleError for any other, naming what is allowed.
    """
    if wanted not in _ALLOWED[status]:
        allowed = ", ".join(sorted(_ALLOWED[status])) or "nothing"
        raise LifecycleError(tenant=tenant, status=status, wanted=wanted, allowed=allowed)


def before(wanted: TenantStatus) -> tuple[TenantStatus, ...]:
    """Returns the states from which *wanted* may be reached."""
    return tuple(status for status, allowed in _ALLOWED.items() if wanted in allowed)
