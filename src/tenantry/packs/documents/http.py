"""The documents' HTTP routes: ``application(tenancy, [router(Documents(tenancy))], …)`` serves them."""

import asyncio
import uuid
from typing import Annotated, Any

from tenantry.access import require
from tenantry.errors import ExtraMissing, InvalidFilter
from tenantry.packs.documents.graph import Direction
from tenantry.packs.documents.models import Document, DocumentStatus, DocumentVersion
from tenantry.packs.documents.models_graph import DocumentTopic
from tenantry.packs.documents.pack import Documents
from tenantry.packs.documents.repositories import DocumentRepository, UserRepository
from tenantry.packs.documents.services import Analysis, Content
from tenantry.session.aio import AsyncTenantSession
from tenantry.session.core import TenantSession

try:
    from fastapi import APIRouter, Depends, Query
except ImportError as error:
    raise ExtraMissing(module="tenantry.packs.documents.http", extra="web") from error

from tenantry.packs.documents import http_graph
from tenantry.packs.documents.http_common import Depth, Number, Types, page
from tenantry.packs.documents.schemas import (
    AnalysisIn,
    DiffOut,
    DocumentChange,
    DocumentIn,
    DocumentOut,
    DocumentsOut,
    Order,
    SummaryOut,
    VersionOut,
    VersionsOut,
)
from tenantry.web import TenantContext, get_tenant_context
from tenantry.web.routes import Limit, Offset, SearchText, may, reading_of, run, writing_of

_GRAPH = (http_graph.topics, http_graph.links, http_graph.graph, http_graph.people)


def router(pack: Documents, *, prefix: str = "/api") -> APIRouter:
    """Returns the documents' routes: each asks for a permission, and for the tenant that the request is bound to."""
    # First who asks, then what they may: a request without a token is a 401.
    routes = APIRouter(prefix=prefix, tags=["documents"], dependencies=[Depends(get_tenant_context)])
    for add in (_documents, _document, _versions, _processing, _related, _similar, *_GRAPH):
        add(routes, pack)
    return routes


def _documents(routes: APIRouter, pack: Documents) -> None:
    reading, writing = reading_of(pack.tenancy), writing_of(pack.tenancy)

    @routes.get("/documents", dependencies=may("documents:read"), summary="The organisation's documents")
    async def list_documents(
        limit: Limit = 20,
        offset: Offset = 0,
        status: Annotated[list[DocumentStatus] | None, Query()] = None,
        owner_id: uuid.UUID | None = None,
        topic_id: uuid.UUID | None = None,
        q: SearchText = "",
        order_by: Order = "-created_at",
        db: AsyncTenantSession = reading,
    ) -> DocumentsOut:
        named = {"status": [str(each) for each in status] if status else None, "owner_id": owner_id}
        given = {name: value for name, value in named.items() if value is not None}

        def work(session: TenantSession) -> dict[str, Any]:
            found = pack.documents(session).query().search(q, ["title", "content"]).filter_by(**given)
            if topic_id is not None:
                found = found.where(Document.topic_links.any(DocumentTopic.topic_id == topic_id))
            return page(found.order_by(order_by), limit, offset)

        return DocumentsOut.model_validate(await run(db, work))

    @routes.post("/documents", status_code=201, dependencies=may("documents:create"), summary="Add a document")
    async def create_document(new: DocumentIn, db: AsyncTenantSession = writing) -> DocumentOut:
        def work(session: TenantSession) -> dict[str, Any]:
            given = {"owner_id": _owner(session, new.owner_id), **new.model_dump(exclude={"owner_id"})}
            return pack.documents(session).create(given).to_dict()

        return DocumentOut.model_validate(await run(db, work))


def _document(routes: APIRouter, pack: Documents) -> None:
    reading, writing = reading_of(pack.tenancy), writing_of(pack.tenancy)

    @routes.get("/documents/{document_id}", dependencies=may("documents:read"), summary="One document")
    async def get_document(document_id: uuid.UUID, db: AsyncTenantSession = reading) -> DocumentOut:
        found = await run(db, lambda session: pack.documents(session).get_one(document_id).to_dict())
        return DocumentOut.model_validate(found)

    @routes.patch("/documents/{document_id}", dependencies=may("documents:update"), summary="Change a document")
    async def change_document(
        document_id: uuid.UUID, change: DocumentChange, db: AsyncTenantSession = writing
    ) -> DocumentOut:
        found = await run(db, lambda session: _changed(session, pack.documents(session), document_id, change).to_dict())
        return DocumentOut.model_validate(found)

    @routes.delete(
        "/documents/{document_id}", status_code=204, dependencies=may("documents:delete"), summary="Hide a document"
    )
    async def delete_document(document_id: uuid.UUID, db: AsyncTenantSession = writing) -> None:
        await run(db, lambda session: pack.editing.delete(session, document_id))

    @routes.post(
        "/documents/{document_id}/restore", dependencies=may("documents:delete"), summary="Bring a document back"
    )
    async def restore_document(document_id: uuid.UUID, db: AsyncTenantSession = writing) -> DocumentOut:
        found = await run(db, lambda session: pack.editing.restore(session, document_id).to_dict())
        return DocumentOut.model_validate(found)


def _versions(routes: APIRouter, pack: Documents) -> None:
    reading, writing = reading_of(pack.tenancy), writing_of(pack.tenancy)
    base = "/documents/{document_id}/versions"

    @routes.get(base, dependencies=may("documents:read"), summary="A document's versions, the latest first")
    async def list_versions(
        document_id: uuid.UUID, limit: Limit = 20, offset: Offset = 0, db: AsyncTenantSession = reading
    ) -> VersionsOut:
        def work(session: TenantSession) -> dict[str, Any]:
            documents = pack.documents(session)
            return page(documents.versions(documents.get_one(document_id).id), limit, offset)

        return VersionsOut.model_validate(await run(db, work))

    @routes.get(f"{base}/{{number}}", dependencies=may("documents:read"), summary="One version of a document")
    async def get_version(document_id: uuid.UUID, number: int, db: AsyncTenantSession = reading) -> VersionOut:
        found = await run(db, lambda session: _version(pack.documents(session), document_id, number).to_dict())
        return VersionOut.model_validate(found)

    @routes.post(
        f"{base}/{{number}}/restore", dependencies=may("documents:update"), summary="Go back to what a version held"
    )
    async def restore_version(document_id: uuid.UUID, number: int, db: AsyncTenantSession = writing) -> DocumentOut:
        def work(session: TenantSession) -> dict[str, Any]:
            by = _asker(session)
            return pack.editing.restore_version(session, document_id, number, changed_by=by).to_dict()

        found = await run(db, work)
        return DocumentOut.model_validate(found)

    @routes.get("/documents/{document_id}/diff", dependencies=may("documents:read"), summary="What changed")
    async def compare(
        document_id: uuid.UUID, older: Number, newer: Number, db: AsyncTenantSession = reading
    ) -> DiffOut:
        def work(session: TenantSession) -> str:
            documents = pack.documents(session)
            return documents.compare_versions(documents.get_one(document_id).id, older, newer)

        return DiffOut(older=older, newer=newer, diff=await run(db, work))


def _processing(routes: APIRouter, pack: Documents) -> None:
    reading, writing = reading_of(pack.tenancy), writing_of(pack.tenancy)
    base = "/documents/{document_id}"

    @routes.post(f"{base}/processing", dependencies=may("documents:update"), summary="Begin to process a document")
    async def begin(document_id: uuid.UUID, db: AsyncTenantSession = writing) -> DocumentOut:
        def work(session: TenantSession) -> dict[str, Any]:
            pack.processing.begin(session, document_id)
            return pack.documents(session).get_one(document_id).to_dict()

        return DocumentOut.model_validate(await run(db, work))

    @routes.post(f"{base}/publication", dependencies=may("documents:update"), summary="Publish what was processed")
    async def publish(document_id: uuid.UUID, found: AnalysisIn, db: AsyncTenantSession = writing) -> DocumentOut:
        analysis = Analysis(**found.model_dump(exclude={"version"}))
        content = Content(document_id, found.version, "", "")

        def work(session: TenantSession) -> dict[str, Any]:
            topics = pack.topics(session)
            if any(topics.get_by_name(name) is None for name in analysis.topics):
                # What processing finds is made: by whom may make it.
                require(session, "topics:create")
            return pack.processing.finish(session, content, analysis).to_dict()

        return DocumentOut.model_validate(await run(db, work))

    @routes.post(f"{base}/archive", dependencies=may("documents:update"), summary="Archive a document for good")
    async def archive(document_id: uuid.UUID, db: AsyncTenantSession = writing) -> DocumentOut:
        done = await run(db, lambda session: pack.processing.archive(session, document_id).to_dict())
        return DocumentOut.model_validate(done)

    @routes.get(f"{base}/summaries", dependencies=may("documents:read"), summary="A document's summaries")
    async def summaries(document_id: uuid.UUID, db: AsyncTenantSession = reading) -> list[SummaryOut]:
        def work(session: TenantSession) -> list[SummaryOut]:
            document = pack.documents(session).get_one(document_id)
            return [SummaryOut.model_validate(each.to_dict()) for each in document.summaries]

        return await run(db, work)


def _related(routes: APIRouter, pack: Documents) -> None:
    reading = reading_of(pack.tenancy)

    @routes.get(
        "/documents/{document_id}/related",
        dependencies=may("documents:read"),
        summary="Documents that the graph leads to, the nearest first",
    )
    async def related(
        document_id: uuid.UUID,
        max_depth: Depth = 1,
        limit: Limit = 10,
        direction: Direction = Direction.BOTH,
        types: Types = None,
        db: AsyncTenantSession = reading,
    ) -> DocumentsOut:
        def work(session: TenantSession) -> dict[str, Any]:
            documents = pack.documents(session)
            key = documents.get_one(document_id).id
            found = documents.find_related(key, max_depth, limit, direction=direction, types=types or [])
            items = [each.to_dict() for each in found]
            return {"items": items, "total": len(items), "limit": limit, "offset": 0}

        return DocumentsOut.model_validate(await run(db, work))


def _similar(routes: APIRouter, pack: Documents) -> None:
    similarity = pack.similarity
    if similarity is None:
        return

    @routes.get(
        "/documents/{document_id}/similar",
        dependencies=may("documents:read"),
        summary="Documents that mean something near, the nearest first",
    )
    async def similar(
        document_id: uuid.UUID, context: Annotated[TenantContext, Depends(get_tenant_context)], limit: Limit = 10
    ) -> DocumentsOut:
        found = await asyncio.to_thread(similarity.like, context.tenant, document_id, limit=limit)
        items = [each.document.to_dict() for each in found]
        return DocumentsOut.model_validate({"items": items, "total": len(items), "limit": limit, "offset": 0})


def _asker(session: TenantSession) -> uuid.UUID | None:
    """Returns the user whose token asks, by his address, or None where it is nobody of the organisation's."""
    found = UserRepository(session).get_by_email(str(session.info.get("actor") or ""))
    return None if found is None else found.id


def _owner(session: TenantSession, named: uuid.UUID | None) -> uuid.UUID:
    """Returns the user who is named, or else whose token asks.

    Raises: RecordNotFound; InvalidFilter where who asks is nobody of the organisation's.
    """
    found = _asker(session) if named is None else UserRepository(session).get_one(named).id
    if found is None:
        raise InvalidFilter(model="Document", name="owner_id", reason="say whose it is, for who asks is no user.")
    return found


def _changed(
    session: TenantSession, documents: DocumentRepository, document_id: uuid.UUID, change: DocumentChange
) -> Document:
    given = change.given()
    told = {name: given.pop(name) for name in ("change_summary", "expected_version") if name in given}
    if "language" in given:
        documents.update(document_id, language=given.pop("language"))
    if not given and not told:
        return documents.get_one(document_id)
    return documents.create_version(document_id, changed_by=_asker(session), **told, **given)


def _version(documents: DocumentRepository, document_id: uuid.UUID, number: int) -> DocumentVersion:
    return documents.get_version(documents.get_one(document_id).id, number)
