"""Tenantry keeps the data of many customers apart in PostgreSQL and SQLite, for programs on SQLAlchemy 2."""

from typing import TYPE_CHECKING, Any

from tenantry import errors
from tenantry.session.core import TenantSession
from tenantry.settings import Config
from tenantry.tenancy import Tenancy
from tenantry.types import Isolation, Outcomes, Tenant, TenantStatus

if TYPE_CHECKING:
    from tenantry.session.aio import AsyncTenantSession

__all__ = [
    "AsyncTenantSession",
    "Config",
    "Isolation",
    "Outcomes",
    "Tenancy",
    "Tenant",
    "TenantSession",
    "TenantStatus",
    "errors",
]


def __getattr__(name: str) -> Any:
    if name != "AsyncTenantSession":
        raise AttributeError(f"module 'tenantry' has no attribute {name!r}")
    # Needs greenlet, which not every installation has.
    from tenantry.session.aio import AsyncTenantSession  # noqa: PLC0415

    return AsyncTenantSession
