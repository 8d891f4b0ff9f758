"""The repositories of organisations, users, documents and summaries; ``aio`` has their awaited faces."""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar, Final, Generic, TypeVar, cast

from sqlalchemy import Select, Table, select
from sqlalchemy.orm import Session, selectinload
from sqlalchemy.orm.interfaces import ORMOption

from tenantry.cache import Cache
from tenantry.errors import ConfigurationError, RecordNotFound, VersionConflict
from tenantry.observe import track_metrics
from tenantry.packs.documents import graph, versions
from tenantry.packs.documents.models import Document, DocumentStatus, DocumentVersion, Organization, Summary, User
from tenantry.packs.documents.models_graph import DocumentTopic, GraphNode, GraphRelationship
from tenantry.repository import Query, Repository
from tenantry.repository.core import Key
from tenantry.repository.pages import check_bound
from tenantry.search import by_words
from tenantry.session.core import TenantSession, tenant_id_of
from tenantry.types import Tenant

M = TypeVar("M")
R = TypeVar("R")

_GRAPH: Final = (GraphNode, GraphRelationship)
_SEARCHED: Final = ("title", "content")
_AT_ONCE: Final = 200
# How many of the nearest documents may be hidden before fewer are found than were asked for.
_HIDDEN: Final = 1000


class KeptRepository(Repository[M], Generic[M]):
    """A repository whose dear reads are kept by a cache, where one is given: the keys of rows, never the rows."""

    # For how many seconds, by the name of the method; what is not named is kept as long as the cache says.
    ttls: ClassVar[Mapping[str, float]] = {}

    def __init__(
        self,
        session: Session,
        *,
        model: type[M] | None = None,
        options: Sequence[ORMOption] | None = None,
        cache: Cache | None = None,
    ) -> None:
        super().__init__(session, model=model, options=options)
        self.cache = cache

    @property
    def tenant(self) -> Tenant | None:
        """Whose rows these are."""
        return self.session.info.get("tenant")

    def kept(self, method: str, load: Callable[[Session], R], *, by: Any = None, reads: Iterable[type | Table]) -> R:
        """Returns what *load* gives, or what the cache kept of it until now; it drops that when *reads* change."""
        # A session that finds its tenant by what is asked has none yet.
        if self.cache is None or not isinstance(self.session, TenantSession) or self.tenant is None:
            return load(self.session)
        name = f"documents.{type(self).__name__}.{method}"
        return self.cache.get(self.session, name, load, by=by, reads=reads, ttl=self.ttls.get(method))

    def in_order(self, keys: Sequence[uuid.UUID], *, offset: int = 0, limit: int | None = None) -> list[M]:
        """Returns the rows of these keys in the order of the keys, without those that are gone or hidden."""
        found: list[M] = []
        wanted = len(keys) if limit is None else offset + limit
        for start in range(0, len(keys), _AT_ONCE):
            if len(found) >= wanted:
                break
            found += self._present(keys[start : start + _AT_ONCE])
        return found[offset:wanted]

    def _present(self, keys: Sequence[uuid.UUID]) -> list[M]:
        model = cast(Any, self.model)
        found = {row.id: row for row in cast(Iterable[Any], self.list(model.id.in_(keys)))}
        return [found[key] for key in keys if key in found]


class OrganizationRepository(Repository[Organization]):
    """The tenant's own organisation."""

    def get_own(self) -> Organization | None:
        """Returns the organisation of this tenant, or None while it has none."""
        return self.find()


class UserRepository(Repository[User]):
    """The organisation's users."""

    def get_by_email(self, email: str) -> User | None:
        """Returns the user of this address, however it is written, or None."""
        return self.find(email=email.strip().lower())

    def active(self) -> list[User]:
        """Returns the users who may log in, by address."""
        return self.list(is_active=True, order_by="email")


class DocumentRepository(KeptRepository[Document]):
    """The organisation's documents; lists come with the latest first."""

    ttls: ClassVar[Mapping[str, float]] = {"find_related": 900.0, "find_by_topic": 300.0}

    def create(self, given: Document | Mapping[str, Any] | None = None, /, **values: Any) -> Document:
        """Returns a new document, made from an object, a mapping or values, with its first version.

        Raises: UnknownField, CrossTenant.
        """
        return self.bulk_create([versions.made(given, values)])[0]

    def bulk_create(self, items: Iterable[Document | Mapping[str, Any]]) -> list[Document]:
        """Returns new documents, made from objects or mappings and sent together, each with its first version.

        Raises: UnknownField, CrossTenant.
        """
        made = super().bulk_create(versions.made(item, {}) for item in items)
        self.session.add_all(versions.snapshot(document, change_summary="Created") for document in made)
        self.session.flush()
        return made

    def update(self, target: Document | Key, /, **changes: Any) -> Document:
        """Returns the document with the changes made; a new title, content or metadata is a new version.

        Raises: RecordNotFound, UnknownField, TenantImmutable, IllegalStep.
        """
        named = versions.named(changes)
        kept = {name: value for name, value in named.items() if name in versions.VERSIONED}
        rest = {name: value for name, value in named.items() if name not in versions.VERSIONED}
        document = super().update(target, **rest)
        return self.create_version(document, **kept) if kept else document

    def purge(self, *, older_than: datetime.datetime | datetime.timedelta) -> int:
        """Refuses: a document's versions go by no session; ``Documents.purge`` takes both.

        Raises: ConfigurationError.
        """
        raise ConfigurationError(
            what="Documents have versions, which no session deletes.",
            fix="Call Documents(tenancy).purge(key, older_than=..., reason=...).",
        )

    @track_metrics
    def create_version(
        self,
        target: Document | Key,
        /,
        *,
        change_summary: str | None = None,
        changed_by: uuid.UUID | None = None,
        expected_version: int | None = None,
        **changes: Any,
    ) -> Document:
        """Returns the document with a new title, content or metadata as its next version; two callers make two.

        Args:
            expected_version: the version that the change is of; another one by now is refused.

        Raises: RecordNotFound, UnknownField, VersionConflict.
        """
        named = versions.named(changes, only=versions.VERSIONED)
        if changed_by is not None:
            UserRepository(self.session).get_one(changed_by)
        document = self._locked(target)
        if expected_version is not None and document.version != expected_version:
            raise VersionConflict(found=document.version, expected=expected_version)
        before = self._snapshot_of(document)
        for name, value in named.items():
            setattr(document, name, value)
        document.version += 1
        made = versions.snapshot(document, before=before, change_summary=change_summary, changed_by=changed_by)
        self.session.add(made)
        self.session.flush()
        return document

    def get_versions(
        self, document_id: Key, *, limit: int | None = None, offset: int | None = None
    ) -> list[DocumentVersion]:
        """Returns the versions of a document, the latest first.

        Raises: InvalidPage.
        """
        return self.versions(document_id).limit(limit).offset(offset).all()

    def get_version(self, document_id: Key, number: int) -> DocumentVersion:
        """Returns one version of a document.

        Raises: RecordNotFound.
        """
        return self.versions(document_id).filter_by(version_number=number).one()

    def versions(self, document_id: Key) -> Query[DocumentVersion]:
        """Returns the query of the versions of a document, the latest first, to be narrowed or paged."""
        query = Repository(self.session, model=DocumentVersion).query()
        return query.filter_by(document_id=document_id).order_by("-version_number")

    def restore_version(self, target: Document | Key, /, number: int, **by: Any) -> Document:
        """Returns the document with what it held as version *number*, as its next version.

        Raises: RecordNotFound, VersionConflict.
        """
        document = self._mine(target)
        old = self.get_version(document.id, number)
        told = {"change_summary": f"Restored version {number}", **by}
        return self.create_version(
            document, title=old.title, content=old.content, doc_metadata=dict(old.doc_metadata), **told
        )

    def compare_versions(self, document_id: Key, older: int, newer: int) -> str:
        """Returns what changed in the content from one version to another, as a unified diff.

        Raises: RecordNotFound.
        """
        first, second = self.get_version(document_id, older), self.get_version(document_id, newer)
        return versions.difference(first.content, second.content) or ""

    @track_metrics
    def find_related(
        self,
        document_id: uuid.UUID,
        max_depth: int = 1,
        limit: int = 10,
        *,
        direction: graph.Direction = graph.Direction.BOTH,
        types: Sequence[str] = (),
    ) -> list[Document]:
        """Returns documents that the graph leads to from this one within so many steps, the nearest first.

        Raises: InvalidDepth, InvalidPage.
        """
        check_bound("limit", limit)
        most = limit + _HIDDEN
        statement = _related(document_id, max_depth, direction, types).limit(most)
        found = self.kept(
            "find_related",
            lambda session: [*session.scalars(statement)],
            by=[document_id, max_depth, str(direction), sorted(types), most],
            reads=_GRAPH,
        )
        return self.in_order(found, limit=limit)

    @track_metrics
    def find_by_topic(
        self, topic_id: uuid.UUID, *, min_relevance: float = 0.0, limit: int = 50, offset: int = 0
    ) -> list[Document]:
        """Returns the documents about a topic, those most about it first.

        Raises: InvalidPage.
        """
        check_bound("limit", limit)
        check_bound("offset", offset)
        found = self.kept(
            "find_by_topic",
            lambda session: _about(session, topic_id, min_relevance),
            by=[topic_id, min_relevance],
            reads=[DocumentTopic],
        )
        return self.in_order(found, offset=offset, limit=limit)

    def find_by_organization(
        self, org_id: uuid.UUID | None = None, *, limit: int | None = None, offset: int | None = None
    ) -> list[Document]:
        """Returns the organisation's documents; of any other organisation there are none.

        Raises: InvalidPage.
        """
        if org_id is not None and org_id != tenant_id_of(self.session):
            return []
        return self.list(order_by="-created_at", limit=limit, offset=offset)

    def find_by_owner(self, owner_id: uuid.UUID, *, limit: int | None = None) -> list[Document]:
        """Returns the documents of a user.

        Raises: InvalidPage.
        """
        return self.list(owner_id=owner_id, order_by="-created_at", limit=limit)

    def find_by_status(self, status: DocumentStatus | str, *, limit: int | None = None) -> list[Document]:
        """Returns the documents that have come so far.

        Raises: InvalidPage.
        """
        return self.list(status=str(status), order_by="-created_at", limit=limit)

    @track_metrics
    def search(self, text: str, *, limit: int = 50, offset: int = 0) -> list[Document]:
        """Returns the documents whose title or content holds *text* as it stands, whatever its case.

        Where the tenancy has a ``Search`` of documents they are those with the words of *text*, the best first.

        Raises: InvalidPage, SearchTextRefused.
        """
        found = by_words(self.session, Document, text, limit=limit, offset=offset)
        return self.matching(text).limit(limit).offset(offset).all() if found is None else found

    def matching(self, text: str) -> Query[Document]:
        """Returns the query of the documents that ``search`` finds, to be narrowed or paged."""
        return self.query().search(text, _SEARCHED).order_by("-created_at")

    def get_with_details(self, document_id: Key) -> Document:
        """Returns a document with its owner, topics and summaries, loaded by one statement each.

        Raises: RecordNotFound.
        """
        loaded = [selectinload(Document.owner), selectinload(Document.topics), selectinload(Document.summaries)]
        return DocumentRepository(self.session, options=loaded).one(id=document_id)

    def _locked(self, target: Document | Key) -> Document:
        document = self._mine(target)
        self.session.flush()
        self.session.refresh(document, with_for_update=True)
        return document

    def _snapshot_of(self, document: Document) -> DocumentVersion:
        """Returns the present version, which is written first where nobody has: a document made without this."""
        found = self.versions(document.id).filter_by(version_number=document.version).first()
        if found is None:
            found = versions.snapshot(document)
            self.session.add(found)
        return found


class DocumentVersionRepository(Repository[DocumentVersion]):
    """The versions of documents, which are added and never change."""

    def latest(self, document_id: Key) -> DocumentVersion:
        """Returns the latest version of a document.

        Raises: RecordNotFound.
        """
        found = self.query().filter_by(document_id=document_id).order_by("-version_number").first()
        if found is None:
            raise RecordNotFound(model=DocumentVersion.__name__)
        return found


class SummaryRepository(Repository[Summary]):
    """The summaries of documents; lists come with the latest first."""

    def of_document(self, document_id: uuid.UUID, *, summary_type: str | None = None) -> list[Summary]:
        """Returns the summaries of a document, all or those of one type."""
        query = self.query().filter_by(document_id=document_id).order_by("-created_at", "-id")
        return (query if summary_type is None else query.filter_by(summary_type=summary_type)).all()

    def latest(self, document_id: uuid.UUID, summary_type: str = "brief") -> Summary | None:
        """Returns the latest summary of one type, or None."""
        return next(iter(self.of_document(document_id, summary_type=summary_type)), None)


def _related(document_id: uuid.UUID, max_depth: int, direction: graph.Direction, types: Sequence[str]) -> Select[Any]:
    starts = select(GraphNode.id).where(GraphNode.document_id == document_id, GraphNode.is_active)
    found = graph.reached(starts, max_depth=max_depth, direction=direction, types=types).subquery()
    return (
        select(GraphNode.document_id)
        .join(found, found.c.node_id == GraphNode.id)
        .where(GraphNode.document_id.is_not(None), GraphNode.document_id != document_id)
        .group_by(GraphNode.document_id)
        .order_by(graph.nearest(found), GraphNode.document_id)
    )


def _about(session: Session, topic_id: uuid.UUID, min_relevance: float) -> list[uuid.UUID]:
    found = (
        select(DocumentTopic.document_id)
        .where(DocumentTopic.topic_id == topic_id, DocumentTopic.relevance_score >= min_relevance)
        .order_by(DocumentTopic.relevance_score.desc(), DocumentTopic.document_id)
    )
    return [*session.scalars(found)]
