"""An application as a user has it: models, and a Tenancy at the top of a module, of a server that is not there."""

from __future__ import annotations

import uuid

from sqlalchemy import ForeignKey, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from tenantry import Tenancy
from tenantry.models import TenantOwned


class Base(DeclarativeBase):
    pass


class Customer(TenantOwned, Base):
    __tablename__ = "customers"
    __table_args__ = (UniqueConstraint("email"),)
    email: Mapped[str]
    title: Mapped[str | None]


class Order(TenantOwned, Base):
    __tablename__ = "orders"
    customer_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("customers.id"))
    amount: Mapped[int]
    status: Mapped[str] = mapped_column(default="open")


tenancy = Tenancy("postgresql://app@production.invalid/shop", models=Base)


def add_customer(slug: str, email: str) -> None:
    """Adds a customer, in a session of its own that it commits."""
    with tenancy.transaction(slug) as session:
        session.add(Customer(email=email))


def count_customers(slug: str) -> int:
    """Counts a tenant's customers in a session of its own."""
    with tenancy.session(slug) as session:
        return session.query(Customer).count()
