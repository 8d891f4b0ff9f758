"""Nobody who has lost the way reads an empty list: on PostgreSQL, whatever the statement and whatever is left there."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from cells import Ground, Place

from tenantry import Tenant
from tenantry.ids import uuid7
from tenantry.isolation import fencing

QUESTIONS = (
    "select * from tags",
    "select count(*) from tags",
    "select max(id) from tags",
    "select * from tags where id = 'x'",
    "select * from tags order by id desc limit 1",
    "select * from tags for update",
    "select 1 where exists (select from tags)",
    "select (select id from tags limit 1)",
    "select * from tags a join tags b using (id)",
    "select * from (values ('x')) as v (id) left join tags t on t.id = v.id",
    "select v.id, (select count(*) from tags t where t.id = v.id) from (values ('x')) as v (id)",
    "select 1 from (values ('x')) as v (id) where id in (select id from tags)",
    "select 1 from (values ('x')) as v (id) where id not in (select id from tags)",
    "select 1 from (values ('x')) as v (id) where not exists (select from tags t where t.id = v.id)",
    "with found as materialized (select * from tags) select * from found",
    "select * from tags where tenant_id = '{tenant}'",
    "select * from tags where tenant_id = '{tenant}' and id = 'x'",
    "update tags set id = 'y' returning 1",
    "update tags set id = 'y' where id = 'x' returning 1",
    "delete from tags returning 1",
    "delete from tags where id = 'x' returning 1",
    "insert into tags (tenant_id, id) values ('{tenant}', 'x') returning 1",
    "insert into tags (tenant_id, id) values ('{tenant}', 'x') on conflict do nothing returning 1",
)
# Answered, truthfully, where nobody has a row in either table.
JOINED = "select * from tags union all select * from tags"
# A policy of the test alone, as it might have been written: it is asked for each row, so never where there is none.
CARELESS = (
    "create policy tenantry_present on tags as restrictive to tenantry_app using ((select {function}) is not null)"
)


@pytest.fixture(scope="module")
def stray(ground: Ground) -> Iterator[Tenant]:
    """A tenant that has left the common tables, with no row of it behind."""
    tenancy = ground.tenancy(Place("postgresql-rows", "sync"))
    tenant, server = tenancy.tenants.create(f"s{uuid7().hex}", isolation="rows"), tenancy.servers.main
    fencing.prepare(server, tenant)
    with fencing.closed(server, tenant, departing=True):
        pass
    fencing.take_down(server, tenant)
    yield tenant
    fencing.lift(server, tenant)


@contextlib.contextmanager
def rows_of_others(ground: Ground, number: int) -> Iterator[None]:
    stranger = uuid.uuid4()
    with psycopg.connect(ground.owner_url) as admin:
        added = "insert into tags (tenant_id, id) select %s, 'tag ' || n from generate_series(1, %s) as n"
        admin.execute(added, [stranger, number])
        admin.commit()
        admin.autocommit = True
        admin.execute("analyze tags")
        yield
        admin.execute("delete from tags where tenant_id = %s", [stranger])


def silent(ground: Ground, tenant: Tenant, *, generic: bool, asking: tuple[str, ...] = QUESTIONS) -> list[str]:
    """Returns the statements that were answered; a plan that is kept was made while the tenant was still there."""
    found = []
    with psycopg.connect(ground.urls["app_url"], autocommit=True, prepare_threshold=None) as stale:
        stale.execute("set search_path = public")
        if generic:
            stale.execute("set plan_cache_mode = force_generic_plan")
        for number, question in enumerate(asking):
            statement = question.format(tenant=tenant.id)
            if generic:
                stale.execute(f"prepare p{number} as {statement}")
                assert asked(stale, f"execute p{number}", uuid.uuid4()) in (None, "42501"), question
                statement = f"execute p{number}"
            if asked(stale, statement, tenant.id) != "TN001":
                found.append(question)
    return found


def asked(stale: psycopg.Connection[Any], statement: str, tenant: uuid.UUID) -> str | None:
    """Returns what is wrong with a statement of a tenant's; None where it was answered."""
    stale.execute(f"begin; set local tenantry.tenant = '{tenant}'")
    try:
        stale.execute(statement)
    except psycopg.Error as error:
        return error.sqlstate
    finally:
        stale.execute("rollback")
    return None


@pytest.mark.parametrize("generic", [False, True], ids=["planned", "prepared before"])
@pytest.mark.parametrize("others", [0, 3, 3000])
def test_no_statement_at_a_left_place_is_answered(ground: Ground, stray: Tenant, others: int, generic: bool) -> None:
    with rows_of_others(ground, others):
        assert silent(ground, stray, generic=generic) == []
        assert silent(ground, stray, generic=generic, asking=(JOINED,)) == ([] if others else [JOINED])


def test_a_policy_that_only_asks_a_function_would_be_found_out(ground: Ground, stray: Tenant) -> None:
    with psycopg.connect(ground.owner_url, autocommit=True) as admin, rows_of_others(ground, 3000):
        (using, check) = admin.execute(
            "select pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid) from pg_policy "
            "where polname = 'tenantry_present' and polrelid = 'tags'::regclass"
        ).fetchone() or ("", "")
        admin.execute("drop policy tenantry_present on tags")
        try:
            assert len(silent(ground, stray, generic=False)) == len(QUESTIONS)
            admin.execute(CARELESS.format(function="tenantry_move.here('public')"))
            assert "select * from tags where id = 'x'" in silent(ground, stray, generic=False)
        finally:
            admin.execute(
                "drop policy if exists tenantry_present on tags; create policy tenantry_present on tags as restrictive "
                f"to tenantry_app, tenantry_owner using ({using}) with check ({check})"
            )
    assert silent(ground, stray, generic=False) == []
