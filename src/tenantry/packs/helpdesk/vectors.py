"""The seam to a vector store: who embeds and who keeps vectors is plugged in, and what changes reaches both."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol

from tenantry.errors import ConfigurationError
from tenantry.models.columns import utc_now
from tenantry.outbox import Event
from tenantry.packs.helpdesk.models import Company
from tenantry.packs.helpdesk.models_knowledge import IntegratedObject, VectorLink
from tenantry.packs.helpdesk.repositories import CompanyRepository, made_or_found
from tenantry.packs.helpdesk.repositories_knowledge import IntegratedObjectRepository, VectorLinkRepository
from tenantry.packs.helpdesk.words import SyncStatus
from tenantry.session.core import TenantSession
from tenantry.tenancy import Tenancy
from tenantry.types import Tenant

if TYPE_CHECKING:
    from tenantry.vectors import Vectors

DOCUMENTS: Final = "documents"

Embed = Callable[[str], Awaitable[Sequence[float]]]


class KeepsVectors(Protocol):
    """Whatever keeps vectors: a collection takes items of ``id``, ``vector`` and ``metadata``."""

    async def insert_vectors(self, collection: str, vectors: Sequence[Mapping[str, Any]], /) -> Any:
        """Keeps the vectors, in the place of those that had their ids."""
        ...


class VectorPort:
    """Where the helpdesk reaches vectors: nothing is plugged in until ``use`` says who keeps and who embeds."""

    def __init__(self) -> None:
        self._store: KeepsVectors | None = None
        self._embed: Embed | None = None

    def __repr__(self) -> str:
        return f"<VectorPort, {'ready' if self.ready else 'nothing plugged in'}>"

    @property
    def ready(self) -> bool:
        """Whether vectors can be made and kept."""
        return self._store is not None and self._embed is not None

    def use(self, store: KeepsVectors | None, *, embed: Embed | None) -> None:
        """Plugs in who keeps vectors and who makes them of texts; None takes either away."""
        self._store, self._embed = store, embed

    async def insert_vectors(self, collection: str, vectors: Sequence[Mapping[str, Any]]) -> Any:
        """Has vectors kept.

        Raises: ConfigurationError where nothing is plugged in, or an item does not say whose it is.
        """
        if self._store is None:
            raise ConfigurationError(what="No vector store is plugged in.", fix="Call vector_db.use(store, embed=…).")
        for item in vectors:
            if not item.get("metadata", {}).get("tenant_id"):
                raise ConfigurationError(
                    what="A vector does not say whose it is.", fix="Put tenant_id in its metadata."
                )
        return await self._store.insert_vectors(collection, vectors)

    async def embed(self, text: str) -> Sequence[float]:
        """Returns the vector of a text.

        Raises: ConfigurationError where nothing is plugged in.
        """
        if self._embed is None:
            raise ConfigurationError(what="No embedding is plugged in.", fix="Call vector_db.use(store, embed=…).")
        return await self._embed(text)


vector_db: Final = VectorPort()


async def generate_embedding(text: str) -> Sequence[float]:
    """Returns the vector of a text.

    Raises: ConfigurationError where nothing is plugged in.
    """
    return await vector_db.embed(text)


class InVectors:
    """Keeps vectors in collections of ``tenantry.vectors``, each within its tenant's walls."""

    def __init__(self, collections: Mapping[str, Vectors], *, find: Callable[[Any, Any], Tenant]) -> None:
        self._collections = collections
        self._find = find

    async def insert_vectors(self, collection: str, vectors: Sequence[Mapping[str, Any]], /) -> None:
        """Keeps the vectors.

        Raises: ConfigurationError for a collection that is not there; TenantNotFound; as ``Vectors.put``.
        """
        if collection not in self._collections:
            known = ", ".join(self._collections)
            raise ConfigurationError(what=f"There is no collection {collection!r}.", fix=f"Choose from {known}.")
        await asyncio.to_thread(self._put, self._collections[collection], vectors)

    def _put(self, kept: Vectors, vectors: Sequence[Mapping[str, Any]]) -> None:
        for item in vectors:
            said = item["metadata"]
            with kept.tenancy.transaction(self._find(said["tenant_id"], said.get("platform"))) as session:
                kept.put(session, {item["id"]: item["vector"]}, metadata={item["id"]: dict(said)})


class VectorSync:
    """Brings the vectors of objects up to their rows: no session is open while a model or a store is called."""

    def __init__(self, tenancy: Tenancy, port: VectorPort = vector_db) -> None:
        self._tenancy = tenancy
        self._port = port

    def __repr__(self) -> str:
        return f"VectorSync({self._port!r})"

    async def follow(self, event: Event) -> None:
        """Has the vector of a changed object made and kept; does nothing where no store is plugged in.

        Raises: whatever the embedding or the store raises, once it is noted at the object.
        """
        if not self._port.ready:
            return
        item = await asyncio.to_thread(self._read, event)
        if item is None:
            return
        try:
            vector = await self._port.embed(item["metadata"]["content"])
            await self._port.insert_vectors(DOCUMENTS, [{**item, "vector": list(vector)}])
        except Exception as error:
            await asyncio.to_thread(self._note, event, error=f"{type(error).__name__}: {error}", dim=None)
            raise
        await asyncio.to_thread(self._note, event, error=None, dim=len(vector))

    def _read(self, event: Event) -> dict[str, Any] | None:
        with self._tenancy.session(event.tenant, read_only=True) as session:
            found = IntegratedObjectRepository(session).get(event.payload["id"])
            if found is None or not found.content:
                return None
            company: Company | None = CompanyRepository(session).get_own()
            said = {"tenant_id": company.name if company else str(event.tenant), "platform": found.platform}
            return {"id": found.id, "metadata": {**said, "doc_type": found.object_type, "content": found.content}}

    def _note(self, event: Event, *, error: str | None, dim: int | None) -> None:
        with self._tenancy.transaction(event.tenant) as session:
            found = IntegratedObjectRepository(session).get(event.payload["id"])
            if found is None:
                return
            link = _link(session, found)
            status, moment = (SyncStatus.SYNCED, utc_now()) if error is None else (SyncStatus.FAILED, None)
            link.attempts, link.error, link.dim = link.attempts + 1, error, dim or link.dim
            link.status = found.embedding_status = status
            link.content_hash = found.content_hash
            if moment is not None:
                link.synced_at, found.synced_at, found.vector_id = moment, moment, found.id


def _link(session: TenantSession, found: IntegratedObject) -> VectorLink:
    links, values = VectorLinkRepository(session), {"collection": DOCUMENTS, "vector_id": found.id}
    known = {**values, "object_id": found.id}
    return made_or_found(links, known, lambda: links.get_by_vector(DOCUMENTS, found.id))[0]
