"""What is done with a company's rows, step by step, in the caller's transaction; ``aio`` has the awaited faces."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from tenantry.models.columns import utc_now
from tenantry.packs.assistant.metering import Call, Meter
from tenantry.packs.assistant.models_chats import AgentLog, Conversation, Message
from tenantry.packs.assistant.models_documents import PROCESSING, Document, DocumentChunk
from tenantry.packs.assistant.models_reports import Profile, SavedReport
from tenantry.packs.assistant.repositories import (
    AgentLogRepository,
    ConversationRepository,
    DocumentRepository,
    MessageRepository,
    ProfileRepository,
    SavedReportRepository,
)
from tenantry.packs.assistant.words import MessageRole, Operation, ProcessingStatus, Provider
from tenantry.session.core import TenantSession

if TYPE_CHECKING:
    from tenantry.packs.assistant.aio import AsyncChats, AsyncProcessing, AsyncReports

# Below this an answer carries a warning.
LOW_CONFIDENCE: Final = 0.5
_PROCESSOR: Final = "document_processing"


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of a document's text."""

    content: str
    token_count: int | None = None
    page_number: int | None = None
    embedding_id: str | None = None


@dataclass(frozen=True, slots=True)
class Findings:
    """What a model said of a document."""

    summary: str | None = None
    keywords: Sequence[str] = ()
    topics: Sequence[str] = ()
    content_type: str | None = None
    call: Call | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """What one agent did on the way to an answer; a *vote* is the council's."""

    agent_type: str
    operation: str | None = None
    input_data: Any = None
    output_data: Any = None
    confidence: float | None = None
    vote: Mapping[str, Any] | None = None
    execution_time_ms: float | None = None
    call: Call | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What the assistant says, and how it came to it."""

    content: str
    call: Call | None = None
    confidence: float | None = None
    sources: Sequence[Any] = ()
    reasoning_chain: Sequence[Any] = ()
    steps: Sequence[Step] = field(default_factory=tuple)


class Processing:
    """The processing of documents: pending, processing, then completed or failed; from there again from the start."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter

    @functools.cached_property
    def aio(self) -> AsyncProcessing:
        """The same, awaited.

        Raises: ExtraMissing without greenlet.
        """
        from tenantry.packs.assistant.aio import AsyncProcessing  # noqa: PLC0415  # needs greenlet

        return AsyncProcessing(self)

    def begin(self, session: TenantSession, document_id: int) -> Document:
        """Takes a pending document in hand: of two workers at once one gets it.

        Raises: RecordNotFound, IllegalStep.
        """
        return self._step(session, document_id, ProcessingStatus.PROCESSING)

    def complete(
        self, session: TenantSession, document_id: int, *, pieces: Sequence[Piece], findings: Findings | None = None
    ) -> Document:
        """Ends the processing of a document with its pieces, in their order, and what a model said of it.

        Raises: RecordNotFound, IllegalStep, InvalidUsage.
        """
        said = findings or Findings()
        changes = {
            "summary": said.summary,
            "keywords": list(said.keywords),
            "topics": list(said.topics),
            "content_type": said.content_type,
        }
        document = self._step(session, document_id, ProcessingStatus.COMPLETED, **changes)
        document.chunks = [_chunk(number, piece) for number, piece in enumerate(pieces)]
        session.flush()
        if said.call is not None:
            self._meter.record(
                session,
                said.call,
                operation_type=Operation.DOCUMENT_PROCESSING,
                operation_id=document.id,
                user_id=document.uploaded_by_id,
            )
        return document

    def fail(self, session: TenantSession, document_id: int, *, reason: str) -> Document:
        """Ends the processing of a document without a result; the reason is in the agents' log.

        Raises: RecordNotFound, IllegalStep.
        """
        document = self._step(session, document_id, ProcessingStatus.FAILED)
        AgentLogRepository(session).create(
            agent_type=_PROCESSOR,
            operation="fail",
            input_data={"document_id": document.id},
            output_data={"reason": reason},
            user_id=document.uploaded_by_id,
        )
        return document

    def again(self, session: TenantSession, document_id: int) -> Document:
        """Sends a document that was completed or failed back to the start, without its pieces.

        Raises: RecordNotFound, IllegalStep.
        """
        document = self._step(session, document_id, ProcessingStatus.PENDING, processed_at=None)
        document.chunks = []
        session.flush()
        return document

    def _step(self, session: TenantSession, document_id: int, step: str, **changes: Any) -> Document:
        document = DocumentRepository(session).get_one(document_id)
        PROCESSING.take(document, step, **changes)
        return document


class Chats:
    """Conversations: what is asked, what is answered, and what the answer used and cost."""

    def __init__(self, meter: Meter, *, low_confidence: float = LOW_CONFIDENCE) -> None:
        self._meter = meter
        self._low = low_confidence

    @functools.cached_property
    def aio(self) -> AsyncChats:
        """The same, awaited.

        Raises: ExtraMissing without greenlet.
        """
        from tenantry.packs.assistant.aio import AsyncChats  # noqa: PLC0415  # needs greenlet

        return AsyncChats(self)

    def start(
        self,
        session: TenantSession,
        *,
        user_id: int | None,
        title: str | None = None,
        llm_provider: str = Provider.CUSTOM,
        selected_document_ids: Sequence[int] | None = None,
    ) -> Conversation:
        """Begins a conversation, over the selected documents or all.

        Raises: RecordNotFound for a document that the user may not read.
        """
        documents = DocumentRepository(session)
        for document_id in selected_document_ids or ():
            if documents.read_one(document_id, user_id=user_id) is None:
                documents.get_one(-1)
        chosen = None if selected_document_ids is None else list(selected_document_ids)
        return ConversationRepository(session).create(
            user_id=user_id, title=title, llm_provider=str(llm_provider), selected_document_ids=chosen
        )

    def ask(self, session: TenantSession, conversation_id: int, content: str) -> Message:
        """Adds what the user says.

        Raises: RecordNotFound.
        """
        return self._say(session, conversation_id, role=MessageRole.USER, content=content)

    def answer(self, session: TenantSession, conversation_id: int, answer: Answer) -> Message:
        """Adds what the assistant says, what its agents did, and what each of its calls used and cost.

        Raises: RecordNotFound, InvalidUsage.
        """
        low = answer.confidence is not None and answer.confidence < self._low
        message = self._say(
            session,
            conversation_id,
            role=MessageRole.ASSISTANT,
            content=answer.content,
            confidence=answer.confidence,
            sources=list(answer.sources),
            reasoning_chain=list(answer.reasoning_chain),
            low_confidence_warning=low,
            token_usage=None if answer.call is None else answer.call.tokens,
        )
        user_id = message.conversation.user_id
        for step in answer.steps:
            self._log(session, step, message_id=message.id, user_id=user_id)
        for call in (answer.call, *(step.call for step in answer.steps)):
            if call is not None:
                self._meter.record(session, call, operation_id=message.id, user_id=user_id)
        return message

    def _say(self, session: TenantSession, conversation_id: int, **said: Any) -> Message:
        conversation = ConversationRepository(session).get_one(conversation_id)
        conversation.updated_at = utc_now()
        return MessageRepository(session).create(conversation=conversation, **said)

    def _log(self, session: TenantSession, step: Step, *, message_id: int, user_id: int | None) -> AgentLog:
        return AgentLogRepository(session).create(
            agent_type=step.agent_type,
            operation=step.operation,
            input_data=step.input_data,
            output_data=step.output_data,
            confidence=step.confidence,
            is_council_vote=step.vote is not None,
            vote_data=None if step.vote is None else dict(step.vote),
            execution_time_ms=step.execution_time_ms,
            token_usage=None if step.call is None else step.call.tokens,
            message_id=message_id,
            user_id=user_id,
        )


class Reports:
    """Reports that are kept, and the profile that they are made from."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter

    @functools.cached_property
    def aio(self) -> AsyncReports:
        """The same, awaited.

        Raises: ExtraMissing without greenlet.
        """
        from tenantry.packs.assistant.aio import AsyncReports  # noqa: PLC0415  # needs greenlet

        return AsyncReports(self)

    def save(
        self,
        session: TenantSession,
        *,
        report_type: str,
        report_data: Any,
        title: str | None = None,
        tags: Sequence[str] = (),
        confidence: float | None = None,
        user_id: int | None = None,
        call: Call | None = None,
    ) -> SavedReport:
        """Keeps a report, and records what it used and cost.

        Raises: InvalidUsage.
        """
        report = SavedReportRepository(session).create(
            report_type=report_type,
            report_data=report_data,
            title=title,
            tags=list(tags),
            confidence=confidence,
            token_usage=None if call is None else call.tokens,
            user_id=user_id,
        )
        if call is not None:
            self._meter.record(
                session,
                call,
                operation_type=Operation.REPORT_GENERATION,
                operation_id=report.report_id,
                user_id=user_id,
            )
        return report

    def profile(self, session: TenantSession, /, **changes: Any) -> Profile:
        """Returns the company's profile, made where there is none, with the changes.

        Raises: UnknownField; sqlalchemy.exc.IntegrityError for weights that do not sum to 1, and other impossible
            figures.
        """
        profiles = ProfileRepository(session)
        own = profiles.get_own()
        return profiles.create(changes) if own is None else profiles.update(own, **changes)


def _chunk(number: int, piece: Piece) -> DocumentChunk:
    return DocumentChunk(
        chunk_index=number,
        content=piece.content,
        token_count=piece.token_count,
        page_number=piece.page_number,
        embedding_id=piece.embedding_id,
    )
