"""Tenant columns written by hand, integers or slugs: replaced by the tenant's own, with the policies around them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tenantry.errors import AdoptionRefused
from tenantry.fleet.adopting import Plan, Stage

from . import handwritten as tracker
from .places import AnyShop, Office, SqliteShop, adopting, check_adopted, engine_of

KINDS = {"numbers": tracker.BY_NUMBER, "slugs": tracker.BY_SLUG}


@pytest.fixture(scope="module")
def templates(office: Office, tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Any]:
    """The old databases, by kind of column and of database."""
    made: dict[tuple[str, str], Any] = {}
    for kind in KINDS:
        by_slug = kind == "slugs"
        made[kind, "postgresql"] = office.load(
            lambda url, by_slug=by_slug: tracker.load(engine_of(url), by_slug=by_slug)
        )
        made[kind, "sqlite"] = tmp_path_factory.mktemp("old") / f"{kind}.db"
        tracker.load(engine_of(f"sqlite:///{made[kind, 'sqlite']}"), by_slug=by_slug)
    return made


@pytest.fixture(params=["postgresql", "sqlite"])
def database(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def place(
    office: Office, templates: dict[tuple[str, str], Any], kind: str, database: str, tmp_path: Path
) -> Iterator[AnyShop]:
    template = templates[kind, database]
    if database == "sqlite":
        found: AnyShop = SqliteShop(tmp_path, template, isolation="database", models=tracker.Base)
    else:
        found = office.open(template, models=tracker.Base)
    yield found
    found.close()


def test_the_column_is_replaced_in_place(place: AnyShop, kind: str, database: str) -> None:
    plan = KINDS[kind]
    with adopting(place, plan, batch=7) as (tenancy, adoption):
        found = adoption.observe()
        assert found.ok, [str(finding) for finding in found.findings]
        assert ("A206" in {note.code for note in found.notes}) == (database == "postgresql")
        for stage in ("fill", "filter", "enforce"):
            assert adoption.advance(stage).ok
        check_adopted(tenancy, tracker.counted(by_slug=kind == "slugs"), identity=plan.identity)
        assert {tenant.slug for tenant in tenancy.tenants.list()} == set(tracker.ACCOUNTS.values())
        with tenancy.session("west") as session:
            session.add(tracker.Project(code="NEW"))
            session.commit()
            session.add(tracker.Project(code="NEW"))
            with pytest.raises(sa.exc.IntegrityError):
                session.commit()


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_both_columns_agree_while_both_stand(place: Any, kind: str) -> None:
    """In stage fill the old application writes its own column, in stage filter the new one writes its own."""
    old = "'south'" if kind == "slugs" else "2"
    with adopting(place, KINDS[kind]) as (tenancy, adoption):
        adoption.advance("fill")
        with place.old.begin() as connection:
            connection.exec_driver_sql(f"set local app.tenant = {old}")
            connection.exec_driver_sql(f"insert into projects (id, tenant_id, code) values (900, {old}, 'OLD')")
            assert connection.scalar(sa.text("select count(*) from projects")) == 3
        south = str(tenancy.tenants.get("south").id)
        assert place.rows("select tenantry_tenant::text from projects where id = 900") == [(south,)]
        adoption.advance("filter")
        with tenancy.session("south") as session:
            session.add(tracker.Project(id=901, code="NEW"))
            session.commit()
            assert len(session.scalars(sa.select(tracker.Project)).all()) == 4
        assert place.rows("select distinct tenantry_former::text from projects where id in (900, 901)") == [
            (old.strip("'"),)
        ]
        # Nobody else sees rows that a policy kept from him before.
        with place.old.connect() as connection:
            assert connection.scalar(sa.text("select count(*) from projects")) == 0


def test_rolled_back_the_old_wall_stands_again(place: AnyShop, kind: str) -> None:
    before = place.shape()
    with adopting(place, KINDS[kind]) as (tenancy, adoption):
        adoption.advance("filter")
        assert adoption.rollback().stage is Stage.OBSERVE
        assert place.shape() == before
        assert tenancy.tenants.list() == []


@pytest.mark.parametrize("kind", ["numbers"], indirect=True)
def test_a_row_of_an_account_that_is_not_there_is_found(place: AnyShop, database: str) -> None:
    if database == "sqlite":
        with place.old.connect() as connection:
            connection.exec_driver_sql("PRAGMA foreign_keys = OFF")
            connection.exec_driver_sql("insert into projects (id, tenant_id, code) values (900, 99, 'LOST')")
            connection.commit()
    else:
        place.run(
            "alter table projects drop constraint projects_tenant_id_fkey",
            "set app.tenant = 99",
            "insert into projects (id, tenant_id, code) values (900, 99, 'LOST')",
        )
    with adopting(place, KINDS["numbers"]) as (_, adoption):
        findings = adoption.observe().findings
        assert [(one.code, one.object) for one in findings] == [("A103", "projects")]
        assert "(id: 900)" in findings[0].message
        adoption.advance("filter")
        with pytest.raises(AdoptionRefused, match="A103 projects"):
            adoption.advance("enforce")


@pytest.mark.parametrize("kind", ["numbers"], indirect=True)
def test_a_plan_that_says_nothing_is_refused(place: AnyShop) -> None:
    silent = Plan(tenants=tracker.BY_NUMBER.tenants)
    before = place.shape()
    with adopting(place, silent) as (_, adoption):
        assert {(one.code, one.object) for one in adoption.observe().findings} == {
            ("A102", "projects"),
            ("A102", "tasks"),
        }
        with pytest.raises(AdoptionRefused):
            adoption.advance("fill")
    assert place.shape() == before
