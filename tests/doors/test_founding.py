"""A new record makes its tenant: registered by its identities, open once it is committed, gone if it is not."""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from tenantry.errors import IdentityTaken, TenantCreationDisabled, TenantNotFound, TenantRequired, TenantUnavailable
from tenantry.types import TenantStatus

from .conftest import Cell
from .models import Member, Note, Workspace


@pytest.fixture
def team(cell: Cell) -> Iterator[str]:
    """A Slack team that nobody has yet; who has it afterwards is erased."""
    team = f"T-{uuid.uuid4().hex[:8]}"
    yield team
    tenants = cell.door.tenancy.tenants
    try:
        slug = tenants.get(("team", team)).slug
    except TenantNotFound:
        return
    tenants.erase(slug, confirm=slug)


def test_a_new_record_makes_its_tenant(cell: Cell, team: str) -> None:
    def make(db: Any) -> tuple[uuid.UUID, uuid.UUID]:
        record = Workspace(name="Blue Owl & Co.", team_id=team)
        db.add(record)
        db.flush()
        assert record.id == record.tenant_id == db.tenant.id
        db.add(Member(email="ann", workspace=record))
        # Until the commit nobody else gets in.
        with pytest.raises(TenantUnavailable):
            cell.door.tenancy.router.route(record.id)
        return record.id, db.tenant.id

    made, _ = cell.commit(make)
    tenants = cell.door.tenancy.tenants
    tenant = tenants.get(made)
    assert (tenant.status, tenant.slug[:7], tenant.name) == (TenantStatus.ACTIVE, "blue-ow", "Blue Owl & Co.")
    assert tenants.get(("team", team)).id == tenants.get(("company", "Blue Owl %26 Co./slack")).id == made
    read = cell.run(lambda db: [m.email for m in db.scalars(select(Workspace).filter_by(team_id=team)).one().members])
    assert read == ["ann"]
    again = cell.run(lambda db: db.query(Workspace).filter_by(name="Blue Owl & Co.", platform="slack").one().id)
    assert again == made


def test_the_session_goes_on_as_that_tenants(cell: Cell, team: str) -> None:
    def make(db: Any) -> list[Any]:
        db.add_all([Workspace(name="Going On", team_id=team), Note(text="with it"), Member(email="ann")])
        db.commit()
        first = db.tenant.status, db.query(Note).count()
        db.add(Note(text="later"))
        db.commit()
        foreign = db.scalars(select(Note).where(Note.tenant_id == cell.near)).all()
        return [first, db.query(Note).count(), foreign]

    assert cell.run(make) == [(TenantStatus.ACTIVE, 1), 2, []]


@pytest.mark.parametrize("end", ["rollback", "close", "error"])
def test_what_is_not_committed_was_never_there(cell: Cell, team: str, end: str) -> None:
    made: list[uuid.UUID] = []

    def make(db: Any) -> None:
        db.add_all([Workspace(name="Brief", team_id=team), Note(text="brief")])
        db.flush()
        made.append(db.tenant.id)
        if end == "rollback":
            db.rollback()
            with pytest.raises(TenantRequired):
                _ = db.tenant
            # It may be anybody's now.
            assert db.get(Workspace, cell.near).name == f"near-{cell.place.cell}"
        elif end == "error":
            raise ZeroDivisionError

    if end == "error":
        with pytest.raises(ZeroDivisionError):
            cell.commit(make)
    else:
        cell.run(make)
    tenants = cell.door.tenancy.tenants
    for key in (made[0], ("team", team)):
        with pytest.raises(TenantNotFound):
            tenants.get(key)
    cell.commit(lambda db: db.add(Workspace(name="Brief", team_id=team)))
    assert tenants.get(("team", team)).slug == "brief"


def test_a_failing_flush_leaves_no_tenant(cell: Cell, team: str) -> None:
    def make(db: Any) -> None:
        db.add_all([Workspace(name="Failing", team_id=team), Member(email="ann"), Member(email="ann")])
        db.flush()

    with pytest.raises(IntegrityError):
        cell.run(make)
    with pytest.raises(TenantNotFound):
        cell.door.tenancy.tenants.get(("team", team))


def test_an_identity_finds_one_tenant(cell: Cell) -> None:
    def twice(db: Any) -> None:
        db.add(Workspace(name="Another", team_id=cell.team()))
        db.flush()

    with pytest.raises(IdentityTaken):
        cell.run(twice)
    assert cell.run(lambda db: db.query(Workspace).filter_by(team_id=cell.team()).count()) == 1


def test_names_may_repeat(cell: Cell, team: str) -> None:
    def make(db: Any) -> str:
        db.add(Workspace(name=f"near-{cell.place.cell}", platform=team, team_id=team))
        db.flush()
        return str(db.tenant.slug)

    slug = cell.commit(make)
    assert slug.startswith(f"near-{cell.place.cell}-")
    counted = select(func.count()).select_from(Note)
    assert cell.run(lambda db: db.scalar(counted), slug) == 0


def test_two_records_are_two_tenants(cell: Cell) -> None:
    def make(db: Any) -> None:
        db.add_all([Workspace(name="One"), Workspace(name="Two")])
        db.flush()

    with pytest.raises(TenantRequired):
        cell.run(make)


def test_a_transaction_that_is_a_block_of_its_own_makes_it_too(cell: Cell, team: str) -> None:
    def make(db: Any) -> None:
        with db.begin():
            db.add_all([Workspace(name="Block", team_id=team), Note(text="inside")])
        assert db.tenant.status is TenantStatus.ACTIVE

    cell.run(make)
    assert cell.run(lambda db: db.scalars(select(Note.text)).all(), ("team", team)) == ["inside"]


def test_where_tenants_may_not_be_made_a_record_makes_none(cell: Cell, monkeypatch: pytest.MonkeyPatch) -> None:
    tenants: Any = cell.door.tenancy.tenants
    monkeypatch.setattr(tenants, "_config", dataclasses.replace(tenants._config, allow_tenant_creation=False))

    def make(db: Any) -> None:
        db.add(Workspace(name="Refused"))
        db.flush()

    with pytest.raises(TenantCreationDisabled):
        cell.run(make)


def test_what_a_savepoint_took_back_does_not_end_the_tenant(cell: Cell, team: str) -> None:
    def make(db: Any) -> None:
        db.add(Workspace(name="Saved", team_id=team))
        db.flush()
        with db.begin_nested():
            db.add(Note(text="inside"))
        nested = db.begin_nested()
        db.add(Note(text="taken back"))
        db.flush()
        nested.rollback()

    cell.commit(make)
    assert cell.run(lambda db: db.scalars(select(Note.text)).all(), ("team", team)) == ["inside"]
