"""Every relationship shape in every cell, through both doors, with a neighbour whose rows stay as they were."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from models.shapes import SHAPES, Base
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from tenantry import Tenancy
from tenantry.models import Ownership, owned_tables

CELLS = {
    "postgresql-rows": "rows",
    "postgresql-schema": "schema",
    "postgresql-database": "database",
    "sqlite-file": "database",
    "sqlite-rows": "rows",
}


@pytest.fixture(scope="module")
def postgresql(postgres: Any) -> Iterator[Tenancy]:
    with postgres.lend_database() as url:
        first = Tenancy(url, models=Base, owner_url=url)
        first.install(create_tables=True)
        login = f"shapes_{url.rsplit('_', 1)[-1]}"
        app_url = first.create_login(login)
        first.close()
        tenancy = Tenancy(app_url, models=Base, owner_url=url)
        yield tenancy
        for tenant in tenancy.tenants.list():
            tenancy.tenants.erase(tenant, confirm=tenant.slug)
        tenancy.close()
    with postgres.admin() as admin:
        admin.execute(f"DROP ROLE {login}")


@pytest.fixture(scope="module")
def sqlite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tenancy]:
    tenancy = Tenancy(f"sqlite:///{tmp_path_factory.mktemp('shapes')}", models=Base)
    tenancy.install()
    yield tenancy
    tenancy.close()


@pytest.fixture(scope="module", params=CELLS)
def cell(request: pytest.FixtureRequest, postgresql: Tenancy, sqlite: Tenancy) -> tuple[Tenancy, str]:
    """Two tenants of one cell, the neighbour with rows of every shape."""
    tenancy = postgresql if request.param.startswith("postgresql") else sqlite
    for who in ("own", "near"):
        tenancy.tenants.create(f"{who}-{request.param}", isolation=CELLS[request.param])
    with tenancy.session(f"near-{request.param}") as session:
        for scenario in SHAPES.values():
            _play(session, scenario.__name__)
    return tenancy, request.param


def _play(session: Session, shape: str) -> None:
    # The scenarios are written for what SQLAlchemy does by default; ours keeps what a commit wrote.
    session.expire_on_commit = True
    SHAPES[shape](session)


def _counts(session: Session) -> dict[str, int]:
    tables = owned_tables(Base.metadata, Ownership.TENANT, Ownership.RECORD)
    return {table.name: session.scalar(select(func.count()).select_from(table)) or 0 for table in tables}


@pytest.mark.parametrize("door", ["sync", "async"])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_shape_works_and_the_neighbour_keeps_its_rows(cell: tuple[Tenancy, str], shape: str, door: str) -> None:
    tenancy, name = cell
    with tenancy.session(f"near-{name}", read_only=True) as near:
        before = _counts(near)

    if door == "sync":
        with tenancy.session(f"own-{name}") as session:
            _play(session, shape)
    else:
        asyncio.run(_awaited(tenancy, f"own-{name}", shape))

    with tenancy.session(f"near-{name}", read_only=True) as near:
        assert _counts(near) == before
    assert sum(before.values()) > len(SHAPES)


async def _awaited(tenancy: Tenancy, key: str, shape: str) -> None:
    async with tenancy.aio.session(key) as session:
        await session.run_sync(_play, shape)
    await tenancy.aio.close()
