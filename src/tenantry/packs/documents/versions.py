"""Versions of a document: what of it is versioned, one version as a row, and the difference between two."""

from __future__ import annotations

import difflib
import uuid
from collections.abc import Collection, Mapping
from typing import Any, Final

from tenantry.errors import UnknownField
from tenantry.packs.documents.models import Document, DocumentVersion
from tenantry.repository.fields import check_settable

VERSIONED: Final = frozenset({"title", "content", "doc_metadata"})
# Of longer texts no difference is kept: finding it takes time with the square of their lines.
MOST_LINES: Final = 4_000


def named(changes: Mapping[str, Any], *, only: Collection[str] = ()) -> dict[str, Any]:
    """Returns changes by the names of attributes: ``metadata`` is ``doc_metadata``.

    Raises: UnknownField for a name beside *only*, where that says any.
    """
    found = {"doc_metadata" if name == "metadata" else name: value for name, value in changes.items()}
    for name in found:
        if only and name not in only:
            known = ", ".join(sorted({*only, "metadata"} - {"doc_metadata"}))
            raise UnknownField(model="DocumentVersion", name=name, use="changed by a version", known=known)
    return found


def made(given: Document | Mapping[str, Any] | None, values: Mapping[str, Any]) -> Document:
    """Returns a document made from an object, a mapping or values.

    Raises: UnknownField.
    """
    if isinstance(given, Document):
        for name, value in named(values).items():
            setattr(given, name, value)
        return given
    wanted = named({**(given or {}), **values})
    check_settable(Document, wanted)
    return Document(**wanted)


def snapshot(
    document: Document,
    *,
    before: DocumentVersion | None = None,
    change_summary: str | None = None,
    changed_by: uuid.UUID | None = None,
) -> DocumentVersion:
    """Returns the document as it is now as a version; *before* is the one that it differs from."""
    return DocumentVersion(
        document_id=document.id,
        version_number=document.version,
        title=document.title,
        content=document.content,
        doc_metadata=dict(document.doc_metadata),
        content_hash=document.content_hash,
        change_summary=change_summary,
        changed_by=document.owner_id if before is None and changed_by is None else changed_by,
        diff=None if before is None else difference(before.content, document.content),
    )


def difference(before: str | None, after: str | None) -> str | None:
    """Returns a unified diff, empty where nothing changed, or None where the texts are too long for one."""
    old, new = (before or "").splitlines(), (after or "").splitlines()
    if max(len(old), len(new)) > MOST_LINES:
        return None
    return "\n".join(difflib.unified_diff(old, new, "before", "after", lineterm=""))
