"""A handle brings the tables that its company lacks, out of the history."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tenantry import Config, Tenancy
from tenantry.fleet import Fleet
from tenantry.packs.helpdesk import MIGRATIONS, HelpdeskBase, door, get_database


@pytest.mark.ledger("S0-038")
def test_create_tables_brings_common_tables_from_the_history(postgres: Any) -> None:
    with postgres.lend_database() as url:
        tenancy = Tenancy(url, models=HelpdeskBase, config=Config(migrations=MIGRATIONS))
        tenancy.install()
        door.use(tenancy)
        try:
            _try(tenancy)
        finally:
            door.reset()
            tenancy.close()


def _try(tenancy: Tenancy) -> None:

    async def make() -> int:
        try:
            async with get_database("wedosoft", "freshdesk") as database:
                await database.create_tables()
                await database.create_tables()
                return len(await database.get_tickets())
        finally:
            await door.aio.close()

    assert set(Fleet(tenancy).current().values()) == {None}
    assert asyncio.run(make()) == 0
    assert list(Fleet(tenancy).check()) == []
