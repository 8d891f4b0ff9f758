"""The awaited faces of the assistant's repositories and services: each runs its synchronous twin on the session."""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine
from typing import Any, Concatenate, ParamSpec, TypeVar

from tenantry.packs.assistant import library, metering, repositories, services
from tenantry.packs.assistant.models_chats import AgentLog, Conversation, Message, TokenUsage
from tenantry.packs.assistant.models_documents import Document, DocumentChunk, GlobalDocument
from tenantry.packs.assistant.models_reports import Profile, SavedReport
from tenantry.repository import AsyncRepository, Repository
from tenantry.session.aio import Face, through

P = ParamSpec("P")
R = TypeVar("R")
Kind = TypeVar("Kind", bound=Repository[Any])


def awaited(
    kind: type[Kind], method: Callable[Concatenate[Kind, P], R]
) -> Callable[Concatenate[AsyncRepository[Any], P], Coroutine[Any, Any, R]]:
    """Returns a repository's method for its awaited face, with the same parameters."""

    @functools.wraps(method)
    async def run(self: AsyncRepository[Any], /, *args: P.args, **kwargs: P.kwargs) -> R:
        return await self.session.run_sync(lambda session: method(kind(session), *args, **kwargs))

    return run


class AsyncDocumentRepository(AsyncRepository[Document]):
    """The company's documents."""

    get_by_status = awaited(repositories.DocumentRepository, repositories.DocumentRepository.get_by_status)
    get_with_chunks = awaited(repositories.DocumentRepository, repositories.DocumentRepository.get_with_chunks)
    count_by_status = awaited(repositories.DocumentRepository, repositories.DocumentRepository.count_by_status)
    readable = awaited(repositories.DocumentRepository, repositories.DocumentRepository.readable)
    read_one = awaited(repositories.DocumentRepository, repositories.DocumentRepository.read_one)


class AsyncChunkRepository(AsyncRepository[DocumentChunk]):
    """The pieces of the company's documents."""

    of_document = awaited(repositories.ChunkRepository, repositories.ChunkRepository.of_document)
    by_embeddings = awaited(repositories.ChunkRepository, repositories.ChunkRepository.by_embeddings)


class AsyncConversationRepository(AsyncRepository[Conversation]):
    """The company's conversations."""

    get_with_messages = awaited(
        repositories.ConversationRepository, repositories.ConversationRepository.get_with_messages
    )
    of_user = awaited(repositories.ConversationRepository, repositories.ConversationRepository.of_user)


class AsyncMessageRepository(AsyncRepository[Message]):
    """What was said in the company's conversations."""

    of_conversation = awaited(repositories.MessageRepository, repositories.MessageRepository.of_conversation)
    get_low_confidence = awaited(repositories.MessageRepository, repositories.MessageRepository.get_low_confidence)
    search_messages = awaited(repositories.MessageRepository, repositories.MessageRepository.search_messages)


class AsyncAgentLogRepository(AsyncRepository[AgentLog]):
    """What the agents did, which is added to and never changed."""

    of_message = awaited(repositories.AgentLogRepository, repositories.AgentLogRepository.of_message)
    by_agent = awaited(repositories.AgentLogRepository, repositories.AgentLogRepository.by_agent)
    council_votes = awaited(repositories.AgentLogRepository, repositories.AgentLogRepository.council_votes)
    average_times = awaited(repositories.AgentLogRepository, repositories.AgentLogRepository.average_times)


class AsyncTokenUsageRepository(AsyncRepository[TokenUsage]):
    """What the company used, call by call, and its sums."""

    total = awaited(metering.TokenUsageRepository, metering.TokenUsageRepository.total)
    totals = awaited(metering.TokenUsageRepository, metering.TokenUsageRepository.totals)


class AsyncProfileRepository(AsyncRepository[Profile]):
    """The company's one profile."""

    get_own = awaited(repositories.ProfileRepository, repositories.ProfileRepository.get_own)


class AsyncSavedReportRepository(AsyncRepository[SavedReport]):
    """The reports that the company keeps."""

    get_by_report_id = awaited(repositories.SavedReportRepository, repositories.SavedReportRepository.get_by_report_id)
    of_user = awaited(repositories.SavedReportRepository, repositories.SavedReportRepository.of_user)
    by_type = awaited(repositories.SavedReportRepository, repositories.SavedReportRepository.by_type)


class AsyncLibraryRepository(AsyncRepository[GlobalDocument]):
    """The documents for everybody, as a company's session reads them."""

    get_with_chunks = awaited(library.LibraryRepository, library.LibraryRepository.get_with_chunks)


class AsyncProcessing(Face[services.Processing]):
    """The awaited face of a ``Processing``; reach it through ``processing.aio``."""

    begin = through(services.Processing.begin)
    complete = through(services.Processing.complete)
    fail = through(services.Processing.fail)
    again = through(services.Processing.again)


class AsyncChats(Face[services.Chats]):
    """The awaited face of a ``Chats``; reach it through ``chats.aio``."""

    start = through(services.Chats.start)
    ask = through(services.Chats.ask)
    answer = through(services.Chats.answer)


class AsyncReports(Face[services.Reports]):
    """The awaited face of a ``Reports``; reach it through ``reports.aio``."""

    save = through(services.Reports.save)
    profile = through(services.Reports.profile)
