"""A shop's database as it was before anyone thought of tenants, and the models it is to have afterwards.

The tables are those of the Northwind sample; its rows are used where the data directory is at hand, and made-up ones
otherwise.
"""

from __future__ import annotations

import datetime
import gzip
import random
from pathlib import Path
from typing import Any

import psycopg
import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from tenantry.fleet.adopting import Found, Plan
from tenantry.models import Platform, Shared, TenantOwned, TenantRecord

DUMP = "crm/northwind.sql.gz"
PLAN = Plan(
    tenants=Found(table="customers", value="customer_id", name="company_name"),
    identity="customer_id",
    losing=frozenset({"orders(employee_id)"}),
)
WALLED = ("customers", "orders", "order_details", "customer_customer_demo")

old = sa.MetaData()


def number(name: str, *arguments: Any, **options: Any) -> sa.Column[int]:
    return sa.Column(name, sa.SmallInteger, *arguments, autoincrement=False, **options)


sa.Table("categories", old, number("category_id", primary_key=True), sa.Column("category_name", sa.String(15)))
sa.Table("suppliers", old, number("supplier_id", primary_key=True), sa.Column("company_name", sa.String(40)))
sa.Table("shippers", old, number("shipper_id", primary_key=True), sa.Column("company_name", sa.String(40)))
sa.Table(
    "products",
    old,
    number("product_id", primary_key=True),
    sa.Column("product_name", sa.String(40), nullable=False),
    number("supplier_id", sa.ForeignKey("suppliers.supplier_id")),
    number("category_id", sa.ForeignKey("categories.category_id")),
    sa.Column("unit_price", sa.REAL),
    sa.Column("discontinued", sa.Integer, nullable=False),
)
sa.Table("employees", old, number("employee_id", primary_key=True), sa.Column("last_name", sa.String(20)))
sa.Table("customer_demographics", old, sa.Column("customer_type_id", sa.String(5), primary_key=True))
sa.Table(
    "customers",
    old,
    sa.Column("customer_id", sa.String(5), primary_key=True),
    sa.Column("company_name", sa.String(40), nullable=False),
    sa.Column("city", sa.String(15)),
)
sa.Table(
    "customer_customer_demo",
    old,
    sa.Column("customer_id", sa.ForeignKey("customers.customer_id"), primary_key=True),
    sa.Column("customer_type_id", sa.ForeignKey("customer_demographics.customer_type_id"), primary_key=True),
)
sa.Table(
    "orders",
    old,
    number("order_id", primary_key=True),
    sa.Column("customer_id", sa.ForeignKey("customers.customer_id")),
    number("employee_id", sa.ForeignKey("employees.employee_id")),
    number("ship_via", sa.ForeignKey("shippers.shipper_id")),
    sa.Column("order_date", sa.Date),
    sa.Column("freight", sa.REAL),
)
sa.Table(
    "order_details",
    old,
    number("order_id", sa.ForeignKey("orders.order_id"), primary_key=True),
    number("product_id", sa.ForeignKey("products.product_id"), primary_key=True),
    sa.Column("unit_price", sa.REAL, nullable=False),
    sa.Column("quantity", sa.SmallInteger, nullable=False),
    sa.Column("discount", sa.REAL, nullable=False),
)


class Base(DeclarativeBase):
    """The models of the same shop as a Tenantry application has them."""


class Category(Shared, Base):
    __tablename__ = "categories"
    category_id: Mapped[int] = mapped_column(sa.SmallInteger, primary_key=True, autoincrement=False)
    category_name: Mapped[str | None] = mapped_column(sa.String(15))


class Supplier(Shared, Base):
    __tablename__ = "suppliers"
    supplier_id: Mapped[int] = mapped_column(sa.SmallInteger, primary_key=True, autoincrement=False)
    company_name: Mapped[str | None] = mapped_column(sa.String(40))


class Shipper(Shared, Base):
    __tablename__ = "shippers"
    shipper_id: Mapped[int] = mapped_column(sa.SmallInteger, primary_key=True, autoincrement=False)
    company_name: Mapped[str | None] = mapped_column(sa.String(40))


class Demographic(Shared, Base):
    __tablename__ = "customer_demographics"
    customer_type_id: Mapped[str] = mapped_column(sa.String(5), primary_key=True)


class Product(Shared, Base):
    __tablename__ = "products"
    product_id: Mapped[int] = mapped_column(sa.SmallInteger, primary_key=True, autoincrement=False)
    product_name: Mapped[str] = mapped_column(sa.String(40))
    supplier_id: Mapped[int | None] = mapped_column(sa.SmallInteger, sa.ForeignKey("suppliers.supplier_id"))
    category_id: Mapped[int | None] = mapped_column(sa.SmallInteger, sa.ForeignKey("categories.category_id"))
    unit_price: Mapped[float | None] = mapped_column(sa.REAL)
    discontinued: Mapped[int] = mapped_column(sa.Integer)


class Employee(Platform, Base):
    __tablename__ = "employees"
    employee_id: Mapped[int] = mapped_column(sa.SmallInteger, primary_key=True, autoincrement=False)
    last_name: Mapped[str | None] = mapped_column(sa.String(20))


class Customer(TenantRecord, Base):
    __tablename__ = "customers"
    customer_id: Mapped[str] = mapped_column(sa.String(5), unique=True)
    company_name: Mapped[str] = mapped_column(sa.String(40))
    city: Mapped[str | None] = mapped_column(sa.String(15))


class CustomerDemographic(TenantOwned, Base):
    __tablename__ = "customer_customer_demo"
    customer_id: Mapped[str] = mapped_column(sa.ForeignKey("customers.customer_id"), primary_key=True)
    customer_type_id: Mapped[str] = mapped_column(
        sa.ForeignKey("customer_demographics.customer_type_id"), primary_key=True
    )


class Order(TenantOwned, Base):
    __tablename__ = "orders"
    order_id: Mapped[int] = mapped_column(sa.SmallInteger, primary_key=True)
    customer_id: Mapped[str | None] = mapped_column(sa.ForeignKey("customers.customer_id"))
    employee_id: Mapped[int | None] = mapped_column(sa.SmallInteger)
    ship_via: Mapped[int | None] = mapped_column(sa.SmallInteger, sa.ForeignKey("shippers.shipper_id"))
    order_date: Mapped[datetime.date | None]
    freight: Mapped[float | None] = mapped_column(sa.REAL)
    lines: Mapped[list[OrderDetail]] = relationship(back_populates="order")


class OrderDetail(TenantOwned, Base):
    __tablename__ = "order_details"
    order_id: Mapped[int] = mapped_column(sa.ForeignKey("orders.order_id"), primary_key=True)
    product_id: Mapped[int] = mapped_column(sa.ForeignKey("products.product_id"), primary_key=True)
    unit_price: Mapped[float] = mapped_column(sa.REAL)
    quantity: Mapped[int] = mapped_column(sa.SmallInteger)
    discount: Mapped[float] = mapped_column(sa.REAL)
    order: Mapped[Order] = relationship(back_populates="lines")


Rows = dict[str, list[dict[str, Any]]]


def made_up(*, customers: int = 12, orders: int = 90) -> Rows:
    """Returns the rows of a small shop, the same each time."""
    dice = random.Random(5)
    names = [f"C{index:04}" for index in range(customers)]
    rows: Rows = {
        "categories": [{"category_id": index, "category_name": f"Category {index}"} for index in (1, 2)],
        "suppliers": [{"supplier_id": 1, "company_name": "Only"}],
        "shippers": [{"shipper_id": index, "company_name": f"Carrier {index}"} for index in (1, 2, 3)],
        "customer_demographics": [{"customer_type_id": "LARGE"}, {"customer_type_id": "SMALL"}],
        "employees": [{"employee_id": index, "last_name": f"Clerk {index}"} for index in (1, 2)],
        "customers": [{"customer_id": name, "company_name": f"Customer {name}", "city": "Ulm"} for name in names],
        "customer_customer_demo": [{"customer_id": name, "customer_type_id": "SMALL"} for name in names[::2]],
        "products": [],
        "orders": [],
        "order_details": [],
    }
    for index in range(1, 8):
        kind = {"product_id": index, "product_name": f"Product {index}", "unit_price": index * 1.5, "discontinued": 0}
        rows["products"].append({**kind, "supplier_id": 1, "category_id": 1 + index % 2})
    for index in range(1, orders + 1):
        day = datetime.date(1997, 1, 1) + datetime.timedelta(days=index)
        order = {"order_id": index, "customer_id": dice.choice(names), "employee_id": dice.choice((1, 2))}
        rows["orders"].append({**order, "ship_via": dice.choice((1, 2, 3)), "order_date": day, "freight": 1.25})
        for product in dice.sample(range(1, 8), dice.randint(1, 4)):
            line = {"order_id": index, "product_id": product, "unit_price": 2.5, "discount": 0.0}
            rows["order_details"].append({**line, "quantity": dice.randint(1, 9)})
    return rows


def load_made_up(engine: sa.Engine) -> None:
    """Makes the old tables with the rows of a small shop."""
    load(engine, made_up())


def load(engine: sa.Engine, rows: Rows) -> None:
    """Makes the old tables with these rows."""
    old.create_all(engine)
    with engine.begin() as connection:
        for table in old.sorted_tables:
            if rows[table.name]:
                connection.execute(table.insert(), rows[table.name])


def load_dump(url: str, data: Path) -> None:
    """Makes the tables of the Northwind sample as its dump has them, with all its columns."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(gzip.decompress((data / DUMP).read_bytes()).decode())


def rows_of(engine: sa.Engine) -> Rows:
    """Returns the rows of the old tables, by the columns that are known here."""
    with engine.connect() as connection:
        return {
            table.name: [dict(row) for row in connection.execute(sa.select(table)).mappings()]
            for table in old.sorted_tables
        }


def owners(rows: Rows) -> dict[str, dict[str, int]]:
    """Returns how many rows of each table are whose, worked out here without the library."""
    by_order = {row["order_id"]: row["customer_id"] for row in rows["orders"]}
    counted: dict[str, dict[str, int]] = {row["customer_id"]: dict.fromkeys(WALLED, 0) for row in rows["customers"]}
    for name in WALLED:
        for row in rows[name]:
            counted[by_order[row["order_id"]] if name == "order_details" else row["customer_id"]][name] += 1
    return counted
