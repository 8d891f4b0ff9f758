"""Tenantry keeps the data of many customers apart in PostgreSQL and SQLite, for programs on SQLAlchemy 2."""

import importlib
from typing import TYPE_CHECKING, Any

from tenantry import errors
from tenantry.types import Isolation, Outcomes, Tenant, TenantStatus

if TYPE_CHECKING:
    from tenantry.session.aio import AsyncTenantSession
    from tenantry.session.core import TenantSession
    from tenantry.settings import Config
    from tenantry.tenancy import Tenancy

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

# Imported when first asked for: `tenantry --help` needs no SQLAlchemy, and not every installation has greenlet.
_HOMES = {
    "AsyncTenantSession": "tenantry.session.aio",
    "Config": "tenantry.settings",
    "Tenancy": "tenantry.tenancy",
    "TenantSession": "tenantry.session.core",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'tenantry' has no attribute {name!r}")
    found = globals()[name] = getattr(importlib.import_module(_HOMES[name]), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
