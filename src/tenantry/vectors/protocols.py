"""What stands behind a collection of vectors: who makes them of texts, who keeps them, what goes in and comes out."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from tenantry.session.core import TenantSession

Metadata = Mapping[str, Any]
Where = Mapping[str, Any]


@runtime_checkable
class Embedder(Protocol):
    """Makes vectors of texts: a model in this process, or one behind an HTTP API.

    *model* names it in full, since vectors of different models cannot be compared: another name, and everything is
    embedded anew.
    """

    model: str
    dimensions: int

    def embed(self, texts: Sequence[str], /) -> Sequence[Sequence[float]]:
        """Returns one vector for each text, in their order, the same for the same text."""
        ...


@dataclass(frozen=True, slots=True)
class Record:
    """One vector as a store keeps it: of length one, as 32-bit floats, least byte first."""

    key: str
    vector: bytes
    metadata: Metadata
    content_hash: str


@dataclass(frozen=True, slots=True)
class Hit:
    """What a search found: ``score`` is the cosine of the angle, 1.0 for the same direction."""

    key: str
    score: float
    metadata: Metadata


class VectorStore(Protocol):
    """Keeps the vectors of one collection, each tenant's apart: whose they are is the session's to say, always.

    *beside_rows* says that it writes in the session's own transaction.
    """

    beside_rows: bool

    def put(self, session: TenantSession, records: Sequence[Record], /) -> None:
        """Keeps the records, in the place of those that had their keys."""
        ...

    def delete(self, session: TenantSession, keys: Collection[str], /) -> None:
        """Removes the records with these keys; those that are not there do not matter."""
        ...

    def search(self, session: TenantSession, vector: bytes, /, *, limit: int, where: Where) -> list[Hit]:
        """Returns the tenant's nearest records that meet *where*, the nearest first.

        Raises: SearchRefused.
        """
        ...

    def known(self, session: TenantSession, keys: Collection[str] | None = None, /) -> dict[str, str]:
        """Returns the content hashes of the tenant's records by key, of all or of those with these keys."""
        ...

    def forget(self, tenant: uuid.UUID, /) -> int:
        """Removes what it keeps of an erased tenant outside the tenant's own place, and returns how many records."""
        ...
