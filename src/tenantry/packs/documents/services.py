"""What is done with documents, step by step: each call is part of the caller's transaction, and on the record.

The methods take a tenant's session first; ``await session.run_sync(pack.processing.begin, key)`` awaits one.
"""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, cast

from tenantry.audit import Audit
from tenantry.cache import Cache
from tenantry.errors import IllegalStep, RecordNotFound, VersionConflict
from tenantry.packs.documents.models import PROCESSING, Document, DocumentStatus, Summary, SummaryType, User
from tenantry.packs.documents.repositories import DocumentRepository, SummaryRepository, UserRepository
from tenantry.packs.documents.repositories_graph import TopicRepository
from tenantry.session.core import TenantSession
from tenantry.tenancy import Tenancy
from tenantry.types import TenantKey

CATEGORY: Final = "documents"


@dataclass(frozen=True, slots=True)
class Content:
    """What is to be processed: a document's text at one version, free of any session."""

    document_id: uuid.UUID
    version: int
    title: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysis:
    """What processing found: a summary, with who made it, and by name the topics and how much it is about each."""

    summary: str
    summary_type: str = SummaryType.BRIEF
    topics: Mapping[str, float] = field(default_factory=dict)
    tool_name: str | None = None
    agent_name: str | None = None
    model: str | None = None
    language: str | None = None
    confidence: float | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0


class Service:
    """What the services have in common: each step is on the audit's record with the change that it is."""

    def __init__(self, tenancy: Tenancy, *, audit: Audit, cache: Cache | None = None) -> None:
        self.tenancy = tenancy
        self.audit = audit
        self.cache = cache

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    def _documents(self, session: TenantSession) -> DocumentRepository:
        return DocumentRepository(session, cache=self.cache)

    def _record(self, session: TenantSession, event: str, *, of: uuid.UUID, **told: Any) -> None:
        kind, _, step = event.partition(".")
        self.audit.record(
            session, event_type=event, category=CATEGORY, description=f"{kind} {step}", resource=(kind, str(of)), **told
        )


class Processing(Service):
    """A document's way from draft to published to archived; a step that does not follow is refused."""

    def begin(self, session: TenantSession, document_id: uuid.UUID) -> Content:
        """Returns what there is to process of a document that is a draft or published; of two callers one gets it.

        Raises: RecordNotFound, IllegalStep.
        """
        document = self._documents(session).get_one(document_id)
        PROCESSING.take(document, DocumentStatus.PROCESSING)
        self._record(session, "document.processing_began", of=document_id, details={"version": document.version})
        return Content(document.id, document.version, document.title, document.content or "")

    def finish(self, session: TenantSession, content: Content, analysis: Analysis) -> Document:
        """Returns the document, published, with the summary and the topics that processing found.

        Raises: RecordNotFound, IllegalStep, VersionConflict where it was changed meanwhile.
        """
        document = self._documents(session).get_one(content.document_id)
        PROCESSING.take(document, DocumentStatus.PUBLISHED)
        session.refresh(document, ["version"])
        if document.version != content.version:
            raise VersionConflict(found=document.version, expected=content.version)
        self._summarise(session, content, analysis)
        self._assign(session, content.document_id, analysis.topics)
        self._record(session, "document.published", of=document.id, details={"version": document.version})
        return document

    def fail(self, session: TenantSession, document_id: uuid.UUID, *, reason: str) -> Document:
        """Returns the document, a draft again, since processing failed.

        Raises: RecordNotFound, IllegalStep.
        """
        document = self._documents(session).get_one(document_id)
        PROCESSING.take(document, DocumentStatus.DRAFT)
        self._record(
            session, "document.processing_failed", of=document_id, status="failure", details={"reason": reason}
        )
        return document

    def archive(self, session: TenantSession, document_id: uuid.UUID) -> Document:
        """Returns the document, archived for good.

        Raises: RecordNotFound, IllegalStep.
        """
        document = self._documents(session).get_one(document_id)
        PROCESSING.take(document, DocumentStatus.ARCHIVED)
        self._record(session, "document.archived", of=document_id)
        return document

    def process(self, key: TenantKey, document_id: uuid.UUID, analyse: Callable[[Content], Analysis]) -> None:
        """Takes a document through processing; *analyse* runs in no session, and if it fails it is a draft again.

        Raises: RecordNotFound, IllegalStep, VersionConflict, and what *analyse* raises.
        """
        with self.tenancy.transaction(key) as session:
            content = self.begin(session, document_id)
        try:
            analysis = analyse(content)
            with self.tenancy.transaction(key) as session:
                self.finish(session, content, analysis)
        except Exception as error:
            with self.tenancy.transaction(key) as session:
                self._give_up(session, document_id, error)
            raise

    async def process_async(
        self, key: TenantKey, document_id: uuid.UUID, analyse: Callable[[Content], Awaitable[Analysis]]
    ) -> None:
        """Does as ``process``, awaited.

        Raises: as ``process``.
        """
        content = await self._awaited(key, self.begin, document_id)
        try:
            analysis = await analyse(content)
            await self._awaited(key, self.finish, content, analysis)
        except Exception as error:
            await self._awaited(key, self._give_up, document_id, error)
            raise

    async def _awaited(self, key: TenantKey, step: Callable[..., Any], *given: Any) -> Any:
        async with self.tenancy.aio.transaction(key) as session:
            return await session.run_sync(lambda inner: step(cast(TenantSession, inner), *given))

    def _give_up(self, session: TenantSession, document_id: uuid.UUID, error: Exception) -> None:
        # Whoever has moved it on meanwhile knows better, and the error to be told is the first.
        with contextlib.suppress(IllegalStep, RecordNotFound):
            self.fail(session, document_id, reason=type(error).__name__)

    def _summarise(self, session: TenantSession, content: Content, analysis: Analysis) -> Summary:
        return SummaryRepository(session).create(
            document_id=content.document_id,
            document_version=content.version,
            summary_text=analysis.summary,
            summary_type=analysis.summary_type,
            tool_name=analysis.tool_name,
            agent_name=analysis.agent_name,
            model=analysis.model,
            language=analysis.language,
            confidence=analysis.confidence,
            prompt_tokens=analysis.prompt_tokens,
            completion_tokens=analysis.completion_tokens,
        )

    def _assign(self, session: TenantSession, document_id: uuid.UUID, topics: Mapping[str, float]) -> None:
        repository = TopicRepository(session)
        for name, relevance in topics.items():
            topic = repository.get_by_name(name) or repository.create(name=name, extraction_method="processing")
            repository.assign(document_id, topic.id, relevance=relevance)


class Editing(Service):
    """What is done to documents and users by people, and is on the record."""

    def delete(self, session: TenantSession, document_id: uuid.UUID) -> None:
        """Hides a document; its versions stay, and ``restore`` brings it back.

        Raises: RecordNotFound.
        """
        self._documents(session).delete(document_id)
        self._record(session, "document.deleted", of=document_id)

    def restore(self, session: TenantSession, document_id: uuid.UUID) -> Document:
        """Returns a document that was deleted.

        Raises: RecordNotFound.
        """
        document = self._documents(session).restore(document_id)
        self._record(session, "document.restored", of=document_id)
        return document

    def restore_version(
        self, session: TenantSession, document_id: uuid.UUID, number: int, *, changed_by: uuid.UUID | None = None
    ) -> Document:
        """Returns the document with what it held as version *number*, as its next version.

        Raises: RecordNotFound.
        """
        document = self._documents(session).restore_version(document_id, number, changed_by=changed_by)
        self._record(session, "document.version_restored", of=document_id, details={"version": number})
        return document

    def hand_over(self, session: TenantSession, giver: uuid.UUID, taker: uuid.UUID) -> int:
        """Gives one user's documents, deleted ones too, to another, and returns how many; then the one may be erased.

        Raises: RecordNotFound.
        """
        users = UserRepository(session)
        users.get_one(giver)
        owned = self._documents(session).query().include_deleted().filter_by(owner_id=giver).all()
        for document in owned:
            document.owner_id = users.get_one(taker).id
        session.flush()
        self._record(session, "user.documents_handed_over", of=giver, details={"to": str(taker), "count": len(owned)})
        return len(owned)

    def set_role(self, session: TenantSession, user_id: uuid.UUID, role: str) -> User:
        """Returns a user with another role.

        Raises: RecordNotFound, and IntegrityError for a role that there is none of.
        """
        users = UserRepository(session)
        user = users.get_one(user_id)
        changes = {"role": {"before": user.role, "after": role}}
        users.update(user, role=role)
        self._record(session, "user.role_changed", of=user_id, changes=changes)
        return user
