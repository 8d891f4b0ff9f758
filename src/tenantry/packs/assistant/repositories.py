"""The repositories of a company's rows over its session; ``aio`` has their awaited faces."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import and_, func, or_, select
from sqlalchemy.orm import selectinload

from tenantry.packs.assistant.models_chats import AgentLog, Conversation, Message
from tenantry.packs.assistant.models_documents import Document, DocumentChunk, GlobalDocument
from tenantry.packs.assistant.models_reports import Profile, SavedReport
from tenantry.packs.assistant.words import Scope
from tenantry.repository import Repository
from tenantry.repository.pages import check_bound


@dataclass(frozen=True, slots=True)
class Shelf:
    """A run of the documents that somebody may read, the company's before those for everybody; *total* counts all."""

    items: Sequence[Document | GlobalDocument]
    total: int


class DocumentRepository(Repository[Document]):
    """The company's documents."""

    def get_by_status(self, status: str) -> list[Document]:
        """Returns the documents whose processing stands so, the oldest first.

        Raises: InvalidFilter.
        """
        return self.list(processing_status=status, order_by="uploaded_at")

    def get_with_chunks(self, user_id: int | None = None, *, processed: bool | None = None) -> list[Document]:
        """Returns documents with their chunks loaded by one more statement, of one user or of all.

        Raises: InvalidFilter.
        """
        asked = {"user_id": user_id, "is_processed": processed}
        filters: dict[str, Any] = {name: value for name, value in asked.items() if value is not None}
        loaded = DocumentRepository(self.session, options=[selectinload(Document.chunks)])
        return loaded.list(order_by="-uploaded_at", **filters)

    def count_by_status(self) -> dict[str, int]:
        """Returns how many documents stand at each step that some document stands at."""
        counted = select(Document.processing_status, func.count().label("number")).group_by(Document.processing_status)
        return {row.processing_status: row.number for row in self.session.execute(counted)}

    def readable(self, user_id: int | None, *, limit: int = 50, offset: int = 0) -> Shelf:
        """Returns what a user may read: their own, the company's, and what is for everybody; the latest first in each.

        Raises: InvalidPage.
        """
        check_bound("limit", limit)
        check_bound("offset", offset)
        theirs = and_(Document.scope == Scope.USER, Document.uploaded_by_id == user_id)
        own = self.query().where(or_(Document.scope == Scope.COMPANY, theirs)).order_by("-uploaded_at")
        everybodys = Repository(self.session, model=GlobalDocument).query().order_by("-uploaded_at")
        first = own.count()
        found: list[Document | GlobalDocument] = [*own.limit(limit).offset(offset).all()]
        rest = limit - len(found)
        if rest:
            found += everybodys.limit(rest).offset(max(0, offset - first)).all()
        return Shelf(found, first + everybodys.count())

    def read_one(self, document_id: int, *, user_id: int | None) -> Document | None:
        """Returns a document of the company that a user may read, or None."""
        found = self.get(document_id)
        return None if found is None or not may_read(found, user_id) else found


def may_read(document: Document, user_id: int | None) -> bool:
    """Returns whether a user may read a document of their company."""
    return document.scope != Scope.USER or document.uploaded_by_id == user_id


class ChunkRepository(Repository[DocumentChunk]):
    """The pieces of the company's documents."""

    def of_document(self, document_id: int) -> list[DocumentChunk]:
        """Returns a document's chunks in their order."""
        return self.list(document_id=document_id, order_by="chunk_index")

    def by_embeddings(self, embedding_ids: Sequence[str]) -> list[DocumentChunk]:
        """Returns the chunks with these vectors, with their documents loaded."""
        loaded = ChunkRepository(self.session, options=[selectinload(DocumentChunk.document)])
        return loaded.list(embedding_id=list(embedding_ids))


class ConversationRepository(Repository[Conversation]):
    """The company's conversations."""

    def get_with_messages(self, conversation_id: int) -> Conversation | None:
        """Returns a conversation with its messages loaded in the order they were said, or None."""
        loaded = ConversationRepository(self.session, options=[selectinload(Conversation.messages)])
        return loaded.find(id=conversation_id)

    def of_user(self, user_id: int, *, limit: int = 50, offset: int = 0) -> list[Conversation]:
        """Returns a user's conversations, the latest first.

        Raises: InvalidPage.
        """
        return self.list(user_id=user_id, order_by="-created_at", limit=limit, offset=offset)


class MessageRepository(Repository[Message]):
    """What was said in the company's conversations."""

    def of_conversation(self, conversation_id: int, *, limit: int | None = None, offset: int = 0) -> list[Message]:
        """Returns what was said in a conversation, in the order it was said.

        Raises: InvalidPage.
        """
        return self.list(conversation_id=conversation_id, order_by="timestamp", limit=limit, offset=offset)

    def get_low_confidence(self, *, since: datetime.datetime | None = None) -> list[Message]:
        """Returns the answers that carry a warning, the latest first."""
        filters: dict[str, Any] = {} if since is None else {"timestamp__gte": since}
        return self.list(low_confidence_warning=True, order_by="-timestamp", **filters)

    def search_messages(self, text: str, *, limit: int = 50) -> list[Message]:
        """Returns what holds *text*, whatever its case, the latest first.

        Raises: InvalidPage.
        """
        return self.query().search(text, "content").order_by("-timestamp").limit(limit).all()


class AgentLogRepository(Repository[AgentLog]):
    """What the agents did, which is added to and never changed."""

    def of_message(self, message_id: int) -> list[AgentLog]:
        """Returns what was done on the way to a message, in the order it was done."""
        return self.list(message_id=message_id, order_by="created_at")

    def by_agent(self, agent_type: str, *, since: datetime.datetime | None = None) -> list[AgentLog]:
        """Returns what agents of one type did, the latest first."""
        filters: dict[str, Any] = {} if since is None else {"created_at__gte": since}
        return self.list(agent_type=agent_type, order_by="-created_at", **filters)

    def council_votes(self, message_id: int) -> list[AgentLog]:
        """Returns the votes of the council about a message."""
        return self.list(message_id=message_id, is_council_vote=True, order_by="created_at")

    def average_times(self) -> dict[str, float]:
        """Returns how many milliseconds each type of agent took on average."""
        taken = select(AgentLog.agent_type, func.avg(AgentLog.execution_time_ms))
        found = self.session.execute(taken.where(AgentLog.execution_time_ms.is_not(None)).group_by(AgentLog.agent_type))
        return {agent: float(average) for agent, average in found}


class ProfileRepository(Repository[Profile]):
    """The company's one profile."""

    def get_own(self) -> Profile | None:
        """Returns the company's profile, or None while it has none."""
        return self.find()


class SavedReportRepository(Repository[SavedReport]):
    """The reports that the company keeps."""

    def get_by_report_id(self, report_id: str) -> SavedReport | None:
        """Returns the report of this name, or None."""
        return self.find(report_id=report_id)

    def of_user(self, user_id: int, *, limit: int = 50, offset: int = 0) -> list[SavedReport]:
        """Returns a user's reports, the latest first.

        Raises: InvalidPage.
        """
        return self.list(user_id=user_id, order_by="-saved_at", limit=limit, offset=offset)

    def by_type(self, report_type: str) -> list[SavedReport]:
        """Returns the reports of one type, the latest first."""
        return self.list(report_type=report_type, order_by="-saved_at")
