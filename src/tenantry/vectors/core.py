"""A collection of vectors: texts or vectors put under keys, and the nearest to another one found, in one tenant."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tenantry.errors import ConfigurationError, VectorRefused
from tenantry.models.payloads import digest_of, plain_json
from tenantry.session.core import TenantSession
from tenantry.tenancy import Tenancy
from tenantry.vectors.protocols import Embedder, Hit, Metadata, Record, VectorStore, Where
from tenantry.vectors.table import EXACT_UP_TO, TableStore
from tenantry.vectors.values import unit

if TYPE_CHECKING:
    from tenantry.vectors.aio import AsyncVectors

Content = str | Sequence[float]

_LONGEST: Final = 255
_MOST: Final = 16_000
_MOST_HITS: Final = 1000


@dataclass(frozen=True, slots=True)
class Draft:
    """What is to be kept under a key: a text, or a vector already."""

    key: str
    content: str | bytes
    metadata: Metadata
    content_hash: str


class Vectors:
    """Keeps vectors for each tenant and finds the nearest; make it right after the tenancy.

    Args:
        name: what the collection is called; its table is ``<name>_vectors``.
        embedder: makes vectors of texts; without one only vectors are taken, of *dimensions*.
        store: keeps them elsewhere than beside the rows, such as a ``ChromaStore``.
        table: another name for the table.
        index: whether PostgreSQL's tables get an HNSW index, where pgvector is and it takes so many dimensions.
        exact_up_to: up to how many records of a tenant a search compares them all, index or not.

    Raises: ConfigurationError for a name or dimensions that cannot be, and as ``Tenancy.table``.
    """

    def __init__(
        self,
        tenancy: Tenancy,
        name: str,
        *,
        embedder: Embedder | None = None,
        dimensions: int | None = None,
        store: VectorStore | None = None,
        table: str | None = None,
        index: bool = True,
        exact_up_to: int = EXACT_UP_TO,
    ) -> None:
        self.tenancy = tenancy
        self.name = name
        self.embedder = embedder
        self.dimensions = _dimensions(embedder, dimensions)
        self.store: VectorStore = store or TableStore(
            tenancy, table or f"{name}_vectors", dimensions=self.dimensions, index=index, exact_up_to=exact_up_to
        )

    def __repr__(self) -> str:
        return f"Vectors({self.name!r}, in={self.store!r})"

    @functools.cached_property
    def aio(self) -> AsyncVectors:
        """The same for async sessions.

        Raises: ExtraMissing without greenlet.
        """
        from tenantry.vectors.aio import AsyncVectors  # noqa: PLC0415  # needs greenlet, which not everybody has

        return AsyncVectors(self)

    def put(
        self,
        session: TenantSession,
        items: Mapping[str, Content],
        *,
        metadata: Mapping[str, Metadata] | None = None,
    ) -> int:
        """Keeps texts or vectors under their keys, in the place of what was there, and returns how many that changed.

        What is there already with the same text, model and metadata is neither embedded nor written again. The
        embedder is called in the middle of the caller's transaction; where it takes its time, call ``embed`` before.

        Raises: VectorRefused, PayloadRefused, and ConfigurationError for a text without an embedder.
        """
        drafts = self.changed(session, self.drafts(items, metadata))
        self.keep(session, self.embedded(drafts))
        return len(drafts)

    def delete(self, session: TenantSession, keys: Iterable[str]) -> None:
        """Removes what is kept under these keys, as far as it is there."""
        self.store.delete(session, list(keys))

    def search(
        self, session: TenantSession, wanted: Content, *, limit: int = 10, where: Where | None = None
    ) -> list[Hit]:
        """Returns the tenant's records nearest to a text or vector, the nearest first.

        *where* narrows it to records whose metadata have these values, or for a list one of them.

        Raises: VectorRefused, SearchRefused, and ConfigurationError for a text without an embedder.
        """
        return self.nearest(session, self.vector_of(wanted), limit=limit, where=where)

    def known(self, session: TenantSession, keys: Iterable[str] | None = None) -> dict[str, str]:
        """Returns the content hashes of what is kept, by key: of everything, or under these keys."""
        return self.store.known(session, None if keys is None else list(keys))

    def embed(self, texts: Sequence[str]) -> list[Sequence[float]]:
        """Returns the vectors of texts, which ``put`` and ``search`` take in their place.

        Raises: ConfigurationError without an embedder, VectorRefused for what the embedder gave.
        """
        if not texts:
            return []
        if self.embedder is None:
            raise ConfigurationError(
                what=f"The vectors {self.name!r} have no embedder, so they cannot read texts.",
                fix="Give them one, Vectors(…, embedder=…), or vectors in the place of texts.",
            )
        made = list(self.embedder.embed(texts))
        if len(made) != len(texts):
            reason = f"{len(made)} came back for {len(texts)} texts."
            raise VectorRefused(what=f"What the embedder {self.embedder.model!r} made", reason=reason)
        return made

    def drafts(self, items: Mapping[str, Content], metadata: Mapping[str, Metadata] | None) -> list[Draft]:
        """Returns what is to be kept, checked as far as it goes without the embedder.

        Raises: VectorRefused, PayloadRefused.
        """
        told = metadata or {}
        if unknown := sorted(set(told) - set(items)):
            raise VectorRefused(what=f"The metadata of {unknown[0]!r}", reason="there is nothing under that key.")
        return [self._draft(key, content, told.get(key, {})) for key, content in items.items()]

    def changed(self, session: TenantSession, drafts: Sequence[Draft]) -> list[Draft]:
        """Returns those that are not kept yet just so."""
        known = self.store.known(session, [draft.key for draft in drafts]) if drafts else {}
        return [draft for draft in drafts if known.get(draft.key) != draft.content_hash]

    def embedded(self, drafts: Sequence[Draft]) -> list[Record]:
        """Returns drafts as records; this is where the embedder is called.

        Raises: VectorRefused, ConfigurationError.
        """
        texts = list(dict.fromkeys(draft.content for draft in drafts if isinstance(draft.content, str)))
        made = dict(zip(texts, self.embed(texts), strict=True))
        return [self._record(draft, made) for draft in drafts]

    def keep(self, session: TenantSession, records: Sequence[Record]) -> None:
        """Hands records to the store."""
        self.store.put(session, records)

    def vector_of(self, wanted: Content) -> bytes:
        """Returns the vector to search for.

        Raises: VectorRefused, ConfigurationError.
        """
        values = self.embed([wanted])[0] if isinstance(wanted, str) else wanted
        return unit(values, dimensions=self.dimensions, what="The vector to search for")

    def nearest(self, session: TenantSession, vector: bytes, *, limit: int, where: Where | None) -> list[Hit]:
        """Returns the records nearest to a vector as the store keeps them.

        Raises: SearchRefused, ConfigurationError for a limit below one or beyond a thousand.
        """
        if not 0 < limit <= _MOST_HITS:
            raise ConfigurationError(what=f"limit={limit} asks for no number of records.", fix="Give 1 to 1000.")
        return self.store.search(session, vector, limit=limit, where=where or {})

    def _draft(self, key: str, content: Content, metadata: Metadata) -> Draft:
        if not isinstance(key, str) or not 0 < len(key) <= _LONGEST or not key.isprintable():
            raise VectorRefused(what="That", reason=f"its key is no printable text of 1 to {_LONGEST} characters.")
        what = f"The metadata of {key!r}"
        told = plain_json(dict(metadata), what=what)
        kept = content if isinstance(content, str) else self._unit(content, key)
        if isinstance(kept, str) and not kept.strip():
            raise VectorRefused(what=f"The text of {key!r}", reason="it is empty.")
        said = [self.embedder and self.embedder.model, kept] if isinstance(kept, str) else kept.hex()
        return Draft(key, kept, told, digest_of([self.dimensions, said, told], what=what))

    def _record(self, draft: Draft, made: Mapping[str, Sequence[float]]) -> Record:
        kept = draft.content
        vector = self._unit(made[kept], draft.key) if isinstance(kept, str) else kept
        return Record(draft.key, vector, draft.metadata, draft.content_hash)

    def _unit(self, values: Sequence[float], key: str) -> bytes:
        return unit(values, dimensions=self.dimensions, what=f"The vector of {key!r}")


def _dimensions(embedder: Embedder | None, given: int | None) -> int:
    found = given if embedder is None else embedder.dimensions
    if found is None or not 0 < found <= _MOST or (given is not None and given != found):
        raise ConfigurationError(
            what=f"Vectors of {given} dimensions cannot be kept here; the embedder makes {found}.",
            fix=f"Give an embedder, or dimensions= from 1 to {_MOST}, not two that contradict each other.",
        )
    return found
