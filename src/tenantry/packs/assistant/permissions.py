"""Roles and permissions: the matrix that an installation begins with, and who may what by its tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from tenantry.access import SEEDED, Roles, permits
from tenantry.access.permissions import Permission as Granted
from tenantry.errors import PermissionDenied
from tenantry.packs.assistant.models_primary import Permission, Role, User
from tenantry.packs.assistant.words import RoleName

# What roles begin with; from then on the tables say what a role may.
MATRIX: Final[Roles] = SEEDED
DESCRIPTIONS: Final[Mapping[str, str]] = {
    RoleName.SUPER_ADMIN.value: "Full system access",
    RoleName.ADMIN.value: "Company administration",
    RoleName.ANALYST.value: "Can create reports, chat, upload documents",
    RoleName.VIEWER.value: "Read-only access",
}


def seed_roles(session: Session, roles: Roles = MATRIX) -> int:
    """Adds the roles that are not there, each with its permissions, and returns how many; what is there stays."""
    known = set(session.scalars(select(Role.name)))
    missing = [name for name in roles if name not in known]
    for name in missing:
        granted = [_permission(session, text) for text in sorted(roles.matrix[name])]
        session.add(Role(name=name, description=DESCRIPTIONS.get(name), permissions=granted))
        session.flush()
    return len(missing)


def grant(session: Session, role: Role, permissions: Iterable[str]) -> None:
    """Gives a role more permissions, from its users' next requests on.

    Raises: ConfigurationError for a text that is no permission.
    """
    for text in permissions:
        found = _permission(session, text)
        if found not in role.permissions:
            role.permissions.append(found)
    session.flush()


def permissions_of(user: User) -> frozenset[str]:
    """Returns what a user may by their role's rows; without a role, nothing."""
    return frozenset() if user.role is None else frozenset(map(str, user.role.permissions))


def has_permission(user: User, permission: str) -> bool:
    """Returns whether an active user has a permission, such as ``documents:create``.

    Raises: ConfigurationError for a permission that is none, or holds a ``*``.
    """
    held = permits(permissions_of(user), permission)
    open_company = user.company is None or user.company.is_active
    return held and user.is_active and open_company


def require_permission(user: User, permission: str) -> None:
    """Lets an active user pass who has a permission.

    Raises: PermissionDenied, ConfigurationError for a permission that is none, or holds a ``*``.
    """
    if not has_permission(user, permission):
        raise PermissionDenied(subject=user.username, permission=permission, reason="no role of theirs holds it.")


def _permission(session: Session, text: str) -> Permission:
    wanted = Granted(text)
    parts = {"resource": wanted.resource, "action": wanted.action}
    found = session.scalars(select(Permission).filter_by(**parts)).one_or_none()
    if found is None:
        found = Permission(**parts)
        session.add(found)
        session.flush()
    return found
