"""What the tables of documents have in common: one declarative base, their organisation, and free attributes."""

from __future__ import annotations

import enum
import hashlib
import uuid
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from sqlalchemy import CheckConstraint, ForeignKeyConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, Synonym, declared_attr, mapped_column, synonym

from tenantry.models import JSONDocument, TenantOwned


class DocumentsBase(DeclarativeBase):
    """The declarative base of the documents: ``Tenancy(url, models=DocumentsBase)``."""


class OfOrganization(TenantOwned):
    """Rows of one organisation: ``org_id`` is another name of ``tenant_id``."""

    if TYPE_CHECKING:
        org_id: Mapped[uuid.UUID]
    else:

        @declared_attr
        @classmethod
        def org_id(cls) -> Synonym[Any]:
            """The organisation, which is the tenant."""
            return synonym("tenant_id")


class FreeAttributes:
    """``metadata`` of a row: a document of the application's own, kept in the column of that name.

    SQLAlchemy has reserved the name for the tables of a declarative base, so a class still answers with those, and the
    mapped attribute is ``doc_metadata``.
    """

    def __get__(self, row: Any, owner: type[DocumentsBase]) -> Any:
        return DocumentsBase.__dict__["metadata"] if row is None else row.doc_metadata

    def __set__(self, row: Any, value: Any) -> None:
        row.doc_metadata = value


class Described:
    """Rows with attributes of the application's own: ``Document(metadata={"pages": 3})``, ``document.metadata``."""

    if TYPE_CHECKING:
        doc_metadata: Mapped[dict[str, Any]]

        def to_dict(self, *, exclude: Collection[str] = (), reveal: Collection[str] = ()) -> dict[str, Any]: ...
    else:
        metadata = FreeAttributes()

        @declared_attr
        @classmethod
        def doc_metadata(cls):
            return mapped_column("metadata", JSONDocument, default=dict, nullable=False)

        def to_dict(self, *, exclude: Collection[str] = (), reveal: Collection[str] = ()) -> dict[str, Any]:
            """Returns the row's own columns as JSON-safe values, ``metadata`` by the name of its column."""
            hidden = {"doc_metadata" if name == "metadata" else name for name in exclude}
            found = super().to_dict(exclude=hidden, reveal=reveal)
            if "doc_metadata" in found:
                found["metadata"] = found.pop("doc_metadata")
            return found


def of_organization() -> ForeignKeyConstraint:
    """Returns the key to the organisation that a row is of; ``org_id`` says it."""
    return ForeignKeyConstraint(["tenant_id"], ["organizations.tenant_id"])


def one_of(words: type[enum.StrEnum], *, table: str, column: str) -> CheckConstraint:
    """Returns the constraint that a column holds one of *words*."""
    listed = ", ".join(f"'{word}'" for word in words)
    return CheckConstraint(f"{column} IN ({listed})", name=f"ck_{table}_{column}")


def share(column: str, *, table: str) -> CheckConstraint:
    """Returns the constraint that a column lies between nought and one."""
    return CheckConstraint(f"{column} >= 0 AND {column} <= 1", name=f"ck_{table}_{column}")


def digest_of(content: str) -> str:
    """Returns the SHA-256 of a text."""
    return hashlib.sha256(content.encode()).hexdigest()
