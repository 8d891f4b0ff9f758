"""Roles: which permissions each holds; the matrix that an application begins with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Final

from tenantry.access.permissions import Permission, permissions, permits
from tenantry.errors import ConfigurationError

SUPER_ADMIN: Final = "super_admin"
# What it takes to act as somebody else, or to look into a company.
IMPERSONATE: Final = Permission("admin:impersonate")


class Roles:
    """A matrix of roles and their permissions; it never changes.

    Raises: ConfigurationError for a permission that is none.
    """

    def __init__(self, matrix: Mapping[str, Iterable[str]]) -> None:
        self.matrix: Mapping[str, frozenset[Permission]] = MappingProxyType(
            {role: permissions(granted) for role, granted in matrix.items()}
        )

    def __repr__(self) -> str:
        return f"Roles({', '.join(self.matrix)})"

    def __iter__(self) -> Iterator[str]:
        return iter(self.matrix)

    def __contains__(self, role: object) -> bool:
        return role in self.matrix

    def permissions(self, roles: Iterable[str]) -> frozenset[Permission]:
        """Returns what these roles hold together; a role that is not in the matrix holds nothing."""
        return frozenset().union(*(self.matrix.get(role, frozenset()) for role in roles))

    def allows(self, role: str, permission: str) -> bool:
        """Returns whether a role holds a permission.

        Raises: ConfigurationError for a permission that is none, or holds a ``*``.
        """
        return permits(self.permissions([role]), permission)

    def check(self, roles: Iterable[str]) -> frozenset[str]:
        """Returns the roles if the matrix has each.

        Raises: ConfigurationError for one that it does not have, and for one text where several are meant.
        """
        if isinstance(roles, str):
            raise ConfigurationError(what=f"{roles!r} is one text, not several roles.", fix=f"Write [{roles!r}].")
        wanted = frozenset(roles)
        if unknown := sorted(map(repr, wanted - self.matrix.keys())):
            raise ConfigurationError(
                what=f"There is no role {', '.join(unknown)}.", fix=f"Choose from {', '.join(self.matrix)}."
            )
        return wanted


SEEDED: Final = Roles(
    {
        SUPER_ADMIN: ["*"],
        "admin": [
            "admin:access",
            "agents:*",
            "audit:read",
            "chat:*",
            "conversations:*",
            "documents:*",
            "reports:*",
            "settings:*",
            "usage:read",
            "users:*",
        ],
        "analyst": [
            "agents:read",
            "chat:*",
            "conversations:*",
            "documents:create",
            "documents:read",
            "documents:update",
            "reports:create",
            "reports:generate",
            "reports:read",
            "usage:read",
        ],
        "viewer": ["conversations:read", "documents:read", "reports:read"],
    }
)
