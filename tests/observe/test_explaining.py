"""Plans are of what the session would send, and what is explained does not run."""

from __future__ import annotations

import uuid

import pytest
from sqlalchemy import delete, func, insert, select, text, update
from sqlalchemy.exc import DBAPIError

from tenantry.errors import ConfigurationError, ExplainRefused
from tenantry.observe import explain, explain_async

from .models import Folder, Paper

TRICKS = [
    "SELECT 1; DELETE FROM folders",
    "ANALYZE DELETE FROM folders",
    "(ANALYZE) DELETE FROM folders",
    "  analyze delete from folders",
    "/* */ ANALYZE DELETE FROM folders",
    "VERBOSE DELETE FROM folders",
    "SELECT 1; COMMIT; DELETE FROM folders",
    "DROP TABLE folders",
    "COMMIT",
    "SELECT ';'",
]


@pytest.fixture(autouse=True)
def filled(ground, place):
    with ground.session(place) as door:
        for model in (Paper, Folder):
            door.run(lambda session, model=model: session.execute(delete(model)))
        door.run(lambda session: session.add(Folder(name="kept")))
        door.commit()


def plan_of(door, statement, **options):
    if door.place.door == "sync":
        return explain(door.session, statement, **options)
    return door.ground.runner.run(explain_async(door.session, statement, **options))


def names(door):
    return sorted(door.run(lambda session: session.scalars(select(Folder.name)).all()))


def refuses_plans(place):
    return place.cell == "sqlite-rows"


def test_a_plan_holds_the_tenants_predicate(door, place):
    statement = select(Folder).where(Folder.name == "x").order_by(Folder.name)
    if refuses_plans(place):
        with pytest.raises(ExplainRefused, match="a file of its own"):
            plan_of(door, statement)
        return
    plan = plan_of(door, statement)
    assert "tenant_id" in plan.statement
    assert "tenant_id" in str(plan)
    assert "folders" in str(plan)
    assert plan.executed is False


def test_explaining_a_write_writes_nothing(door, place):
    row = {"tenant_id": door.session.tenant.id, "id": uuid.uuid4(), "name": "sneaked in"}
    for write in (insert(Folder).values(**row), update(Folder).values(name="altered"), delete(Folder)):
        if refuses_plans(place):
            with pytest.raises(ExplainRefused):
                plan_of(door, write)
        else:
            assert "folders" in plan_of(door, write).statement
        door.commit()
        assert names(door) == ["kept"]


def test_what_would_run_is_refused(door, place):
    for trick in TRICKS:
        with pytest.raises(ExplainRefused):
            plan_of(door, text(trick))
        door.commit()
        assert names(door) == ["kept"], trick


def test_pending_objects_are_not_flushed(door, place):
    if refuses_plans(place):
        return
    door.run(lambda session: session.add(Folder(name="pending")))
    plan_of(door, select(Folder))
    inner = getattr(door.session, "sync_session", door.session)
    assert len(inner.new) == 1


def test_executing_is_asked_for_and_rolled_back(door, place):
    if not place.postgresql:
        with pytest.raises((ConfigurationError, ExplainRefused)):
            plan_of(door, select(Folder), execute=True)
        return
    plan = plan_of(door, delete(Folder), execute=True)
    assert plan.executed
    assert "Execution Time" in str(plan)
    door.commit()
    assert names(door) == ["kept"]


def test_the_session_goes_on_after_a_plan_and_after_an_error(door, place):
    if refuses_plans(place):
        return
    with pytest.raises(DBAPIError):
        plan_of(door, text("SELECT nothing_of_that_name FROM folders"))
    plan_of(door, select(func.count()).select_from(Folder))
    door.run(lambda session: session.execute(update(Folder).values(name="kept")))
    assert names(door) == ["kept"]


LIAR = """
CREATE OR REPLACE FUNCTION public.writes() RETURNS int LANGUAGE plpgsql VOLATILE AS $$ BEGIN
    INSERT INTO public.folders (tenant_id, id, name)
    VALUES (current_setting('tenantry.tenant')::uuid, gen_random_uuid(), 'lied');
    RETURN 1;
END $$;
CREATE OR REPLACE FUNCTION public.lies() RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN
    RETURN public.writes();
END $$
"""


def test_a_function_that_lies_about_itself_changes_nothing(ground, place, door):
    """PostgreSQL runs a function that calls itself immutable while it makes a plan."""
    if place.cell != "postgresql-rows":
        return
    with ground.tenancy(place).servers.main.owner(action="Testing") as owner:
        owner.execute(LIAR)
    with pytest.raises(DBAPIError, match="read-only"):
        plan_of(door, text("SELECT public.lies()"))
    door.rollback()
    assert names(door) == ["kept"]
    assert door.run(lambda session: session.scalar(text("SELECT public.lies()"))) == 1
    assert names(door) == ["kept", "lied"]
    door.rollback()
    with ground.tenancy(place).servers.main.owner(action="Testing") as owner:
        owner.execute("DROP FUNCTION public.lies(); DROP FUNCTION public.writes()")
