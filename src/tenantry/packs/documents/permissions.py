"""Who may do what with documents: roles, and repositories that ask before each of their methods."""

from __future__ import annotations

from typing import Any, ClassVar, Final

from sqlalchemy.orm import Session

from tenantry.access import Actor, Permitted, Roles, require
from tenantry.cache import Cache
from tenantry.packs.documents.models import UserRole
from tenantry.packs.documents.repositories import DocumentRepository
from tenantry.packs.documents.repositories_graph import TopicRepository

_READING: Final = ("documents:read", "topics:read", "graph:read", "users:read", "organizations:read")
ROLES: Final = Roles(
    {
        UserRole.VIEWER: _READING,
        UserRole.MEMBER: (*_READING, "documents:create", "documents:update"),
        UserRole.EDITOR: (*_READING, "documents:*", "topics:*", "graph:*"),
        UserRole.ADMIN: ("documents:*", "topics:*", "graph:*", "users:*", "organizations:*", "audit:read"),
    }
)


class SecureDocumentRepository(Permitted, DocumentRepository):
    """The repository of documents that asks who may, at each call."""

    permissions: ClassVar[dict[str, str]] = {
        **{kind: f"documents:{kind}" for kind in ("read", "create", "update", "delete")},
        **dict.fromkeys(("create_version", "restore_version"), "documents:update"),
        **dict.fromkeys(
            (
                "compare_versions",
                "find_by_organization",
                "find_by_owner",
                "find_by_status",
                "find_by_topic",
                "find_related",
                "get_version",
                "get_versions",
                "get_with_details",
                "in_order",
                "kept",
                "matching",
                "search",
                "versions",
            ),
            "documents:read",
        ),
    }


class SecureTopicRepository(Permitted, TopicRepository):
    """The repository of topics that asks who may, at each call."""

    permissions: ClassVar[dict[str, str]] = {
        **{kind: f"topics:{kind}" for kind in ("read", "create", "update", "delete")},
        **dict.fromkeys(("assign", "unassign"), "documents:update"),
        **dict.fromkeys(("get_by_name", "in_order", "kept", "most_used", "of_document"), "topics:read"),
    }


class SecurityManager:
    """The security of documents in one place: the roles, and repositories that ask."""

    def __init__(self, roles: Roles = ROLES, *, cache: Cache | None = None) -> None:
        self.roles = roles
        self.cache = cache

    def allows(self, role: str, permission: str) -> bool:
        """Returns whether a role holds a permission.

        Raises: ConfigurationError for a permission that is none.
        """
        return self.roles.allows(role, permission)

    def require(self, session: Any, permission: str) -> Actor:
        """Returns who asks, if he may.

        Raises: PermissionDenied.
        """
        return require(session, permission)

    def documents(self, session: Session) -> SecureDocumentRepository:
        """Returns the repository of documents that asks."""
        return SecureDocumentRepository(session, cache=self.cache)

    def topics(self, session: Session) -> SecureTopicRepository:
        """Returns the repository of topics that asks."""
        return SecureTopicRepository(session, cache=self.cache)
