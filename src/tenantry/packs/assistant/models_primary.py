"""The primary database: users, companies, roles and permissions, which no company's session reaches."""

from __future__ import annotations

import datetime
import unicodedata
import uuid
from typing import Final

from sqlalchemy import ForeignKey, Integer, String, UniqueConstraint, Uuid
from sqlalchemy.orm import Mapped, mapped_column, relationship, validates

from tenantry.models import CreatedAt, Platform, UTCDateTime
from tenantry.packs.assistant.base import AssistantBase
from tenantry.packs.assistant.words import Explainability, Provider

# Rows elsewhere bear these numbers: SQLite would give the last again once its row is gone, with all that it may read.
_NEVER_AGAIN: Final = {"sqlite_autoincrement": True}


class RolePermission(Platform, AssistantBase):
    """That a role holds a permission."""

    __tablename__ = "role_permissions"

    role_id: Mapped[int] = mapped_column(ForeignKey("roles.id", ondelete="CASCADE"), primary_key=True)
    permission_id: Mapped[int] = mapped_column(
        ForeignKey("permissions.id", ondelete="CASCADE"), primary_key=True, index=True
    )


class Company(CreatedAt, Platform, AssistantBase):
    """A customer; ``tenant`` is where its rows are, ``database_name`` the name by which scripts call that."""

    __tablename__ = "companies"
    __table_args__ = _NEVER_AGAIN

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    name: Mapped[str] = mapped_column(String, unique=True)
    industry: Mapped[str | None] = mapped_column(String)
    database_name: Mapped[str | None] = mapped_column(String, unique=True)
    is_active: Mapped[bool] = mapped_column(default=True)
    tenant: Mapped[uuid.UUID | None] = mapped_column(Uuid, unique=True)

    users: Mapped[list[User]] = relationship(back_populates="company")


class Role(Platform, AssistantBase):
    """What somebody is: super_admin, admin, analyst, viewer, or a role of one's own."""

    __tablename__ = "roles"

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    name: Mapped[str] = mapped_column(String, unique=True)
    description: Mapped[str | None] = mapped_column(String)

    users: Mapped[list[User]] = relationship(back_populates="role")
    permissions: Mapped[list[Permission]] = relationship(secondary="role_permissions", back_populates="roles")


class Permission(Platform, AssistantBase):
    """One permission, ``resource:action``; either may be ``*``."""

    __tablename__ = "permissions"
    __table_args__ = (UniqueConstraint("resource", "action"),)

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    resource: Mapped[str] = mapped_column(String)
    action: Mapped[str] = mapped_column(String)
    description: Mapped[str | None] = mapped_column(String)

    roles: Mapped[list[Role]] = relationship(secondary="role_permissions", back_populates="permissions")

    def __str__(self) -> str:
        return f"{self.resource}:{self.action}"


class User(CreatedAt, Platform, AssistantBase):
    """Somebody who logs in: of one company, or, without one, of the platform."""

    __tablename__ = "users"
    # One that were unique for all would tell a company of the others' people.
    __table_args__ = (UniqueConstraint("company_id", "email"), _NEVER_AGAIN)

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    username: Mapped[str] = mapped_column(String, unique=True, index=True)
    email: Mapped[str] = mapped_column(String, index=True)
    hashed_password: Mapped[str] = mapped_column(String)
    full_name: Mapped[str | None] = mapped_column(String)
    company_id: Mapped[int | None] = mapped_column(ForeignKey("companies.id"), index=True)
    role_id: Mapped[int | None] = mapped_column(ForeignKey("roles.id"), index=True)
    preferred_llm: Mapped[str] = mapped_column(String, default=Provider.CUSTOM)
    explainability_level: Mapped[str] = mapped_column(String, default=Explainability.DETAILED)
    has_completed_onboarding: Mapped[bool] = mapped_column(default=False)
    is_active: Mapped[bool] = mapped_column(default=True)
    last_login: Mapped[datetime.datetime | None] = mapped_column(UTCDateTime)

    company: Mapped[Company | None] = relationship(back_populates="users")
    role: Mapped[Role | None] = relationship(back_populates="users")

    @validates("username")
    def _fold(self, _: str, name: str) -> str:
        return folded(name)


def folded(name: str) -> str:
    """Returns a username as it is kept: however it is written, it is the same person's."""
    return unicodedata.normalize("NFKC", name).casefold().strip()


def given_by(company_id: int, name: str) -> str:
    """Returns the username that a company gives, ``bob@company_1``: no other company's people can have it."""
    kept, ending = folded(name), f"@company_{company_id}"
    return kept if kept.endswith(ending) else f"{kept}{ending}"
