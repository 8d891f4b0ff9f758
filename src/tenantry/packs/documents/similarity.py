"""Documents found by what they mean: their vectors stand beside the rows and follow them through the outbox."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tenantry.outbox import Outbox
from tenantry.packs.documents.models import Document
from tenantry.packs.documents.repositories import DocumentRepository
from tenantry.session.core import TenantSession
from tenantry.tenancy import Tenancy
from tenantry.types import TenantKey
from tenantry.vectors import Embedder, Mirror, Vectors


@dataclass(frozen=True, slots=True)
class Similar:
    """A document, and how near it is to what was asked: 1.0 means the same."""

    document: Document
    score: float


class Similarity:
    """The vectors of an organisation's documents: ``Relay(similarity.outbox)`` brings them up to the rows.

    Raises: as ``Vectors``, ``Outbox`` and ``Mirror``.
    """

    def __init__(self, tenancy: Tenancy, embedder: Embedder) -> None:
        self.tenancy = tenancy
        self.outbox = Outbox(tenancy)
        self.vectors = Vectors(tenancy, "document", embedder=embedder)
        self.mirror = Mirror(self.vectors, self.outbox, Document, text=_text_of)

    def __repr__(self) -> str:
        return f"<Similarity by {self.vectors!r}>"

    def like(self, key: TenantKey, document_id: uuid.UUID, *, limit: int = 10) -> list[Similar]:
        """Returns the documents nearest to one of them, without itself, the nearest first.

        The embedder is called while no session is open.

        Raises: RecordNotFound, VectorRefused, SearchRefused, and as ``Tenancy.session``.
        """
        with self.tenancy.session(key, read_only=True) as session:
            text = _text_of(DocumentRepository(session).get_one(document_id))
        found = [] if text is None else self.about(key, text, limit=limit + 1)
        return [each for each in found if each.document.id != document_id][:limit]

    def about(self, key: TenantKey, text: str, *, limit: int = 10) -> list[Similar]:
        """Returns the documents nearest to a text, the nearest first; the embedder is called while no session is open.

        Raises: VectorRefused, SearchRefused, and as ``Tenancy.session``.
        """
        wanted = self.vectors.embed([text])[0]
        with self.tenancy.session(key, read_only=True) as session:
            return self.near(session, wanted, limit=limit)

    def near(self, session: TenantSession, vector: Sequence[float], *, limit: int = 10) -> list[Similar]:
        """Returns the documents nearest to a vector, the nearest first; those that were hidden are not among them.

        Raises: VectorRefused, SearchRefused.
        """
        hits = self.vectors.search(session, vector, limit=limit)
        named = [uuid.UUID(hit.key) for hit in hits]
        rows = {row.id: row for row in DocumentRepository(session).list(Document.id.in_(named), limit=len(named) or 1)}
        return [Similar(rows[name], hit.score) for name, hit in zip(named, hits, strict=True) if name in rows]


def _text_of(document: Any) -> str | None:
    """Returns what is embedded of a document; one that is hidden has no vector."""
    if document.deleted_at is not None:
        return None
    return f"{document.title}\n\n{document.content or ''}"
