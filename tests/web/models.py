"""What the shop of these tests keeps."""

from __future__ import annotations

import uuid

from sqlalchemy import ForeignKey
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from tenantry.models import TenantOwned


class Base(DeclarativeBase):
    pass


class Ticket(TenantOwned, Base):
    __tablename__ = "tickets"
    subject: Mapped[str] = mapped_column(unique=True)
    stars: Mapped[int] = mapped_column(default=0)
    parent_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("tickets.id"))
