"""The models of the fleets under test: one walled table is enough, since their history brings tables of its own."""

from __future__ import annotations

from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from tenantry.models import TenantOwned


class Base(DeclarativeBase):
    pass


class Ticket(TenantOwned, Base):
    __tablename__ = "tickets"
    subject: Mapped[str]
    n: Mapped[int] = mapped_column(default=0)
