"""A store in Chroma: a collection for each tenant, so that no filter, given or forgotten, leads into another's."""

from __future__ import annotations

import contextlib
import json
import re
import uuid
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from tenantry.errors import ConfigurationError, ExtraMissing, SearchRefused
from tenantry.session.core import TenantSession
from tenantry.vectors.filters import checked
from tenantry.vectors.protocols import Hit, Record, Where
from tenantry.vectors.values import from_bytes

try:
    from chromadb.api import ClientAPI
    from chromadb.errors import NotFoundError
except ImportError as error:
    raise ExtraMissing(module="The Chroma store of vectors", extra="chroma") from error

_NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9_-]{0,60}[a-z0-9])?")
# Under these names a record's metadata keep what is ours.
_WHOLE: Final = "tenantry.metadata"
_HASH: Final = "tenantry.hash"
_OURS: Final = "tenantry."
# And so begin those that Chroma keeps for itself, or takes for operators.
_RESERVED: Final = (_OURS, "chroma:", "$", "#")
_AT_ONCE: Final = 1000


class ChromaStore:
    """Keeps vectors in Chroma, each tenant's in the collection ``<name>-<tenant's id>``; *client* is any of Chroma's.

    It is no part of the database's transactions: put rows into it with a ``Mirror``. Searches are narrowed by texts,
    numbers and booleans at the top of the metadata.

    Raises: ConfigurationError for a name that Chroma would not take.
    """

    beside_rows = False

    def __init__(self, client: ClientAPI, name: str) -> None:
        if not _NAME.fullmatch(name):
            raise ConfigurationError(
                what=f"{name!r} is no name for collections of Chroma.",
                fix="Use up to 62 of a-z, 0-9, '_' and '-', with a letter or digit at both ends.",
            )
        self._client = client
        self._name = name

    def __repr__(self) -> str:
        return f"ChromaStore({self._name!r})"

    def put(self, session: TenantSession, records: Sequence[Record]) -> None:
        """Keeps the records at once, whatever becomes of the session's transaction."""
        for first in range(0, len(records), _AT_ONCE):
            part = records[first : first + _AT_ONCE]
            self._collection(session.tenant.id).upsert(
                ids=[record.key for record in part],
                embeddings=[from_bytes(record.vector).tolist() for record in part],
                metadatas=[_kept(record) for record in part],
            )

    def delete(self, session: TenantSession, keys: Collection[str]) -> None:
        """Removes records at once, whatever becomes of the session's transaction."""
        if keys:
            self._collection(session.tenant.id).delete(ids=list(keys))

    def known(self, session: TenantSession, keys: Collection[str] | None = None) -> dict[str, str]:
        """Returns the content hashes of the tenant's records, of all or of those with these keys."""
        if keys is not None and not keys:
            return {}
        wanted = None if keys is None else list(keys)
        found = self._collection(session.tenant.id).get(ids=wanted, include=["metadatas"])
        return {key: str(kept[_HASH]) for key, kept in zip(found["ids"], found["metadatas"] or [], strict=True)}

    def search(self, session: TenantSession, vector: bytes, *, limit: int, where: Where) -> list[Hit]:
        """Returns the tenant's nearest records that meet *where*, the nearest first.

        Raises: SearchRefused.
        """
        found = self._collection(session.tenant.id).query(
            query_embeddings=[from_bytes(vector).tolist()],
            n_results=limit,
            where=_narrowed(where),
            include=["metadatas", "distances"],
        )
        rows = zip(found["ids"][0], (found["distances"] or [[]])[0], (found["metadatas"] or [[]])[0], strict=True)
        hits = [Hit(key, 1.0 - float(far), json.loads(str(kept[_WHOLE]))) for key, far, kept in rows]
        return sorted(hits, key=lambda hit: (-hit.score, hit.key))

    def forget(self, tenant: uuid.UUID) -> int:
        """Drops a tenant's collection and returns how many records were in it."""
        with contextlib.suppress(NotFoundError):
            count = int(self._client.get_collection(self._named(tenant), embedding_function=None).count())
            self._client.delete_collection(self._named(tenant))
            return count
        return 0

    def _collection(self, tenant: uuid.UUID) -> Any:
        # Without an embedding function of Chroma's own, which would load a model from elsewhere.
        return self._client.get_or_create_collection(
            self._named(tenant), embedding_function=None, configuration={"hnsw": {"space": "cosine"}}
        )

    def _named(self, tenant: uuid.UUID) -> str:
        return f"{self._name}-{tenant.hex}"


def _kept(record: Record) -> Mapping[str, Any]:
    plain = {
        name: value
        for name, value in record.metadata.items()
        if isinstance(value, str | int | float) and name and not name.startswith(_RESERVED)
    }
    return {**plain, _WHOLE: json.dumps(dict(record.metadata)), _HASH: record.content_hash}


def _narrowed(where: Where) -> Any:
    parts = [{name: {"$in": list(_scalars(name, values))}} for name, values in checked(where)]
    return None if not parts else parts[0] if len(parts) == 1 else {"$and": parts}


def _scalars(name: str, values: Sequence[Any]) -> Sequence[Any]:
    if None in values or len(set(map(type, values))) > 1 or name.startswith(_RESERVED):
        raise SearchRefused(what=repr(name), reason="Chroma cannot compare it.")
    return values
