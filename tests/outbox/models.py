"""What the changes and the handlers of these tests write."""

from __future__ import annotations

import uuid

from sqlalchemy.orm import DeclarativeBase, Mapped

from tenantry.models import TenantOwned


class Base(DeclarativeBase):
    pass


class Note(TenantOwned, Base):
    __tablename__ = "notes"
    number: Mapped[int]


class Effect(TenantOwned, Base):
    __tablename__ = "effects"
    event: Mapped[uuid.UUID]
