"""Whose request it is, for routes that open the helpdesk's doors."""

from __future__ import annotations

from dataclasses import dataclass

from tenantry.errors import ExtraMissing
from tenantry.packs.helpdesk.aio import AsyncCompanyRepository
from tenantry.packs.helpdesk.seed_units import calls
from tenantry.types import Tenant

try:
    from starlette.requests import HTTPConnection
except ImportError as error:
    raise ExtraMissing(module="tenantry.packs.helpdesk's get_tenant_context", extra="web") from error

from tenantry.web import get_tenant_context as bound


@dataclass(frozen=True, slots=True)
class HelpdeskContext:
    """Whose request it is: ``tenant_id`` finds the company in every door of the helpdesk, ``platform`` is its own."""

    tenant_id: str
    platform: str | None
    tenant: Tenant


async def get_tenant_context(connection: HTTPConnection) -> HelpdeskContext:
    """Returns whose request it is; a dependency for routes.

    Raises: TenantRequired for a request without a tenant; ConfigurationError for one that passed no middleware.
    """
    tenant = (await bound(connection)).tenant
    company = await AsyncCompanyRepository(calls(tenant.id)).get_own()
    return HelpdeskContext(str(tenant.id), None if company is None else company.platform, tenant)
