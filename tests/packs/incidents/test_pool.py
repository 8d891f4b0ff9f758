"""Connections run out with a sentence that says so, and a session that ends gives its own back."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy import select

from tenantry import Tenancy
from tenantry.errors import PoolExhausted
from tenantry.packs.incidents import Event, door, get_session, incidents_tenancy


@pytest.mark.ledger("S4-046", "S4-008", "S4-006")
def test_what_is_open_too_long_is_missed_by_the_next(fresh_database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TENANTRY_URL", fresh_database.replace("postgresql:", "postgresql+asyncpg:"))
    monkeypatch.setenv("DATABASE_POOL_SIZE", "1")
    monkeypatch.setenv("DATABASE_MAX_OVERFLOW", "0")
    monkeypatch.setenv("DATABASE_POOL_TIMEOUT", "0.2")
    tenancy = incidents_tenancy()
    owner = Tenancy(fresh_database, models=tenancy.models)
    owner.install(create_tables=True)
    tenant = owner.tenants.create("acme", record={"name": "Acme"})
    owner.close()
    mine = select(Event).where(Event.tenant_id == tenant.id)

    async def ask() -> list[Any]:
        async with get_session() as session:
            return list(await session.scalars(mine))

    async def run() -> None:
        async with get_session() as held:
            await held.execute(mine)
            with pytest.raises(PoolExhausted):
                await ask()
        assert [await ask() for _ in range(8)] == [[]] * 8
        await door.aio.close()

    door.use(tenancy)
    asyncio.run(run())
    door.reset()
    tenancy.close()
