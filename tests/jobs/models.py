"""What the jobs of these tests write."""

from __future__ import annotations

import uuid

from sqlalchemy.orm import DeclarativeBase, Mapped

from tenantry.models import TenantOwned


class Base(DeclarativeBase):
    pass


class Note(TenantOwned, Base):
    __tablename__ = "notes"
    text: Mapped[str]


class Ran(TenantOwned, Base):
    """One run of a body: whom it was meant for, whom the job said it was for, and whom the wall stood for."""

    __tablename__ = "ran"
    number: Mapped[int]
    meant: Mapped[uuid.UUID]
    bound: Mapped[uuid.UUID]
    wall: Mapped[uuid.UUID]
    actor: Mapped[str | None]
    correlation_id: Mapped[str | None]
