"""Models whose sessions are watched, and what watches them."""

from __future__ import annotations

import uuid

from sqlalchemy import ForeignKey
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from tenantry import Tenancy
from tenantry.models import TenantOwned
from tenantry.observe import Health, Metrics, Observer, SlowLog


class Base(DeclarativeBase):
    pass


class Folder(TenantOwned, Base):
    __tablename__ = "folders"

    name: Mapped[str] = mapped_column(default="")
    papers: Mapped[list[Paper]] = relationship(back_populates="folder")


class Paper(TenantOwned, Base):
    __tablename__ = "papers"

    title: Mapped[str] = mapped_column(default="")
    folder_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("folders.id"))
    folder: Mapped[Folder | None] = relationship(back_populates="papers")


class Watched:
    """A tenancy with an observer of its own numbers, and its health."""

    def __init__(self, tenancy: Tenancy) -> None:
        self.tenancy = tenancy
        self.metrics = Metrics()
        self.observer = Observer(tenancy, metrics=self.metrics, slow_threshold_s=0.05, traced=True)
        self.slow_log = SlowLog(self.observer, keep=3)
        self.health = Health(tenancy)
