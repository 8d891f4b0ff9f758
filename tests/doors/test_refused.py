"""What names no tenant, or two, is refused by a session that has none, on every route, before anything is sent."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import and_, delete, exists, func, insert, or_, select, text, union_all, update
from sqlalchemy.orm import aliased, lazyload, make_transient_to_detached

from tenantry.errors import CrossTenant, SessionInUse, TenantRequired

from .conftest import Cell
from .models import Country, Member, Note, Vendor, Workspace

ROUTES: dict[str, Callable[[Any, Cell], Any]] = {
    "all rows": lambda db, cell: db.scalars(select(Member)).all(),
    "all records": lambda db, cell: db.scalars(select(Workspace)).all(),
    "a query": lambda db, cell: db.query(Member).all(),
    "a count": lambda db, cell: db.query(Member).count(),
    "another filter": lambda db, cell: db.scalars(select(Member).filter_by(email="ann")).all(),
    "another id": lambda db, cell: db.scalars(select(Member).where(Member.id == uuid.uuid4())).all(),
    "a record by what is not unique": lambda db, cell: db.scalars(select(Workspace).filter_by(platform="slack")).all(),
    "half an identity": lambda db, cell: db.scalars(select(Workspace).filter_by(name=f"near-{cell.place.cell}")).all(),
    "either of two": lambda db, cell: db.scalars(
        select(Member).where(or_(Member.tenant_id == cell.near, Member.tenant_id == cell.far))
    ).all(),
    "one, or something else": lambda db, cell: db.scalars(
        select(Member).where(or_(Member.tenant_id == cell.near, Member.email != ""))
    ).all(),
    "one and another": lambda db, cell: db.scalars(
        select(Member).where(and_(Member.tenant_id == cell.near, Member.org_id == cell.far))
    ).all(),
    "any but one": lambda db, cell: db.scalars(select(Member).where(Member.tenant_id != cell.near)).all(),
    "not one": lambda db, cell: db.scalars(select(Member).where(~(Member.tenant_id == cell.near))).all(),
    "after one": lambda db, cell: db.scalars(select(Member).where(Member.tenant_id >= cell.near)).all(),
    "one of a list": lambda db, cell: db.scalars(select(Member).where(Member.tenant_id.in_([cell.near]))).all(),
    "no tenant": lambda db, cell: db.scalars(select(Member).where(Member.tenant_id.is_(None))).all(),
    "the same as itself": lambda db, cell: db.scalars(select(Member).where(Member.tenant_id == Member.tenant_id)).all(),
    "what another row has": lambda db, cell: db.scalars(
        select(Member).where(Member.tenant_id == select(Workspace.id).limit(1).scalar_subquery())
    ).all(),
    "where it is nested": lambda db, cell: db.scalars(
        select(Member).where(exists().where(Workspace.id == cell.near))
    ).all(),
    "where it is selected": lambda db, cell: db.execute(select(Member, Member.tenant_id == cell.near)).all(),
    "the optional side of a join": lambda db, cell: db.scalars(
        select(Member).outerjoin(Workspace, Workspace.id == cell.near)
    ).all(),
    "one arm of a union": lambda db, cell: db.execute(
        union_all(select(Member.email).where(Member.tenant_id == cell.near), select(Member.email))
    ).all(),
    "arms of two tenants": lambda db, cell: db.execute(
        union_all(*[select(Member.email).where(Member.tenant_id == one) for one in (cell.near, cell.far)])
    ).all(),
    "a table": lambda db, cell: db.execute(select(Member.__table__)).all(),
    "text": lambda db, cell: db.execute(text("SELECT email FROM members")).all(),
    "text that names one": lambda db, cell: db.execute(
        text("SELECT email FROM members WHERE tenant_id = :t"), {"t": str(cell.near)}
    ).all(),
    "text inside": lambda db, cell: db.scalars(select(Member).where(text(f"tenant_id = '{cell.near}'"))).all(),
    "rows from text": lambda db, cell: db.scalars(select(Member).from_statement(text("SELECT * FROM members"))).all(),
    "a function": lambda db, cell: db.scalar(select(func.count(Member.id))),
    "the connection": lambda db, cell: db.connection(),
    "the engine": lambda db, cell: db.get_bind(),
    "an own id": lambda db, cell: db.get(Member, uuid.uuid4()),
    "an own id that must be": lambda db, cell: db.get_one(Note, 1),
    "half a key": lambda db, cell: db.get(Member, {"id": uuid.uuid4()}),
    "the platform's": lambda db, cell: db.scalars(select(Vendor)).all(),
    "the platform's by key": lambda db, cell: db.get(Vendor, 1),
    "the platform's row": lambda db, cell: db.add(Vendor(id=1)),
    "what is shared": lambda db, cell: db.scalars(select(Country)).all(),
    "rows changed": lambda db, cell: db.execute(update(Member).values(email="x")),
    "rows changed by keys": lambda db, cell: db.execute(update(Member), [{"id": uuid.uuid4(), "email": "x"}]),
    "rows deleted": lambda db, cell: db.execute(delete(Member)),
    "rows deleted by a query": lambda db, cell: db.query(Member).delete(),
    "rows inserted": lambda db, cell: db.execute(insert(Note), [{"text": "x"}]),
    "rows of two inserted": lambda db, cell: db.execute(
        insert(Note), [{"text": "x", "tenant_id": one} for one in (cell.near, cell.far)]
    ),
    "rows inserted from others": lambda db, cell: db.execute(
        insert(Note).from_select(["tenant_id", "text"], select(Member.tenant_id, Member.email))
    ),
    "rows saved": lambda db, cell: db.bulk_save_objects([Note(text="x", tenant_id=cell.near)]),
    "mappings inserted": lambda db, cell: db.bulk_insert_mappings(Note, [{"text": "x", "tenant_id": cell.near}]),
    "mappings updated": lambda db, cell: db.bulk_update_mappings(Note, [{"id": 1, "tenant_id": cell.near}]),
    "a row": lambda db, cell: (db.add(Note(text="x")), db.flush()),
    "a row, committed": lambda db, cell: (db.add(Note(text="x")), db.commit()),
    "a lazy load": lambda db, cell: loaded(db),
}


def loaded(db: Any) -> Any:
    # A row of no tenant, made to look stored.
    member = Member(email="x", tenant_id=uuid.uuid4())
    del member.tenant_id
    make_transient_to_detached(member)
    db.add(member)
    return member.workspace


@pytest.mark.parametrize("route", [pytest.param(route, id=route.replace(" ", "-")) for route in ROUTES])
def test_refused_and_still_free(cell: Cell, route: str) -> None:
    def work(db: Any) -> Any:
        try:
            ROUTES[route](db, cell)
        except (TenantRequired, CrossTenant):
            pass
        else:
            raise AssertionError(f"leaked: {route} was answered to nobody")
        db.expunge_all()
        # Nothing was sent, so it is nobody's yet.
        assert not db.in_transaction() or not db.get_transaction()._connections
        return db.scalars(select(Member.email).where(Member.tenant_id == cell.far)).all()

    found = cell.run(work)
    assert sorted(found) == [f"{who}@far-{cell.place.cell}" for who in ("ann", "bob")]


def test_once_bound_the_neighbour_is_out_of_reach(cell: Cell) -> None:
    def work(db: Any) -> list[Any]:
        db.scalars(select(Member).where(Member.tenant_id == cell.near)).all()
        other = aliased(Member)
        return [
            db.query(Member).filter(Member.tenant_id == cell.far).all(),
            db.scalars(select(Workspace).filter_by(team_id=cell.team("far"))).all(),
            db.get(Workspace, cell.far),
            db.get(Member, (cell.far, uuid.uuid4())),
            db.scalars(select(Member).join(other, other.tenant_id == cell.far)).all(),
            db.scalars(select(Member).options(lazyload("*")).where(Member.org_id == cell.far)).all(),
            db.execute(delete(Note).where(Note.tenant_id == cell.far)).rowcount,
            db.execute(update(Note).where(Note.tenant_id == cell.far).values(text="x")).rowcount,
        ]

    assert cell.run(work) == [[], [], None, None, [], [], 0, 0]

    def cross(db: Any) -> None:
        db.get(Workspace, cell.near)
        db.add(Note(text="x", tenant_id=cell.far))

    with pytest.raises(CrossTenant):
        cell.run(cross)


def test_two_tasks_cannot_bind_one_session_to_two_tenants(cell: Cell) -> None:

    async def both() -> list[Any]:
        async with cell.door.aio.session() as db:
            tasks = [db.scalars(select(Note.text).where(Note.tenant_id == one)) for one in (cell.near, cell.far)]
            return await asyncio.gather(*tasks, return_exceptions=True)

    first, second = cell.ground.runner.run(both())
    assert isinstance(second, SessionInUse)
    assert first.all() == [f"of near-{cell.place.cell}"]
