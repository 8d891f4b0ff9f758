"""Objects stored by the models or by the legacy store, as the caller or USE_ORM says."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from tenantry.errors import TenantRequired
from tenantry.packs.helpdesk.aio import AsyncCompanyRepository
from tenantry.packs.helpdesk.legacy import LegacyObject, LegacyStore
from tenantry.packs.helpdesk.migration_layer import writes_orm
from tenantry.packs.helpdesk.models_knowledge import IntegratedObject
from tenantry.packs.helpdesk.seed_config import HelpdeskSettings
from tenantry.packs.helpdesk.seed_doors import found
from tenantry.packs.helpdesk.seed_units import CompanyObjects, calls
from tenantry.web.context import request_context


async def store_integrated_object_with_migration(
    data: Mapping[str, Any], use_legacy: bool | None = None
) -> IntegratedObject | LegacyObject:
    """Returns the object of these data, stored by the models or by the legacy store; without a word by USE_ORM.

    Its ``tenant_id`` and ``platform`` say whose it is, or the request does; both must agree.

    Raises: TenantRequired, TenantsDisagree, TenantNotFound, UnknownField, CrossTenant.
    """
    settings = HelpdeskSettings.from_env()
    if writes_orm(use_orm=settings.use_orm, use_legacy=use_legacy):
        return await CompanyObjects(calls()).store(data)
    store = await _legacy_store(data, settings)
    return await asyncio.to_thread(store.store, data)


async def store_with_migration_support(
    data: Mapping[str, Any], use_orm: bool = True
) -> IntegratedObject | LegacyObject:
    """Returns the object of these data, stored by the models, or by the legacy store.

    Raises: as ``store_integrated_object_with_migration``.
    """
    return await store_integrated_object_with_migration(data, use_legacy=not use_orm)


async def _legacy_store(data: Mapping[str, Any], settings: HelpdeskSettings) -> LegacyStore:
    """Returns the store of the company that the data name, or of the request's.

    Raises: TenantRequired, TenantsDisagree.
    """
    name, platform = data.get("tenant_id"), data.get("platform")
    context = request_context()
    if context is not None and context.found is not None:
        company = await AsyncCompanyRepository(calls(context.found.id)).get_own()
        if name and platform:
            await asyncio.to_thread(found, name, platform)
        elif company is not None:
            name, platform = company.name, company.platform
    if not name or not platform:
        raise TenantRequired
    return LegacyStore.of(settings.sqlite_data_dir, str(name), str(platform))
