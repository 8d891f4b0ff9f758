"""Routes about documents: a company's own, and those for everybody."""

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Query

from tenantry.access import Access
from tenantry.errors import RecordNotFound
from tenantry.packs.assistant.aio import AsyncChunkRepository, AsyncDocumentRepository, AsyncLibraryRepository
from tenantry.packs.assistant.http_common import CREATED, NO_CONTENT, Id, person
from tenantry.packs.assistant.models_documents import Document
from tenantry.packs.assistant.pack import Assistant
from tenantry.packs.assistant.schemas import (
    ChunkOut,
    DocumentIn,
    DocumentOut,
    FailureIn,
    FoundOut,
    Listing,
    ProcessedIn,
)
from tenantry.packs.assistant.users import Person
from tenantry.session.aio import AsyncTenantSession
from tenantry.web.routes import Limit, Offset, may, reading_of, writing_of


def documents(routes: APIRouter, pack: Assistant, _: Access) -> None:
    """Adds the routes about a company's documents."""
    read, write, asks = reading_of(pack.tenancy), writing_of(pack.tenancy), person(pack)

    @routes.get("/documents", dependencies=may("documents:read"), tags=["documents"])
    async def list_documents(
        db: Annotated[AsyncTenantSession, read],
        who: Annotated[Person, asks],
        limit: Limit = 50,
        offset: Offset = 0,
    ) -> Listing[DocumentOut]:
        """Lists what the user may read: their own, the company's, then what is for everybody; the latest first."""
        shelf = await AsyncDocumentRepository(db).readable(who.id, limit=limit, offset=offset)
        items = [DocumentOut.model_validate(document) for document in shelf.items]
        return Listing(items=items, total=shelf.total, limit=limit, offset=offset)

    @routes.post("/documents", status_code=CREATED, dependencies=may("documents:create"), tags=["documents"])
    async def create_document(
        body: DocumentIn, db: Annotated[AsyncTenantSession, write], who: Annotated[Person, asks]
    ) -> DocumentOut:
        """Adds a document that was uploaded; it waits to be processed."""
        given: dict[str, Any] = body.model_dump()
        given["original_filename"] = body.original_filename or body.filename
        made = await AsyncDocumentRepository(db).create(given, uploaded_by_id=who.id)
        return DocumentOut.model_validate(made)

    @routes.get("/documents/{document_id}", dependencies=may("documents:read"), tags=["documents"])
    async def get_document(
        document_id: Id, db: Annotated[AsyncTenantSession, read], who: Annotated[Person, asks]
    ) -> DocumentOut:
        """Gives one document of the company."""
        return DocumentOut.model_validate(await _one(db, document_id, who))

    @routes.delete(
        "/documents/{document_id}",
        status_code=NO_CONTENT,
        dependencies=may("documents:delete"),
        tags=["documents"],
    )
    async def delete_document(
        document_id: Id, db: Annotated[AsyncTenantSession, write], who: Annotated[Person, asks]
    ) -> None:
        """Deletes a document with its pieces."""
        found = await _one(db, document_id, who)
        if pack.retrieval is not None:
            await pack.retrieval.aio.forget(db, found)
        await AsyncDocumentRepository(db).delete(found)

    _chunks(routes, pack)
    _processing(routes, pack)


def library(routes: APIRouter, pack: Assistant, _: Access) -> None:
    """Adds the route about documents for everybody."""
    read = reading_of(pack.tenancy)

    @routes.get("/library/{document_id}/chunks", dependencies=may("documents:read"), tags=["documents"])
    async def read_global(document_id: Id, db: Annotated[AsyncTenantSession, read]) -> Listing[ChunkOut]:
        """Gives the pieces of a document for everybody, in their order."""
        found = await AsyncLibraryRepository(db).get_with_chunks(document_id)
        if found is None:
            raise RecordNotFound(model="GlobalDocument")
        items = [ChunkOut.model_validate(chunk) for chunk in found.chunks]
        return Listing(items=items, total=len(items), limit=len(items), offset=0)


def search(routes: APIRouter, pack: Assistant, _: Access) -> None:
    """Adds the route that finds pieces by what they mean, where the pack has an embedder."""
    retrieval, read, asks = pack.retrieval, reading_of(pack.tenancy), person(pack)
    if retrieval is None:
        return

    @routes.get("/search", dependencies=may("documents:read"), tags=["documents"])
    async def find(
        db: Annotated[AsyncTenantSession, read],
        who: Annotated[Person, asks],
        q: Annotated[str, Query(min_length=1, max_length=2000, pattern=r"^[^\x00]*$")],
        limit: Annotated[int, Query(ge=1, le=50)] = 10,
    ) -> list[FoundOut]:
        """Finds the pieces nearest to a question, of the company's documents that the user may read."""
        # No transaction is open while a model thinks, and the event loop goes on.
        wanted = await asyncio.to_thread(retrieval.embed, q)
        found = await retrieval.aio.search(db, wanted, user_id=who.id, limit=limit)
        return [
            FoundOut(filename=each.chunk.document.filename, score=each.score, chunk=ChunkOut.model_validate(each.chunk))
            for each in found
        ]


def _chunks(routes: APIRouter, pack: Assistant) -> None:
    read, asks = reading_of(pack.tenancy), person(pack)

    @routes.get("/documents/{document_id}/chunks", dependencies=may("documents:read"), tags=["documents"])
    async def list_chunks(
        document_id: Id,
        db: Annotated[AsyncTenantSession, read],
        who: Annotated[Person, asks],
        limit: Limit = 50,
        offset: Offset = 0,
    ) -> Listing[ChunkOut]:
        """Lists the pieces of a document, in their order."""
        await _one(db, document_id, who)
        chunks = AsyncChunkRepository(db)
        found = await chunks.list(document_id=document_id, order_by="chunk_index", limit=limit, offset=offset)
        total = await chunks.count(document_id=document_id)
        items = [ChunkOut.model_validate(chunk) for chunk in found]
        return Listing(items=items, total=total, limit=limit, offset=offset)


def _processing(routes: APIRouter, pack: Assistant) -> None:
    write, asks = writing_of(pack.tenancy), person(pack)

    @routes.post("/documents/{document_id}/begin", dependencies=may("documents:update"), tags=["documents"])
    async def begin_processing(
        document_id: Id, db: Annotated[AsyncTenantSession, write], who: Annotated[Person, asks]
    ) -> DocumentOut:
        """Takes a pending document in hand; of two at once one gets it."""
        await _one(db, document_id, who)
        return DocumentOut.model_validate(await pack.processing.aio.begin(db, document_id))

    @routes.post("/documents/{document_id}/complete", dependencies=may("documents:update"), tags=["documents"])
    async def complete_processing(
        document_id: Id, body: ProcessedIn, db: Annotated[AsyncTenantSession, write], who: Annotated[Person, asks]
    ) -> DocumentOut:
        """Ends the processing of a document, with its pieces and what was said of it."""
        await _one(db, document_id, who)
        done = await pack.processing.aio.complete(db, document_id, pieces=body.parts(), findings=body.findings())
        return DocumentOut.model_validate(done)

    @routes.post("/documents/{document_id}/fail", dependencies=may("documents:update"), tags=["documents"])
    async def fail_processing(
        document_id: Id, body: FailureIn, db: Annotated[AsyncTenantSession, write], who: Annotated[Person, asks]
    ) -> DocumentOut:
        """Ends the processing of a document without a result."""
        await _one(db, document_id, who)
        return DocumentOut.model_validate(await pack.processing.aio.fail(db, document_id, reason=body.reason))

    @routes.post("/documents/{document_id}/again", dependencies=may("documents:update"), tags=["documents"])
    async def process_again(
        document_id: Id, db: Annotated[AsyncTenantSession, write], who: Annotated[Person, asks]
    ) -> DocumentOut:
        """Sends a document back to the start."""
        found = await _one(db, document_id, who)
        if pack.retrieval is not None:
            await pack.retrieval.aio.forget(db, found)
        return DocumentOut.model_validate(await pack.processing.aio.again(db, document_id))


async def _one(db: AsyncTenantSession, document_id: int, who: Person) -> Document:
    found = await AsyncDocumentRepository(db).read_one(document_id, user_id=who.id)
    if found is None:
        raise RecordNotFound(model="Document")
    return found
