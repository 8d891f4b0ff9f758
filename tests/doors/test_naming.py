"""What binds a session that has no tenant: a statement, a key, an object or a new record that names just one."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import bindparam, delete, func, insert, select, union_all, update
from sqlalchemy.exc import NoResultFound
from sqlalchemy.orm import Session, aliased, selectinload

from tenantry.errors import CrossTenant, TenantNotFound, TenantRequired

from .conftest import Cell
from .models import Member, Note, Workspace

NAMING: dict[str, Callable[[Session, Cell], Any]] = {
    "criteria": lambda db, cell: db.scalars(select(Member).where(Member.tenant_id == cell.near)).all(),
    "criteria the other way round": lambda db, cell: db.scalars(
        select(Member).where(cell.near == Member.tenant_id)
    ).all(),
    "criteria by a synonym": lambda db, cell: db.scalars(select(Member).where(Member.org_id == cell.near)).all(),
    "criteria by keyword": lambda db, cell: db.scalars(select(Member).filter_by(tenant_id=cell.near)).all(),
    "criteria by the reference to the record": lambda db, cell: db.scalars(
        select(Member).where(Member.workspace_id == cell.near)
    ).all(),
    "criteria beside others": lambda db, cell: db.scalars(
        select(Member).where(Member.email.like("%"), Member.tenant_id == cell.near).order_by(Member.email).limit(9)
    ).all(),
    "criteria on an alias": lambda db, cell: db.scalars(
        select(other := aliased(Member)).where(other.tenant_id == cell.near)
    ).all(),
    "criteria on what is joined": lambda db, cell: db.scalars(
        select(Member).join(Member.workspace).where(Workspace.id == cell.near)
    ).all(),
    "criteria in a subquery": lambda db, cell: db.execute(
        select(select(Member).where(Member.tenant_id == cell.near).subquery().c.email)
    ).all(),
    "criteria of each arm of a union": lambda db, cell: db.execute(
        union_all(
            *[select(Member.email).where(Member.tenant_id == cell.near, Member.email.like(f"{who}%")) for who in "ab"]
        )
    ).all(),
    "a query": lambda db, cell: db.query(Member).filter(Member.tenant_id == cell.near).all(),
    "a query with options": lambda db, cell: (
        db.query(Member).options(selectinload(Member.workspace)).filter_by(tenant_id=cell.near).all()
    ),
    "a table": lambda db, cell: db.execute(
        select(Member.__table__).where(Member.__table__.c.tenant_id == cell.near)
    ).all(),
    "a parameter given beside": lambda db, cell: db.scalars(
        select(Member).where(Member.tenant_id == bindparam("t")), {"t": cell.near}
    ).all(),
    "an identity": lambda db, cell: db.scalars(select(Workspace).filter_by(team_id=cell.team())).one().members,
    "an identity of what is joined": lambda db, cell: db.scalars(
        select(Member).join(Workspace).where(Workspace.team_id == cell.team())
    ).all(),
    "a record's id": lambda db, cell: db.scalars(select(Workspace).where(Workspace.id == cell.near)).one().members,
    "a record's key": lambda db, cell: db.get(Workspace, cell.near).members,
    "a record's key that must be": lambda db, cell: db.get_one(Workspace, cell.near).members,
}


@pytest.mark.parametrize("way", NAMING)
def test_what_names_a_tenant_binds_to_it(cell: Cell, way: str) -> None:
    def work(db: Any) -> tuple[Any, int, int, list[str]]:
        found = NAMING[way](db, cell)
        # From here on it is that tenant's: what names nobody is answered, and of the neighbour there is nothing.
        foreign = db.scalars(select(Member).where(Member.tenant_id == cell.far)).all()
        return db.tenant.id, len(found), len(foreign), db.scalars(select(Note.text)).all()

    assert cell.run(work) == (cell.near, 2, 0, [f"of near-{cell.place.cell}"])


def test_counting_is_for_one_tenant(cell: Cell) -> None:
    def work(db: Any) -> list[int]:
        query = db.query(Member).filter(Member.tenant_id == cell.near)
        return [query.count(), db.scalar(select(func.count(Member.id)).where(Member.tenant_id == cell.near))]

    assert cell.run(work) == [2, 2]


def test_objects_that_have_a_tenant_name_it(cell: Cell) -> None:
    def add(db: Any) -> Any:
        db.add(Note(text="new", tenant_id=cell.near))
        db.add(Member(email="new", workspace_id=cell.near))
        db.flush()
        return db.tenant.id, db.query(Note).count(), db.query(Member).count()

    assert cell.run(add) == (cell.near, 2, 3)

    def both(db: Any) -> None:
        db.add(Note(text="new", tenant_id=cell.near))
        db.add(Note(text="new", tenant_id=cell.far))

    with pytest.raises(CrossTenant):
        cell.run(both)


def test_a_row_of_elsewhere_names_its_tenant(cell: Cell) -> None:
    member = cell.run(lambda db: db.scalars(select(Member).limit(1)).one(), cell.far)

    def attached(db: Any) -> Any:
        db.add(member)
        db.refresh(member)
        found = db.tenant.id, db.query(Member).count()
        db.expunge(member)
        return found

    assert cell.run(attached) == (cell.far, 2)
    assert cell.run(lambda db: (db.merge(member).email, db.tenant.id)) == (member.email, cell.far)
    whole = cell.run(lambda db: (db.get(Member, (cell.far, member.id)).email, db.tenant.id))
    assert whole == (member.email, cell.far)


def test_writes_that_name_a_tenant(cell: Cell) -> None:
    def work(db: Any) -> list[int]:
        db.execute(update(Note).where(Note.tenant_id == cell.near).values(text="changed"))
        changed = db.query(Note).filter_by(text="changed").count()
        db.execute(delete(Note).where(Note.tenant_id == cell.near))
        db.execute(insert(Note), [{"tenant_id": cell.near, "text": f"{number}"} for number in range(3)])
        return [changed, db.query(Note).count()]

    assert cell.run(work) == [1, 3]
    first = insert(Note).values(tenant_id=cell.near, text="x")
    assert cell.run(lambda db: (db.execute(first), db.query(Note).count())[1]) == 2
    untouched = cell.run(lambda db: db.scalars(select(Note.text)).all(), cell.far)
    assert untouched == [f"of far-{cell.place.cell}"]


def test_a_tenant_that_is_not_there_has_no_rows(cell: Cell) -> None:
    nobody = uuid.uuid4()

    def work(db: Any) -> list[Any]:
        by_team = select(Workspace).filter_by(team_id="nobody's")
        return [
            db.scalars(by_team).all(),
            db.scalar(by_team),
            db.execute(by_team).scalar_one_or_none(),
            db.query(Workspace).filter_by(team_id="nobody's").first(),
            db.query(Member.email).filter_by(tenant_id=nobody).all(),
            db.get(Workspace, nobody),
            db.execute(select(Workspace.id, Workspace.name).where(Workspace.id == nobody)).unique().all(),
        ]

    assert cell.run(work) == [[], None, None, None, [], None, []]
    for refused in (
        lambda db: db.query(Member).filter_by(tenant_id=nobody).count(),
        lambda db: db.execute(delete(Member).where(Member.tenant_id == nobody)),
    ):
        with pytest.raises(TenantNotFound):
            cell.run(refused)
    with pytest.raises(NoResultFound):
        cell.run(lambda db: db.get_one(Workspace, nobody))
    # It is still free for the first that is there.
    found = cell.run(lambda db: (work(db), db.get(Workspace, cell.near).name)[1])
    assert found == f"near-{cell.place.cell}"


def test_what_the_door_is_told_it_need_not_find(cell: Cell) -> None:
    assert cell.run(lambda db: db.query(Note).count(), f"far-{cell.place.cell}") == 1
    with pytest.raises(TenantNotFound):
        cell.run(lambda db: db.query(Note).count(), "nobody")


def test_without_a_tenant_there_is_nothing_to_tell(cell: Cell) -> None:
    assert "of no tenant yet" in cell.run(repr)
    with pytest.raises(TenantRequired):
        cell.run(lambda db: db.tenant)
    cell.run(lambda db: (db.flush(), db.commit(), db.rollback(), db.close()))
