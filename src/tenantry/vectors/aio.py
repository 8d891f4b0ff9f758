"""The asynchronous door of vectors: the same methods, awaited; the embedder runs in a thread beside the loop."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from tenantry.session.aio import AsyncTenantSession, Face, through
from tenantry.types import TenantKey
from tenantry.vectors.core import Content, Vectors
from tenantry.vectors.mirror import Mirror, Mirroring
from tenantry.vectors.protocols import Hit, Metadata, Where


class AsyncVectors(Face[Vectors]):
    """The awaited face of ``Vectors``; reach it through ``vectors.aio``."""

    delete = through(Vectors.delete)
    known = through(Vectors.known)
    _changed = through(Vectors.changed)
    _keep = through(Vectors.keep)
    _nearest = through(Vectors.nearest)

    async def put(
        self,
        session: AsyncTenantSession,
        items: Mapping[str, Content],
        *,
        metadata: Mapping[str, Metadata] | None = None,
    ) -> int:
        """Does as ``Vectors.put``."""
        drafts = await self._changed(session, self.behind.drafts(items, metadata))
        await self._keep(session, await asyncio.to_thread(self.behind.embedded, drafts))
        return len(drafts)

    async def search(
        self, session: AsyncTenantSession, wanted: Content, *, limit: int = 10, where: Where | None = None
    ) -> list[Hit]:
        """Does as ``Vectors.search``."""
        vector = await asyncio.to_thread(self.behind.vector_of, wanted)
        return await self._nearest(session, vector, limit=limit, where=where)

    async def embed(self, texts: Sequence[str]) -> list[Sequence[float]]:
        """Does as ``Vectors.embed``."""
        return await asyncio.to_thread(self.behind.embed, texts)


class AsyncMirror(Face[Mirror]):
    """The awaited face of a ``Mirror``; reach it through ``mirror.aio``. A refresh runs in a thread beside the loop."""

    touch = through(Mirror.touch)
    touch_all = through(Mirror.touch_all)

    async def refresh(self, key: TenantKey) -> Mirroring:
        """Does as ``Mirror.refresh``."""
        return await asyncio.to_thread(self.behind.refresh, key)
