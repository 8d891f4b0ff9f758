"""A database with no tenancy taken over whole: customers become tenants, and each sees its rows and no others."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tenantry.fleet.adopting import Stage, TableCount

from . import shop
from .places import AnyShop, Office, SqliteShop, adopting, as_tenant_of, check_adopted, engine_of


def data_directory() -> Path | None:
    """Returns where the real rows are, if they are at hand."""
    beside = Path(__file__).resolve().parents[4] / "shared" / "data"
    given = Path(os.environ.get("TENANTRY_TEST_DATA") or beside)
    return given if (given / shop.DUMP).is_file() else None


DATA = data_directory()


def test_observing_changes_nothing_and_counts_everything(place: AnyShop) -> None:
    before, rows = place.shape(), shop.made_up()
    with adopting(place) as (tenancy, adoption):
        found = adoption.observe()
        assert tenancy.tenants.list() == []
    assert place.shape() == before
    assert found.ok, [str(finding) for finding in found.findings]
    assert (found.stage, found.tenants) == (Stage.OBSERVE, len(rows["customers"]))
    assert found.tables == {name: TableCount(len(rows[name])) for name in shop.WALLED}
    said = {(note.code, note.object) for note in found.notes}
    assert ("A202", "orders(employee_id)") in said
    assert ("A203", "orders(order_id)") in said


def test_every_customer_sees_its_rows_and_no_others(place: AnyShop) -> None:
    with adopting(place) as (tenancy, adoption):
        found = adoption.advance()
        assert (found.stage, adoption.status().state) == (Stage.ENFORCE, "done")
        check_adopted(tenancy, shop.owners(shop.made_up()))


def test_reference_rows_are_everybodys_and_the_platforms_nobodys(place: AnyShop) -> None:
    rows = shop.made_up()
    with adopting(place) as (tenancy, adoption):
        adoption.advance()
        with as_tenant_of(tenancy, "C0001") as session:
            assert len(session.scalars(sa.select(shop.Product)).all()) == len(rows["products"])
            with pytest.raises(sa.exc.DBAPIError):
                session.execute(sa.text("select * from employees"))
        with tenancy.platform() as session:
            assert len(session.scalars(sa.select(shop.Employee)).all()) == len(rows["employees"])


def test_the_application_goes_on_with_its_models(place: AnyShop) -> None:
    """Numbers go on behind the highest, relationships lead to own rows, keys hold within the tenant."""
    rows = shop.made_up()
    with adopting(place) as (tenancy, adoption):
        adoption.advance()
        with as_tenant_of(tenancy, "C0002") as session:
            order = shop.Order(customer_id="C0002", ship_via=1)
            order.lines = [shop.OrderDetail(product_id=1, unit_price=1.0, quantity=2, discount=0.0)]
            session.add(order)
            session.commit()
            mine = [row["order_id"] for row in rows["orders"] if row["customer_id"] == "C0002"]
            assert order.order_id > max(mine)
            customer = session.scalars(sa.select(shop.Customer)).one()
            assert (customer.id, customer.company_name) == (session.tenant.id, "Customer C0002")
        another = next(row["order_id"] for row in rows["orders"] if row["customer_id"] != "C0002")
        with as_tenant_of(tenancy, "C0002") as session:
            session.add(shop.OrderDetail(order_id=another, product_id=7, unit_price=1, quantity=1, discount=0))
            with pytest.raises(sa.exc.IntegrityError):
                session.commit()


@pytest.mark.mainly("postgresql")
def test_advancing_again_does_nothing(place: AnyShop) -> None:
    with adopting(place) as (tenancy, adoption):
        adoption.advance()
        ids = {tenant.slug: tenant.id for tenant in tenancy.tenants.list()}
        assert adoption.advance().stage is Stage.ENFORCE
    with adopting(place) as (tenancy, adoption):
        assert adoption.advance().stage is Stage.ENFORCE
        tenancy.install()
        assert {tenant.slug: tenant.id for tenant in tenancy.tenants.list()} == ids
        check_adopted(tenancy, shop.owners(shop.made_up()))


def test_numbers_and_names_of_the_new_keys_are_the_models(on_postgres: Any, office: Office) -> None:
    """What stands afterwards is what the models would make, down to the definitions of keys, policies and grants."""
    with adopting(on_postgres) as (_, adoption):
        adoption.advance()
    fresh = office.open("template0")
    try:
        with adopting(fresh) as (tenancy, _):
            tenancy.install(create_tables=True)
        assert keys_of(on_postgres) == keys_of(fresh)
    finally:
        fresh.close()


def keys_of(place: Any) -> list[Any]:
    tables = "('customers', 'orders', 'order_details', 'customer_customer_demo')"
    return [
        place.rows(
            "select conrelid::regclass::text, conname, pg_get_constraintdef(oid), convalidated from pg_constraint "
            f"where conrelid::regclass::text in {tables} and contype <> 'n' order by 1, 2"
        ),
        place.rows(f"select indexdef from pg_indexes where tablename in {tables} order by 1"),
        place.rows("select * from pg_policies where schemaname = 'public' order by tablename, policyname"),
        place.rows(
            "select c.relname, a.grantee::regrole::text, a.privilege_type, c.relrowsecurity, c.relforcerowsecurity, "
            "pg_get_userbyid(c.relowner) from pg_class c, aclexplode(c.relacl) a "
            "where relnamespace::regnamespace::text in ('public', 'tenantry_shared') order by 1, 2, 3"
        ),
        place.rows(
            "select attrelid::regclass::text, attname, format_type(atttypid, atttypmod), attnotnull, attidentity, "
            f"col_description(attrelid, attnum) from pg_attribute where attrelid::regclass::text in {tables} "
            "and attnum > 0 and not attisdropped order by 1, 2"
        ),
    ]


def load(url: str, data: Path | None) -> None:
    if data is None:
        shop.load(engine_of(url), shop.made_up(customers=30, orders=300))
    else:
        shop.load_dump(url, data)


@pytest.mark.mainly("postgresql")
@pytest.mark.parametrize("data", [DATA], ids=["northwind" if DATA else "made-up"])
@pytest.mark.parametrize("on_sqlite", [False, True], ids=["postgresql", "sqlite"])
def test_a_larger_shop(office: Office, tmp_path: Path, data: Path | None, on_sqlite: bool) -> None:
    """Northwind where it is at hand: 91 customers become tenants with their 830 orders and 2,155 lines."""
    loaded = office.load(lambda url: load(url, data))
    rows = shop.rows_of(engine_of(office.url(loaded, office.boss)))
    if data:
        assert [len(rows[name]) for name in shop.WALLED] == [91, 830, 2155, 0]
    if on_sqlite:
        shop.load(engine_of(f"sqlite:///{tmp_path / 'shop.db'}"), rows)
    place = SqliteShop(tmp_path, tmp_path / "shop.db", isolation="database") if on_sqlite else office.open(loaded)
    try:
        with adopting(place, batch=500) as (tenancy, adoption):
            assert adoption.observe().ok
            adoption.advance()
            check_adopted(tenancy, shop.owners(rows))
    finally:
        place.close()


@pytest.mark.soak
@pytest.mark.parametrize("on_sqlite", [False, True], ids=["postgresql", "sqlite"])
def test_how_long_each_stage_takes(office: Office, tmp_path: Path, on_sqlite: bool) -> None:
    """Thirty thousand orders of two hundred customers; the figures are printed, and judged by nobody."""
    rows = shop.made_up(customers=200, orders=30_000)
    if on_sqlite:
        shop.load(engine_of(f"sqlite:///{tmp_path / 'shop.db'}"), rows)
        place: AnyShop = SqliteShop(tmp_path, tmp_path / "shop.db", isolation="database")
    else:
        place = office.open(office.load(lambda url: shop.load(engine_of(url), rows)))
    try:
        with adopting(place, batch=1000) as (tenancy, adoption):
            took = {"observe": seconds(adoption.observe)}
            for stage in ("fill", "filter", "enforce"):
                took[stage] = seconds(lambda stage=stage: adoption.advance(stage))
            check_adopted(tenancy, shop.owners(rows))
        lines = len(rows["order_details"])
        print(f"\n200 customers, 30,000 orders, {lines:,} lines:", {name: round(took[name], 1) for name in took})
    finally:
        place.close()


def seconds(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun
