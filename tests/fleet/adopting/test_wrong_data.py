"""Wrong data: found by looking, named row by row, refused by stage enforce, and accepted once it is mended."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tenantry.errors import AdoptionRefused, TenantExists, TenantLimitReached
from tenantry.fleet.adopting import Found, Plan, Stage, through, value

from . import shop
from .places import AnyShop, SqliteShop, adopting, check_adopted


@dataclass(frozen=True)
class Fault:
    """What is planted, by which code and at which object it is found, and what mends it."""

    planted: tuple[str, ...]
    code: str
    object: str
    said: str
    mended: tuple[str, ...]


ORDER = "insert into orders (order_id, customer_id, employee_id, ship_via) values"
LINE = "insert into order_details (order_id, product_id, unit_price, quantity, discount) values"
FAULTS = {
    "rows without a tenant": Fault(
        (f"{ORDER} (900, null, 1, 1)", f"{ORDER} (901, null, 1, 1)"),
        code="A103",
        object="orders",
        said="2 of 92 row(s) find no tenant (order_id: 900; 901).",
        mended=("delete from orders where order_id >= 900",),
    ),
    "an orphan that no key forbade": Fault(
        ("alter table order_details drop constraint order_details_order_id_fkey", f"{LINE} (950, 1, 1, 1, 0)"),
        code="A106",
        object="order_details(order_id)",
        said="1 row(s) refer to a row of orders that is not there.",
        mended=("delete from order_details where order_id = 950",),
    ),
    "a key that the models do not know": Fault(
        ("alter table orders add constraint odd unique (order_date, order_id)",),
        code="A105",
        object="orders(order_date, order_id)",
        said="The unique odd does not stand in the models, so it would go.",
        mended=("alter table orders drop constraint odd",),
    ),
    "a column that takes no row without it": Fault(
        ("alter table orders add column odd integer not null default 1", "alter table orders alter odd drop default"),
        code="A115",
        object="orders.odd",
        said="The models do not know the column, and it takes no row without it.",
        mended=("alter table orders drop column odd",),
    ),
    "a column that is missing": Fault(
        ("alter table orders drop column freight",),
        code="A108",
        object="orders.freight",
        said="The models have a column that is not there.",
        mended=("alter table orders add column freight real",),
    ),
    "two rows where the models tell one": Fault(
        (
            "alter table customer_customer_demo drop constraint customer_customer_demo_pkey",
            "insert into customer_customer_demo select * from customer_customer_demo where customer_id = 'C0000'",
        ),
        code="A107",
        object="customer_customer_demo(customer_id, customer_type_id)",
        said="1 value(s) stand in more than one row of a tenant.",
        mended=(
            "delete from customer_customer_demo where customer_id = 'C0000'",
            "insert into customer_customer_demo values ('C0000', 'SMALL')",
        ),
    ),
    "a row without a key": Fault(
        (
            "alter table customer_customer_demo drop constraint if exists customer_customer_demo_pkey",
            "alter table customer_customer_demo alter customer_type_id drop not null",
            "insert into customer_customer_demo values ('C0001', null)",
        ),
        code="A113",
        object="customer_customer_demo(customer_id, customer_type_id)",
        said="1 row(s) have no value in the key.",
        mended=("delete from customer_customer_demo where customer_type_id is null",),
    ),
    "a slug that no tenant can have": Fault(
        ("insert into customers (customer_id, company_name) values ('A B_C', 'odd')",),
        code="A109",
        object="A B_C",
        said="The slug is not usable: 'a b_c' does not have the form. Use 1 to 63 of a-z, 0-9 and '-', starting and "
        "ending with a letter or digit.",
        mended=("delete from customers where customer_id = 'A B_C'",),
    ),
    "a table that is partitioned": Fault(
        (
            "alter table customer_customer_demo rename to whole",
            "create table customer_customer_demo (like whole) partition by list (customer_type_id)",
        ),
        code="A114",
        object="customer_customer_demo",
        said="The table is partitioned or foreign, and cannot be adopted.",
        mended=("drop table customer_customer_demo", "alter table whole rename to customer_customer_demo"),
    ),
    "a reference table that stands twice": Fault(
        ("create table tenantry_shared.shippers (shipper_id smallint primary key, company_name varchar(40))",),
        code="A117",
        object="shippers",
        said="The table stands both in tenantry_shared and in public.",
        mended=("drop table tenantry_shared.shippers",),
    ),
}


# What makes the questions about rows impossible is found first, and alone.
STRUCTURAL = [name for name, fault in FAULTS.items() if fault.code in ("A108", "A114", "A115", "A117")]
OF_ROWS = [name for name in FAULTS if name not in STRUCTURAL]


@pytest.mark.parametrize("names", [STRUCTURAL, OF_ROWS], ids=["structure", "rows"])
def test_faults_are_found_refused_and_mended(on_postgres: Any, names: list[str]) -> None:
    faults = [FAULTS[name] for name in names]
    on_postgres.run(*(statement for fault in faults for statement in fault.planted))
    with adopting(on_postgres) as (tenancy, adoption):
        found = {(one.code, one.object, one.message) for one in adoption.observe().findings}
        assert found >= {(fault.code, fault.object, fault.said) for fault in faults}
        assert {code for code, *_ in found} == {fault.code for fault in faults}
        with pytest.raises(AdoptionRefused) as refused:
            adoption.advance("enforce")
        assert {finding.code for finding in refused.value.findings} <= {fault.code for fault in faults}
        assert on_postgres.rows("select 1 from pg_class where relname = 'orders' and relforcerowsecurity") == []
        on_postgres.run(*(statement for fault in reversed(faults) for statement in fault.mended))
        assert adoption.observe().ok
        adoption.advance()
        check_adopted(tenancy, shop.owners(shop.made_up()))


@pytest.mark.parametrize("name", ["rows without a tenant", "an orphan that no key forbade"])
def test_rows_at_fault_stop_stage_enforce_alone(on_postgres: Any, name: str) -> None:
    fault = FAULTS[name]
    on_postgres.run(*fault.planted)
    with adopting(on_postgres) as (_, adoption):
        found = [(one.code, one.object, one.message) for one in adoption.advance("filter").findings]
        assert (fault.code, fault.object, fault.said) in found
        with pytest.raises(AdoptionRefused, match=fault.code):
            adoption.advance("enforce")
        assert (adoption.status().stage, adoption.status().state) == (Stage.FILTER, "failed")
        on_postgres.run(*fault.mended)
        assert adoption.advance("enforce").stage is Stage.ENFORCE


BY_COLUMN = Plan(
    tenants=shop.PLAN.tenants,
    rows={"order_details": value("(select o.customer_id from orders o where o.order_id = r.order_id + 1)")},
    identity="customer_id",
    losing=shop.PLAN.losing,
)


def test_a_key_that_would_cross_tenants_is_found(place: AnyShop) -> None:
    """The rule gives lines to the customer of the next order: nothing that a foreign key can hold."""
    rows = shop.made_up()
    owner = {row["order_id"]: row["customer_id"] for row in rows["orders"]}
    lines = [row["order_id"] for row in rows["order_details"]]
    crossing = sum(owner.get(number + 1) not in (None, owner[number]) for number in lines)
    lost = sum(number + 1 not in owner for number in lines)
    with adopting(place, BY_COLUMN) as (_, adoption):
        findings = {one.code: one for one in adoption.observe().findings}
        assert findings.keys() == {"A103", "A104"}
        assert findings["A103"].message.startswith(f"{lost} of {len(lines)} row(s)")
        assert findings["A104"].object == "order_details(order_id)"
        assert findings["A104"].message.startswith(f"{crossing} row(s) refer to a row of orders that is another")
        if place.source is None:
            # Once the rows have their tenants the same rows are found by what they were given.
            given = {one.code: one for one in adoption.advance("filter").findings}
            assert {code: one.message for code, one in given.items()} == {
                code: one.message for code, one in findings.items()
            }
        with pytest.raises(AdoptionRefused, match="A104"):
            adoption.advance("enforce")
        assert adoption.rollback().stage is Stage.OBSERVE


@pytest.mark.mainly("postgresql")
def test_rows_without_a_tenant_stay_where_they_are(place: AnyShop) -> None:
    """SQLite's old file takes writes again after a refusal; nobody has got a row that is not his."""
    place.run(f"{ORDER} (900, null, 1, 1)")
    with adopting(place) as (tenancy, adoption):
        assert adoption.observe().tables["orders"].without == 1
        adoption.advance("filter")
        with pytest.raises(AdoptionRefused, match="A103 orders"):
            adoption.advance("enforce")
        place.run("update orders set customer_id = 'C0001' where order_id = 900")
        rows = shop.rows_of(place.old)
        if place.source is None:
            assert adoption.observe().ok
        adoption.advance()
        check_adopted(tenancy, shop.owners(rows))


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda plan: replace(plan, tenants=Found(table="missing", value="id")), "A101"),
        (lambda plan: replace(plan, rows={"orders": through("order_details")}), "A102"),
        (lambda plan: replace(plan, rows={"orders": through("products")}), "A102"),
        (lambda plan: replace(plan, tenants=Found(table="customers", value="customer_id", slug="'one'")), "A109"),
    ],
)
def test_a_plan_at_fault_changes_nothing(place: AnyShop, change: Callable[[Plan], Plan], code: str) -> None:
    before = place.shape()
    with adopting(place, change(shop.PLAN)) as (tenancy, adoption):
        assert code in {finding.code for finding in adoption.observe().findings}
        with pytest.raises(AdoptionRefused, match=code):
            adoption.advance("fill")
        assert tenancy.tenants.list() == []
    assert place.shape() == before


def test_a_slug_of_another_tenant_is_found(place: AnyShop) -> None:
    with adopting(place) as (tenancy, adoption):
        tenancy.tenants.create("c0003", isolation="rows")
        findings = [(one.code, one.object) for one in adoption.observe().findings]
        assert ("A109", "C0003") in findings
        with pytest.raises(AdoptionRefused):
            adoption.advance("fill")
        # The slug would rest for as long as other processes may remember whose it was.
        with contextlib.closing(place.tenancy(route_ttl=0.0)) as brief:
            brief.tenants.rename("c0003", "another")
        adoption.advance("fill")


@pytest.mark.mainly("postgresql", "sqlite common")
def test_a_slug_that_another_tenant_gave_up_just_now_rests(place: AnyShop) -> None:
    """Another process may still take it for that tenant's."""
    with adopting(place) as (tenancy, adoption):
        tenancy.tenants.create("c0003", isolation="rows")
        tenancy.tenants.rename("c0003", "another")
        with pytest.raises(TenantExists, match="less than"):
            adoption.advance("fill")


def test_tables_of_another_owner_are_found(on_postgres: Any) -> None:
    with on_postgres.office.server.admin(on_postgres.name) as connection:
        connection.execute(f"ALTER TABLE orders OWNER TO {on_postgres.office.clerk}")
    with adopting(on_postgres) as (_, adoption):
        assert [(one.code, one.object) for one in adoption.observe().findings] == [("A111", "orders")]


def test_the_ceiling_of_tenants_holds(office: Any, old_database: str) -> None:
    place = office.open(old_database, max_tenants=5)
    try:
        with adopting(place) as (tenancy, adoption):
            with pytest.raises(TenantLimitReached):
                adoption.advance("fill")
            assert tenancy.tenants.list() == []
            adoption.rollback()
    finally:
        place.close()


def test_rows_already_in_the_platforms_file_are_found(tmp_path: Path, old_file: Path) -> None:
    place = SqliteShop(tmp_path, old_file, isolation="database")
    with adopting(place) as (tenancy, adoption):
        with tenancy.platform() as session:
            session.add(shop.Employee(employee_id=99, last_name="Here before"))
            session.commit()
        assert [(one.code, one.object) for one in adoption.observe().findings] == [("A119", "employees")]


def test_a_database_error_says_nothing_of_rows(on_postgres: Any) -> None:
    """What is noted and shown is the state and the sentence, never a value."""
    with adopting(on_postgres) as (_, adoption):
        adoption.advance("filter")
        on_postgres.run(
            "create function public.no() returns trigger language plpgsql as "
            "$$ begin raise exception 'no' using detail = 'customer C0003 owes 12'; end $$",
            "create trigger no before update on orders for each row execute function public.no()",
            "alter table orders disable trigger tenantry_adopting",
            "insert into orders (order_id, customer_id) values (999, 'C0003')",
            "alter table orders enable trigger tenantry_adopting",
        )
        with pytest.raises(Exception, match=r"no \(SQLSTATE P0001\)") as failed:
            adoption.refill()
        assert "owes" not in str(failed.value)
        status = adoption.status()
        assert (status.state, "owes" in status.error, "P0001" in status.error) == ("failed", False, True)


def test_a_missing_file_is_an_error_and_not_a_new_file(tmp_path: Path, old_file: Path) -> None:
    place = SqliteShop(tmp_path, old_file, isolation="database")
    place.path.unlink()
    with adopting(place) as (_, adoption), pytest.raises(sa.exc.OperationalError, match="unable to open"):
        adoption.observe()
    assert not place.path.exists()
