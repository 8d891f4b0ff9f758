"""The asynchronous door of vendors: the same methods, awaited."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from tenantry.access.core import looking
from tenantry.limits import Circuit
from tenantry.packs.incidents.models import Vendor
from tenantry.packs.incidents.rows_control import VendorRows
from tenantry.packs.incidents.vendors import Vendors, limit_of, policy_of, resource_of, told_of, usable
from tenantry.types import TenantKey


class AsyncVendors:
    """The awaited face of ``Vendors``; make it through ``vendors.aio``."""

    def __init__(self, behind: Vendors) -> None:
        self._behaviours = behind.behaviours
        self._tenancy = behind.tenancy.aio
        self._behind = behind

    def __repr__(self) -> str:
        return f"{self._behind!r}.aio"

    @contextlib.asynccontextmanager
    async def call(self, key: TenantKey, name: str) -> AsyncIterator[Vendor]:
        """Wraps one call of a vendor, for an ``async with`` block outside of any session, and reports what becomes.

        Raises: as ``Vendors.call``.
        """
        async with self._tenancy.platform() as session:
            vendor = await session.run_sync(lambda db: looking(db, lambda platform: usable(VendorRows(platform), name)))
        await self._behaviours.rates.aio.consume_or_raise(key, resource_of(vendor), limit=limit_of(vendor))
        breakers, let_in = self._behaviours.breakers(policy_of(vendor)), False
        try:
            async with breakers(key, name):
                let_in = True
                yield vendor
        except Exception:
            if let_in:
                await self._keep_in_step(name, await breakers.aio.state(key, name), failed=True)
            raise
        await self._keep_in_step(name, await breakers.aio.state(key, name), failed=False)

    async def standing(self, key: TenantKey, name: str) -> dict[str, Any]:
        """Returns how a vendor stands for a tenant.

        Raises: as ``Vendors.standing``.
        """
        vendor = await self._look(name)
        return told_of(vendor, await self._behaviours.breakers(policy_of(vendor)).aio.state(key, name))

    async def _look(self, name: str) -> Vendor:
        async with self._tenancy.platform() as session:
            return await session.run_sync(lambda db: looking(db, lambda found: usable(VendorRows(found), name)))

    async def _keep_in_step(self, name: str, circuit: Circuit, *, failed: bool) -> None:
        async with self._tenancy.platform() as session:
            await session.run_sync(lambda db: VendorRows(db).keep_in_step(name, circuit, failed=failed))
            await session.commit()
