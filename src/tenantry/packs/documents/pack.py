"""The documents of a tenancy: what they stand on, made once, and repositories that are given it."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from sqlalchemy import Table
from sqlalchemy.orm import Session, class_mapper

from tenantry.audit import Audit
from tenantry.cache import Cache
from tenantry.cache.stores import Store
from tenantry.models.columns import utc_now
from tenantry.packs.documents.models import Document, DocumentVersion
from tenantry.packs.documents.repositories import DocumentRepository
from tenantry.packs.documents.repositories_graph import GraphNodeRepository, TopicRepository
from tenantry.packs.documents.services import Editing, Processing
from tenantry.packs.documents.similarity import Similarity
from tenantry.tenancy import Tenancy
from tenantry.types import TenantKey
from tenantry.vectors import Embedder

if TYPE_CHECKING:
    from tenantry.fleet.sqitch import SqitchHistory

_BATCH: Final = 500
# A Sqitch project: sqitch.plan, deploy, revert and verify; below sqlite the same for files.
MIGRATIONS: Final = Path(__file__).parent / "migrations"


class Documents:
    """Organisations' documents in one tenancy; make it right after that, before anything is opened.

    *store* keeps what dear reads gave; without one every read goes to the database. With an *embedder* documents are
    found by what they mean, by ``similarity``; its tables are not in the pack's history.

    Raises: as ``Audit``, ``Cache``, ``Similarity``.
    """

    def __init__(
        self,
        tenancy: Tenancy,
        *,
        store: Store | None = None,
        audit: Audit | None = None,
        embedder: Embedder | None = None,
    ) -> None:
        self.tenancy = tenancy
        self.audit = audit or Audit(tenancy)
        self.cache = None if store is None else Cache(tenancy, store)
        self.processing = Processing(tenancy, audit=self.audit, cache=self.cache)
        self.editing = Editing(tenancy, audit=self.audit, cache=self.cache)
        self.similarity = None if embedder is None else Similarity(tenancy, embedder)

    def __repr__(self) -> str:
        return f"Documents({self.tenancy!r})"

    def prepare(self) -> None:
        """Makes what stands ready for all: nothing, since every row of the documents is an organisation's own."""

    def history(self) -> SqitchHistory:
        """Returns the history of the tables: ``Fleet(tenancy, documents.history())``.

        Raises: ConfigurationError where the tenancy has servers of both kinds.
        """
        # A program that serves requests migrates nothing, and loads nothing of it.
        from tenantry.fleet.sqitch import SqitchHistory  # noqa: PLC0415

        return SqitchHistory(self.tenancy, MIGRATIONS)

    def purge(self, key: TenantKey, *, older_than: datetime.datetime | datetime.timedelta, reason: str) -> int:
        """Deletes documents for good that were deleted before a time, or so long ago, and returns how many they were.

        Their versions go with them. On PostgreSQL that takes the operator's login; the reason is on the record first.

        Raises: as ``Tenancy.purging``.
        """
        end = older_than if isinstance(older_than, datetime.datetime) else utc_now() - older_than
        table, versions = _table(Document), _table(DocumentVersion)
        with self.tenancy.purging(key, reason=reason) as purge:
            gone = [row[0] for row in purge.select(table, [table.c.id], table.c.deleted_at < end)]
            for start in range(0, len(gone), _BATCH):
                batch = gone[start : start + _BATCH]
                purge.delete(versions, versions.c.document_id.in_(batch))
                purge.delete(table, table.c.id.in_(batch))
        if self.cache is not None:
            # It hears of no other session than tenants'.
            self.cache.clear(key)
        return len(gone)

    def documents(self, session: Session) -> DocumentRepository:
        """Returns the repository of documents over a session, with the cache."""
        return DocumentRepository(session, cache=self.cache)

    def topics(self, session: Session) -> TopicRepository:
        """Returns the repository of topics over a session, with the cache."""
        return TopicRepository(session, cache=self.cache)

    def nodes(self, session: Session) -> GraphNodeRepository:
        """Returns the repository of the graph's nodes over a session, with the cache."""
        return GraphNodeRepository(session, cache=self.cache)


def _table(model: type) -> Table:
    return cast(Table, class_mapper(model).local_table)
