"""Chunks found by what they mean: their vectors stand beside the rows, under the names that the chunks keep."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tenantry.packs.assistant.models_documents import Document, DocumentChunk
from tenantry.packs.assistant.repositories import ChunkRepository, DocumentRepository, may_read
from tenantry.packs.assistant.words import Scope
from tenantry.session.core import TenantSession
from tenantry.vectors import Content, Vectors

if TYPE_CHECKING:
    from tenantry.packs.assistant.aio_retrieval import AsyncRetrieval

# In a vector's metadata: who may read it, and the document that it is of.
_READER: Final = "reader"
_DOCUMENT: Final = "document"


@dataclass(frozen=True, slots=True)
class Found:
    """A chunk, with its document loaded, and how near it is to what was asked: 1.0 is the same."""

    chunk: DocumentChunk
    score: float


class Retrieval:
    """Puts the chunks of documents among a company's vectors, and finds the nearest that a user may read."""

    def __init__(self, vectors: Vectors) -> None:
        self._vectors = vectors

    @functools.cached_property
    def aio(self) -> AsyncRetrieval:
        """The same, awaited.

        Raises: ExtraMissing without greenlet.
        """
        from tenantry.packs.assistant.aio_retrieval import AsyncRetrieval  # noqa: PLC0415  # needs greenlet

        return AsyncRetrieval(self)

    def index(
        self, session: TenantSession, document_id: int, *, vectors: Sequence[Sequence[float]] | None = None
    ) -> int:
        """Puts the chunks of a document among the vectors, made of their texts unless given, and returns how many
        changed.

        Raises: RecordNotFound, VectorRefused, ConfigurationError without an embedder.
        """
        document = DocumentRepository(session).get_one(document_id)
        chunks = ChunkRepository(session).of_document(document_id)
        contents: Sequence[Content] = [chunk.content for chunk in chunks] if vectors is None else vectors
        for chunk in chunks:
            chunk.embedding_id = f"chunk-{chunk.id}"
        session.flush()
        items = {str(chunk.embedding_id): content for chunk, content in zip(chunks, contents, strict=True)}
        told = {_READER: _reader(document.scope, document.uploaded_by_id), _DOCUMENT: document.id}
        return self._vectors.put(session, items, metadata=dict.fromkeys(items, told))

    def search(
        self,
        session: TenantSession,
        wanted: Content,
        *,
        user_id: int | None,
        document_ids: Sequence[int] | None = None,
        limit: int = 10,
    ) -> list[Found]:
        """Returns the chunks nearest to a text or vector that a user may read, of all documents or of the selected.

        Raises: VectorRefused, SearchRefused, ConfigurationError.
        """
        where: dict[str, object] = {_READER: [Scope.COMPANY.value, _reader(Scope.USER, user_id)]}
        if document_ids is not None:
            where[_DOCUMENT] = list(document_ids)
        hits = self._vectors.search(session, wanted, limit=limit, where=where)
        chunks = {
            chunk.embedding_id: chunk for chunk in ChunkRepository(session).by_embeddings([hit.key for hit in hits])
        }
        # A document may have become somebody's own since its vectors were made.
        found = [Found(chunks[hit.key], hit.score) for hit in hits if hit.key in chunks]
        return [each for each in found if may_read(each.chunk.document, user_id)]

    def embed(self, text: str) -> Sequence[float]:
        """Returns the vector of a text, which ``search`` takes in its place; it may take its time.

        Raises: VectorRefused, ConfigurationError without an embedder.
        """
        return self._vectors.embed([text])[0]

    def forget(self, session: TenantSession, document: Document) -> None:
        """Takes the vectors of a document away, before it goes."""
        chunks = ChunkRepository(session).of_document(document.id)
        self._vectors.delete(session, [chunk.embedding_id for chunk in chunks if chunk.embedding_id])


def _reader(scope: str, user_id: int | None) -> str:
    return f"user {user_id}" if scope == Scope.USER else str(scope)
