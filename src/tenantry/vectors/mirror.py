"""Rows mirrored in a collection of vectors: noted with each change, embedded afterwards by the outbox's relay."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy.exc import SQLAlchemyError

from tenantry.errors import ConfigurationError, TenantryError
from tenantry.events import announce
from tenantry.outbox import Event, Outbox
from tenantry.session.core import TenantSession
from tenantry.types import TenantKey
from tenantry.vectors.core import Draft, Vectors
from tenantry.vectors.mirrored import Mirrored
from tenantry.vectors.protocols import Metadata
from tenantry.vectors.watching import watch

if TYPE_CHECKING:
    from tenantry.vectors.aio import AsyncMirror

_KEYS_AT_ONCE: Final = 100
_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Mirroring:
    """What bringing a collection up to its rows changed."""

    put: int = 0
    deleted: int = 0

    def __add__(self, other: Mirroring) -> Mirroring:
        return Mirroring(self.put + other.put, self.deleted + other.deleted)


class Mirror:
    """Has the vectors of a class's rows follow the rows: changed ones are embedded again, deleted ones go.

    A change adds an event to the outbox in its own transaction; a ``Relay`` of that outbox calls the embedder outside
    any transaction, and again until it went through. The collection holds the rows of this class and nothing else.

    Args:
        model: the class; its rows' own ids, as text, are the keys.
        text: what is embedded of a row; nothing or None keeps it out.
        metadata: what searches are narrowed by, and what hits carry.

    Raises: ConfigurationError for a class that is not the tenants', and for a second mirror of one collection.
    """

    def __init__(
        self,
        vectors: Vectors,
        outbox: Outbox,
        model: type[Any],
        *,
        text: Callable[[Any], str | None],
        metadata: Callable[[Any], Metadata] | None = None,
    ) -> None:
        if outbox.tenancy is not vectors.tenancy:
            raise ConfigurationError(
                what=f"The vectors {vectors.name!r} and the outbox are of two tenancies.",
                fix="Make both of the Tenancy whose rows are mirrored.",
            )
        self.vectors = vectors
        self.outbox = outbox
        self.mirrored = Mirrored(model)
        self.topic = f"vectors.{vectors.name}"
        self._text = text
        self._metadata = metadata or (lambda _: {})
        outbox.handler(self.topic)(self._follow)
        watch(vectors.tenancy, self)
        vectors.tenancy.rows_replaced.append(self._look_again)

    def __repr__(self) -> str:
        return f"<Mirror of {self.mirrored.model.__name__} in {self.vectors!r}>"

    @property
    def name(self) -> str:
        """What certificates of erasure call it."""
        return self.topic

    @cached_property
    def aio(self) -> AsyncMirror:
        """The same for async sessions.

        Raises: ExtraMissing without greenlet.
        """
        from tenantry.vectors.aio import AsyncMirror  # noqa: PLC0415  # needs greenlet, which not everybody has

        return AsyncMirror(self)

    def touch(self, session: TenantSession, rows: Iterable[object]) -> None:
        """Has rows looked at again once the caller's transaction is committed: for changes of what their text reads."""
        keys = list(dict.fromkeys(map(self.mirrored.key_of, rows)))
        for first in range(0, len(keys), _KEYS_AT_ONCE):
            self.outbox.add(session, self.topic, {"keys": keys[first : first + _KEYS_AT_ONCE]})

    def touch_all(self, session: TenantSession) -> None:
        """Has every row of the tenant looked at again once the caller's transaction is committed."""
        self.outbox.add(session, self.topic, {"all": True})

    def refresh(self, key: TenantKey) -> Mirroring:
        """Brings a tenant's vectors up to its rows, now: for rows older than the mirror, a new model, a raw statement.

        What is as it should be is not embedded again.

        Raises: as ``Tenancy.session``, and what the embedder raises; what was done until then stays done.
        """
        with self.vectors.tenancy.session(key, read_only=True) as session:
            # The records first: what has one and no row afterwards is gone.
            kept = self.vectors.known(session)
            keys = list(dict.fromkeys([*kept, *self.mirrored.keys(session)]))
        done = Mirroring()
        for first in range(0, len(keys), _KEYS_AT_ONCE):
            done += self._bring(key, keys[first : first + _KEYS_AT_ONCE])
            announce("vectors", "refresh", vectors=self.vectors.name, tenant=key, done=first, total=len(keys))
        return done

    def forget(self, tenant: uuid.UUID, subject: Collection[str] | None) -> int:
        """Removes what is kept of a tenant elsewhere, or brings its vectors up to rows from which a person is gone.

        Pass the mirror to ``Erasing(…, copies=[mirror])``; called again it finds nothing and returns 0.
        """
        if subject is None:
            return self.vectors.store.forget(tenant)
        done = self.refresh(tenant)
        return done.put + done.deleted

    def _look_again(self, tenant: uuid.UUID) -> None:
        try:
            with self.vectors.tenancy.transaction(tenant) as session:
                self.touch_all(session)
        except (TenantryError, SQLAlchemyError) as error:
            # What happened to the rows has happened, and whoever did it is told nothing else; a tenant that cannot be
            # used now is refreshed when it can. A driver's words may quote rows, so its error is named alone.
            reason = type(error).__name__
            _log.warning("the vectors %r of tenant %s were not noted for a refresh: %s", self.name, tenant, reason)

    def _follow(self, event: Event) -> None:
        keys = event.payload.get("keys")
        if keys is None:
            self.refresh(event.tenant)
        else:
            self._bring(event.tenant, keys)

    def _bring(self, key: TenantKey, keys: Sequence[str]) -> Mirroring:
        """Brings the vectors under *keys* up to their rows; the embedder is called between two transactions."""
        vectors, tenancy = self.vectors, self.vectors.tenancy
        with tenancy.session(key, read_only=True) as session:
            before = vectors.changed(session, list(self._drafts(session, keys).values()))
        records = vectors.embedded(before)
        with tenancy.transaction(key) as session:
            now = self._drafts(session, keys)
            gone = list(vectors.known(session, [each for each in keys if each not in now]))
            if not vectors.store.beside_rows:
                # Nobody waits for another system with a transaction open.
                session.commit()
            # A row that changed meanwhile has an event of its own behind this one.
            still = [record for record in records if _hash(now.get(record.key)) == record.content_hash]
            vectors.keep(session, still)
            vectors.delete(session, gone)
        return Mirroring(len(still), len(gone))

    def _drafts(self, session: TenantSession, keys: Sequence[str]) -> dict[str, Draft]:
        texts, metadata = {}, {}
        for key, row in self.mirrored.rows(session, keys):
            text = self._text(row)
            if text and text.strip():
                texts[key], metadata[key] = text, self._metadata(row)
        return {draft.key: draft for draft in self.vectors.drafts(texts, metadata)}


def _hash(draft: Draft | None) -> str | None:
    return None if draft is None else draft.content_hash
