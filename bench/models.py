"""The same table twice: once behind the wall, once as a program without tenancy would have it."""

from __future__ import annotations

import uuid
from typing import Any

from sqlalchemy import bindparam, select
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from tenantry.models import TenantOwned


class Base(DeclarativeBase):
    """What Tenantry walls."""


class PlainBase(DeclarativeBase):
    """What it does not know of."""


class Ticket(TenantOwned, Base):
    __tablename__ = "tickets"
    subject: Mapped[str]
    status: Mapped[str]
    number: Mapped[int]


class PlainTicket(PlainBase):
    __tablename__ = "plain_tickets"
    tenant_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    subject: Mapped[str]
    status: Mapped[str]
    number: Mapped[int]


ROWS_PER_TENANT = 500


def rows(tenant: uuid.UUID) -> list[dict[str, Any]]:
    """Returns the rows that each tenant has."""
    return [
        {"tenant_id": tenant, "id": uuid.UUID(int=n), "subject": f"Ticket {n}", "status": "open", "number": n}
        for n in range(ROWS_PER_TENANT)
    ]


def row_id(turn: int) -> uuid.UUID:
    """Returns the id read in one turn."""
    return uuid.UUID(int=turn % ROWS_PER_TENANT)


# Prebuilt, as few applications do; the others are built for each request.
PREBUILT_KEY = select(Ticket).where(Ticket.id == bindparam("id"))
PREBUILT_LIST = select(Ticket).order_by(Ticket.id).limit(50)
PLAIN_PREBUILT_KEY = select(PlainTicket).where(
    PlainTicket.tenant_id == bindparam("tenant"), PlainTicket.id == bindparam("id")
)
PLAIN_PREBUILT_LIST = (
    select(PlainTicket).where(PlainTicket.tenant_id == bindparam("tenant")).order_by(PlainTicket.id).limit(50)
)
