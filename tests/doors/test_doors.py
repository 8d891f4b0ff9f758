"""A door's tenancy, from the environment or from the caller; the request's tenant; repositories over late sessions."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from pathlib import Path
from typing import Any, Generic, TypeVar

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from tenantry import Tenancy
from tenantry.doors import Door
from tenantry.errors import ConfigurationError, RecordNotFound, TenantNotFound, TenantRequired, TenantsDisagree
from tenantry.repository import AsyncRepository, Repository
from tenantry.web import TenantContext
from tenantry.web.context import carry

from .conftest import Cell
from .models import IDENTITIES, Base, Member, Note, Workspace

VARIABLES = ("TENANTRY_URL", "DATABASE_URL", "DATABASE_TYPE", "POSTGRES_PASSWORD", "SQLITE_DATA_DIR")
M = TypeVar("M")


class Pack:
    """What a pack makes of its tenancy."""

    def __init__(self, tenancy: Tenancy) -> None:
        self.tenancy = tenancy


@pytest.fixture
def door(monkeypatch: pytest.MonkeyPatch) -> Iterator[Door[Pack]]:
    """A door of which the environment says nothing."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    door = Door("tests", Base, make=Pack, identities=IDENTITIES)
    yield door
    door.reset()


def test_the_environment_says_where_it_leads(door: Door[Pack], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert repr(door) == "<Door of tests>"
    with pytest.raises(ConfigurationError, match="names no database"):
        door.session()
    assert not door.opened
    for name in ("one", "two"):
        monkeypatch.setenv("SQLITE_DATA_DIR", str(tmp_path / name))
        door.reset()
        door.tenancy.install(create_tables=True)
        with door.transaction() as db:
            db.add(Workspace(name=name, team_id="T1"))
        assert door.pack.tenancy is door.tenancy
        with door.session() as db:
            assert db.scalars(select(Workspace).filter_by(team_id="T1")).one().name == name


def test_it_is_made_once_whoever_comes_first(door: Door[Pack], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TENANTRY_URL", f"sqlite:///{tmp_path}")
    barrier = threading.Barrier(8)

    def come(_: int) -> tuple[Tenancy, Pack]:
        barrier.wait(timeout=30)
        return door.tenancy, door.pack

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(come, range(8)))) == 1


def test_a_tenancy_of_the_callers_stays_the_callers(door: Door[Pack], tmp_path: Path) -> None:
    tenancy = Tenancy(f"sqlite:///{tmp_path}", models=Base)
    tenancy.install(create_tables=True)
    tenancy.tenants.create("acme")
    pack = Pack(tenancy)
    door.use(tenancy, pack)
    assert door.pack is pack
    with door.session("acme") as db:
        door.reset()
        assert db.query(Note).all() == []
    assert tenancy.session("acme").query(Note).all() == []
    door.use(tenancy)
    assert door.pack is not pack
    tenancy.close()


def test_the_requests_tenant_is_taken(cell: Cell) -> None:
    tenancy = cell.door.tenancy
    context = TenantContext(correlation_id="c1", found=tenancy.tenants.get(cell.near))

    def serve() -> None:
        carry(context)
        said, notes = cell.run(lambda db: (db.info["correlation_id"], db.scalars(select(Note.text)).all()))
        assert (said, notes) == ("c1", [f"of near-{cell.place.cell}"])
        # Whatever the statement names then.
        assert cell.run(lambda db: db.scalars(select(Note).where(Note.tenant_id == cell.far)).all()) == []
        assert cell.run(lambda db: db.query(Note).count(), cell.near) == 1
        # Nor whatever the call names.
        with pytest.raises(TenantsDisagree):
            cell.run(lambda db: db.query(Note).count(), cell.far)

    copy_context().run(serve)
    with pytest.raises(TenantRequired):
        cell.run(lambda db: db.query(Note).all())


def test_a_request_without_a_tenant_has_none(cell: Cell) -> None:
    def serve() -> None:
        carry(TenantContext(correlation_id="c2"))
        with pytest.raises(TenantRequired):
            cell.run(lambda db: db.query(Note).all())
        found = cell.run(lambda db: (db.get(Workspace, cell.near).name, db.info["correlation_id"]))
        assert found == (f"near-{cell.place.cell}", "c2")

    copy_context().run(serve)


def test_a_request_to_another_tenancy_finds_nobody(door: Door[Pack], tmp_path: Path, cell: Cell) -> None:
    tenancy = Tenancy(f"sqlite:///{tmp_path}", models=Base)
    tenancy.install(create_tables=True)
    door.use(tenancy)

    def serve() -> None:
        carry(TenantContext(correlation_id="c3", found=cell.door.tenancy.tenants.get(cell.near)))
        with pytest.raises(TenantNotFound):
            door.session()

    copy_context().run(serve)
    tenancy.close()


def test_repositories_work_over_late_sessions(cell: Cell) -> None:
    def work(db: Any) -> list[Any]:
        members = Repository(db, model=Member)
        with pytest.raises(TenantRequired):
            members.list()
        made = members.create({"email": "new", "tenant_id": cell.near})
        return [members.count(), members.get_one(made.id).email, db.tenant.id]

    assert cell.run(work) == [3, "new", cell.near]
    found = cell.run(lambda db: Repository(db, model=Member).list(tenant_id=cell.near, order_by="email"))
    assert [member.email[:3] for member in found] == ["ann", "bob"]


class SeedRepository(Generic[M]):
    """A repository as a seed writes it: over any AsyncSession, with the tenant in each statement."""

    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    async def get_by_email(self, email: str, tenant_id: uuid.UUID) -> Member | None:
        result = await self.session.execute(
            select(Member).where(Member.email == email).where(Member.tenant_id == tenant_id)
        )
        return result.scalar_one_or_none()


def test_a_seeds_own_repository_works_over_late_sessions(cell: Cell) -> None:
    email = f"ann@near-{cell.place.cell}"

    async def work() -> list[Any]:
        async with cell.door.aio.session() as db:
            found = await SeedRepository[Member](db).get_by_email(email, cell.near)
            foreign = await SeedRepository[Member](db).get_by_email(email, cell.far)
        async with cell.door.aio.transaction() as db:
            made = await AsyncRepository(db, model=Member).create({"email": "new", "tenant_id": cell.near})
            await db.commit()
            await AsyncRepository(db, model=Member).delete(made.id)
        async with cell.door.aio.session() as db:
            assert "of no tenant yet" in repr(db)
            with pytest.raises(RecordNotFound):
                await AsyncRepository(db, model=Workspace).get_one(uuid.uuid4())
            named = await AsyncRepository(db, model=Workspace).get_one(cell.far)
            return [found and found.email, foreign, named.name, db.tenant.id]

    runner = cell.ground.runner
    assert runner.run(work()) == [email, None, f"far-{cell.place.cell}", cell.far]
    assert repr(cell.door.aio) == "<Door of tests>.aio"


def test_streams_bind_too(cell: Cell) -> None:
    async def work() -> list[str]:
        async with cell.door.aio.session() as db:
            with pytest.raises(TenantRequired):
                await db.stream_scalars(select(Note.text))
            rows = await db.stream_scalars(select(Note.text).where(Note.tenant_id == cell.far))
            try:
                return [row async for row in rows]
            finally:
                await rows.close()

    assert cell.ground.runner.run(work()) == [f"of far-{cell.place.cell}"]


def test_closing_what_was_never_opened_is_nothing(door: Door[Pack], cell: Cell) -> None:
    cell.ground.runner.run(door.aio.close())
    assert not door.opened
