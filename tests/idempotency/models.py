"""What the calls of these tests do: place orders, and note events."""

from __future__ import annotations

from sqlalchemy.orm import DeclarativeBase, Mapped

from tenantry.idempotency import Idempotent
from tenantry.models import TenantOwned


class Base(DeclarativeBase):
    pass


class Order(TenantOwned, Base):
    __tablename__ = "orders"
    call: Mapped[str]


class Event(Idempotent, TenantOwned, Base):
    __tablename__ = "events"
    kind: Mapped[str]
