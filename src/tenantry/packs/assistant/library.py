"""The library: documents for every company, which stand once, in the primary, and are read in every company."""

from __future__ import annotations

import datetime
from collections.abc import Sequence

from sqlalchemy.orm import selectinload

from tenantry.packs.assistant.models_documents import GLOBAL_PROCESSING, GlobalDocument, GlobalDocumentChunk
from tenantry.packs.assistant.services import Findings, Piece
from tenantry.packs.assistant.words import ProcessingStatus
from tenantry.repository import Repository
from tenantry.tenancy import Tenancy


class Library:
    """Publishes documents for every company; the platform's work, and, where companies have databases, the owner's."""

    def __init__(self, tenancy: Tenancy) -> None:
        self._tenancy = tenancy

    def __repr__(self) -> str:
        return f"Library({self._tenancy!r})"

    def publish(
        self,
        filename: str,
        *,
        pieces: Sequence[Piece],
        findings: Findings | None = None,
        file_path: str | None = None,
        uploaded_by_id: int | None = None,
        uploaded_at: datetime.datetime | None = None,
    ) -> int:
        """Writes a processed document for every company, brings it to those that have a database of their own, and
        returns its number.

        Raises: LoginRequired without the platform's login, or, with such databases, without the owner's.
        """
        said = findings or Findings()
        with self._tenancy.platform() as session:
            document = GlobalDocument(
                filename=filename,
                original_filename=filename,
                file_path=file_path or f"global/{filename}",
                uploaded_by_id=uploaded_by_id,
                summary=said.summary,
                keywords=list(said.keywords),
                topics=list(said.topics),
                content_type=said.content_type,
                **({} if uploaded_at is None else {"uploaded_at": uploaded_at}),
            )
            document.chunks = [_chunk(number, piece) for number, piece in enumerate(pieces)]
            session.add(document)
            session.flush()
            for step in (ProcessingStatus.PROCESSING, ProcessingStatus.COMPLETED):
                GLOBAL_PROCESSING.take(document, step)
            session.commit()
            number = document.id
        self._tenancy.publish()
        return number

    def withdraw(self, document_id: int) -> None:
        """Takes a document from every company.

        Raises: RecordNotFound, LoginRequired.
        """
        with self._tenancy.platform() as session:
            Repository(session, model=GlobalDocument).delete(document_id)
            session.commit()
        self._tenancy.publish()


class LibraryRepository(Repository[GlobalDocument]):
    """The documents for everybody, as a company's session reads them."""

    def get_with_chunks(self, document_id: int) -> GlobalDocument | None:
        """Returns a document with its chunks loaded, or None."""
        return LibraryRepository(self.session, options=[selectinload(GlobalDocument.chunks)]).find(id=document_id)


def _chunk(number: int, piece: Piece) -> GlobalDocumentChunk:
    return GlobalDocumentChunk(
        chunk_index=number,
        content=piece.content,
        token_count=piece.token_count,
        page_number=piece.page_number,
        embedding_id=piece.embedding_id,
    )
