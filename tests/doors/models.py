"""A seed's kind of models: workspaces, found by their Slack team or by name and platform, and their members."""

from __future__ import annotations

import uuid

from sqlalchemy import ForeignKey, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship, synonym

from tenantry.models import Platform, Shared, SoftDelete, TenantOwned, TenantRecord

IDENTITIES = {"team": "team_id", "company": ("name", "platform")}


class Base(DeclarativeBase):
    pass


class Workspace(TenantRecord, SoftDelete, Base):
    __tablename__ = "workspaces"
    __table_args__ = (UniqueConstraint("team_id"), UniqueConstraint("name", "platform"))
    name: Mapped[str]
    platform: Mapped[str] = mapped_column(default="slack")
    team_id: Mapped[str | None]
    members: Mapped[list[Member]] = relationship(back_populates="workspace")


class Member(TenantOwned, Base):
    __tablename__ = "members"
    workspace_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("workspaces.id", ondelete="CASCADE"))
    manager_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("members.id"))
    email: Mapped[str] = mapped_column(unique=True)
    org_id = synonym("tenant_id")
    workspace: Mapped[Workspace | None] = relationship(back_populates="members")


class Note(TenantOwned, Base):
    __tablename__ = "notes"
    id: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str]


class Vendor(Platform, Base):
    __tablename__ = "vendors"
    id: Mapped[int] = mapped_column(primary_key=True)


class Country(Shared, Base):
    __tablename__ = "countries"
    code: Mapped[str] = mapped_column(primary_key=True)
