"""Stage by stage: the old application goes on meanwhile, nothing is done before its time, and all can be taken back."""

from __future__ import annotations

import contextlib
import threading
from typing import Any

import pytest
import sqlalchemy as sa

from tenantry.errors import AdoptionBusy, AdoptionRefused, HomeBusy, StatementRefused, TenantUnavailable
from tenantry.events import listen
from tenantry.fleet.adopting import Adoption, Found, Plan, Stage, value
from tenantry.fleet.history import Pace

from . import shop
from .places import AnyShop, adopting, as_tenant_of, check_adopted

NEW_ORDER = {"order_id": 5000, "customer_id": "C0001", "employee_id": 1, "ship_via": 1, "freight": 1.0}


def write_as_before(place: AnyShop) -> shop.Rows:
    """Writes what an application writes that knows of no tenants, and returns all the rows there are now."""
    with place.old.begin() as connection:
        tables = shop.old.tables
        new = {"customer_id": "C9999", "company_name": "Newcomer"}
        connection.execute(tables["customers"].insert(), new)
        connection.execute(
            tables["orders"].insert(), [NEW_ORDER, {**NEW_ORDER, "order_id": 5001, "customer_id": "C9999"}]
        )
        line = {"product_id": 1, "unit_price": 1.0, "quantity": 1, "discount": 0.0}
        connection.execute(tables["order_details"].insert(), [{**line, "order_id": number} for number in (5000, 5001)])
        moved = tables["orders"].update().where(tables["orders"].c.order_id == 1)
        connection.execute(moved.values(customer_id="C0003"))
        connection.execute(tables["order_details"].delete().where(tables["order_details"].c.order_id == 2))
    return shop.rows_of(place.old)


def test_what_the_old_application_writes_after_fill_is_not_lost(place: AnyShop) -> None:
    with adopting(place) as (tenancy, adoption):
        assert adoption.advance("fill").stage is Stage.FILL
        rows = write_as_before(place)
        adoption.advance("filter")
        adoption.advance("enforce")
        check_adopted(tenancy, shop.owners(rows))


@pytest.mark.mainly("sqlite common")
def test_what_the_old_application_writes_in_stage_filter_is_not_lost(place: AnyShop) -> None:
    """A reference table has moved by then, and stands under its old name still."""
    with adopting(place) as (tenancy, adoption):
        adoption.advance("filter")
        place.run("update products set unit_price = 99 where product_id = 1")
        rows = write_as_before(place)
        adoption.refill()
        adoption.advance("enforce")
        check_adopted(tenancy, shop.owners(rows))
        with as_tenant_of(tenancy, "C0001") as session:
            assert session.get(shop.Product, 1).unit_price == 99


class Writer(threading.Thread):
    """The old application at work: an order with a line, again and again, each in a transaction of its own."""

    def __init__(self, engine: sa.Engine) -> None:
        super().__init__()
        self.engine = engine
        self.written: list[int] = []
        self.failed: list[Exception] = []
        self._ending = threading.Event()

    def run(self) -> None:
        tables, line = shop.old.tables, {"product_id": 1, "unit_price": 1.0, "quantity": 1, "discount": 0.0}
        for number in range(10_000, 30_000):
            if self._ending.is_set():
                return
            try:
                with self.engine.begin() as connection:
                    order = {**NEW_ORDER, "order_id": number, "customer_id": f"C{number % 12:04}"}
                    connection.execute(tables["orders"].insert(), order)
                    connection.execute(tables["order_details"].insert(), {**line, "order_id": number})
            except Exception as error:
                self.failed.append(error)
                return
            self.written.append(number)

    def end(self) -> None:
        self._ending.set()
        self.join(timeout=60)


@pytest.mark.mainly("postgresql")
def test_an_application_that_never_stops_writing_loses_nothing(place: AnyShop) -> None:
    """It writes all through fill and filter; the last order before enforce is there afterwards."""
    writer = Writer(place.old)
    with adopting(place) as (tenancy, adoption):
        writer.start()
        try:
            for stage in ("fill", "filter"):
                adoption.advance(stage)
            during = len(writer.written)
        finally:
            writer.end()
        assert writer.failed == []
        assert during > 1
        rows = shop.rows_of(place.old)
        adoption.advance("enforce")
        check_adopted(tenancy, shop.owners(rows))


def test_enforce_refuses_what_the_old_application_left_without_a_tenant(on_postgres: Any) -> None:
    with adopting(on_postgres) as (tenancy, adoption):
        adoption.advance("filter")
        rows = write_as_before(on_postgres)
        with pytest.raises(AdoptionRefused) as refused:
            adoption.advance("enforce")
        assert {(one.code, one.object) for one in refused.value.findings} >= {
            ("A103", "customers"),
            ("A103", "orders"),
            ("A110", "order_details"),
        }
        assert (adoption.status().stage, adoption.status().state) == (Stage.FILTER, "failed")
        assert adoption.refill().ok
        adoption.advance()
        check_adopted(tenancy, shop.owners(rows))


def test_mismatches_are_counted(on_postgres: Any) -> None:
    with adopting(on_postgres) as (_, adoption):
        adoption.advance("filter")
        # The line says by its order that it is another's now.
        on_postgres.run("update orders set customer_id = 'C0004' where order_id = 3")
        lines = on_postgres.rows("select count(*) from order_details where order_id = 3")[0][0]
        found = adoption.observe()
        assert found.tables["order_details"].differing == lines > 0
        assert found.tables["orders"].differing == 0
        assert adoption.refill().tables["order_details"].differing == 0


def test_sessions_open_with_stage_filter_and_see_their_own(on_postgres: Any) -> None:
    """The rows are walled for tenants' sessions at once; text waits until the wall stands for everybody."""
    counted = shop.owners(shop.made_up())
    with adopting(on_postgres) as (tenancy, adoption):
        adoption.advance("fill")
        with pytest.raises(TenantUnavailable):
            as_tenant_of(tenancy, "C0001")
        adoption.advance("filter")
        with as_tenant_of(tenancy, "C0001") as session:
            assert len(session.scalars(sa.select(shop.Order)).all()) == counted["C0001"]["orders"]
            with pytest.raises(StatementRefused):
                session.execute(sa.text("select * from orders"))
            session.add(shop.Order(order_id=6000, customer_id="C0001"))
            session.commit()
        app = sa.create_engine(tenancy_url(on_postgres, "app"))
        with app.connect() as connection, pytest.raises(sa.exc.DBAPIError, match=r"tenantry\.tenant"):
            connection.execute(sa.text("select * from public.orders"))
        app.dispose()
        with on_postgres.old.connect() as connection:
            seen = connection.scalar(sa.text("select count(*) from orders"))
        assert seen == len(shop.made_up()["orders"]) + 1
        assert on_postgres.rows("select count(*) from orders where tenant_id is null") == [(0,)]


def tenancy_url(place: Any, login: str) -> str:
    return place.urls()["url" if login == "app" else f"{login}_url"].replace("postgresql:", "postgresql+psycopg:")


@pytest.mark.mainly("postgresql")
def test_the_old_application_is_out_after_enforce(place: AnyShop) -> None:
    with adopting(place) as (_, adoption):
        adoption.advance()
    with (
        place.old.begin() as connection,
        pytest.raises(sa.exc.DBAPIError, match=r"permission denied|adopted by tenantry"),
    ):
        connection.execute(shop.old.tables["orders"].insert(), NEW_ORDER)


@pytest.mark.mainly("postgresql-embedded-filter", "sqlite files-embedded-fill")
@pytest.mark.parametrize("stage", ["fill", "filter"])
def test_rolled_back_everything_is_as_it_was(place: AnyShop, stage: str) -> None:
    before = place.shape()
    with adopting(place) as (tenancy, adoption):
        adoption.advance(stage)
        assert adoption.rollback().stage is Stage.OBSERVE
        assert tenancy.tenants.list() == []
        assert place.shape() == before
        with place.old.begin() as connection:
            connection.execute(shop.old.tables["orders"].insert(), NEW_ORDER)
        rows = shop.rows_of(place.old)
        adoption.advance()
        check_adopted(tenancy, shop.owners(rows))


@pytest.mark.mainly("sqlite common")
def test_one_stage_is_taken_back(place: AnyShop) -> None:
    with adopting(place) as (tenancy, adoption):
        adoption.advance("filter")
        assert adoption.rollback(to="fill").stage is Stage.FILL
        with pytest.raises(TenantUnavailable):
            as_tenant_of(tenancy, "C0001")
        rows = write_as_before(place)
        adoption.advance()
        check_adopted(tenancy, shop.owners(rows))


@pytest.mark.mainly("sqlite files")
def test_past_enforce_nothing_goes_back(place: AnyShop) -> None:
    with adopting(place) as (tenancy, adoption):
        adoption.advance()
        with pytest.raises(AdoptionRefused, match="A121"):
            adoption.rollback()
        with pytest.raises(AdoptionRefused, match="A121"):
            adoption.refill()
        check_adopted(tenancy, shop.owners(shop.made_up()))


def test_what_the_new_application_wrote_outlives_a_rollback(on_postgres: Any) -> None:
    with adopting(on_postgres) as (tenancy, adoption):
        adoption.advance("filter")
        with as_tenant_of(tenancy, "C0001") as session:
            session.add(shop.Order(order_id=6000, customer_id="C0001"))
            session.commit()
        adoption.rollback()
        assert on_postgres.rows("select customer_id from orders where order_id = 6000") == [("C0001",)]


def test_a_second_one_waits_its_turn(place: AnyShop) -> None:
    """While one is at work, another finds it busy, by the journal that both read."""
    busy: list[str] = []

    def heard(step: Any) -> None:
        if step.operation == "adopt" and not busy:
            with adopting(place) as (_, second), pytest.raises(AdoptionBusy):
                second.advance("fill")
            busy.append(step.name)

    with adopting(place) as (_, adoption):
        stop = listen(heard)
        try:
            adoption.advance("fill")
        finally:
            stop()
    assert busy


def test_another_plan_is_refused_once_rows_have_their_tenant(place: AnyShop) -> None:
    with adopting(place) as (_, adoption):
        adoption.advance("fill")
    other = Plan(tenants=shop.PLAN.tenants, rows={"orders": value("'C0001'")}, identity="customer_id")
    with adopting(place, other) as (_, adoption), pytest.raises(AdoptionRefused, match="A120"):
        adoption.advance("filter")


def test_a_reader_who_does_not_let_go_stops_nothing_for_long(on_postgres: Any) -> None:
    """The swap asks for its locks with a time limit, and can be asked for again."""
    pace = Pace(lock_timeout=0.1, attempts=2)
    with adopting(on_postgres, pace=pace) as (tenancy, adoption):
        adoption.advance("filter")
        with on_postgres.old.connect() as reader:
            reader.execute(sa.text("select * from order_details")).all()
            with pytest.raises(HomeBusy):
                adoption.advance("enforce")
        adoption.advance("enforce")
        check_adopted(tenancy, shop.owners(shop.made_up()))


def test_values_of_any_kind_become_tenants(on_postgres: Any) -> None:
    """What a tenant is may be computed, and so may its slug; a percent sign is nothing but a sign."""
    plan = Plan(
        tenants=Found(
            table="customers",
            value="CASE WHEN customer_id LIKE '%0' THEN 'even/10' ELSE 'rest %' END",
            slug="CASE WHEN customer_id LIKE '%0' THEN 'tens' ELSE 'others' END",
        ),
        rows={"customers": value("CASE WHEN r.customer_id LIKE '%0' THEN 'even/10' ELSE 'rest %' END")},
        identity="pile",
    )
    with adopting(on_postgres, plan) as (tenancy, adoption):
        found = adoption.observe()
        # The models say that a customer is a tenant, and two piles of them are not.
        assert {finding.code for finding in found.findings} == {"A105", "A107"}
        assert found.tenants == 2
        with contextlib.suppress(AdoptionRefused):
            Adoption(tenancy, plan).advance("fill")
        assert adoption.status().stage is Stage.OBSERVE
