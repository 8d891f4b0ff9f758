"""The awaited faces of the helpdesk's repositories: each method runs its synchronous twin inside ``run_sync``."""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine
from typing import Any, Concatenate, ParamSpec, TypeVar

from tenantry.packs.helpdesk import repositories as desk
from tenantry.packs.helpdesk import repositories_knowledge as knowledge
from tenantry.packs.helpdesk.models import Agent, Attachment, Company, Contact, Conversation, Group, Tag, Ticket
from tenantry.packs.helpdesk.models import TicketField as Field
from tenantry.packs.helpdesk.models_knowledge import Article, Category, Folder, IntegratedObject, Summary, VectorLink
from tenantry.packs.helpdesk.models_running import BackupRecord, ProcessingLog, SchemaVersion, SyncJob, TenantSetting
from tenantry.repository import AsyncRepository, Repository

P = ParamSpec("P")
R = TypeVar("R")
Kind = TypeVar("Kind", bound=Repository[Any])


def awaited(
    kind: type[Kind], method: Callable[Concatenate[Kind, P], R]
) -> Callable[Concatenate[Any, P], Coroutine[Any, Any, R]]:
    """Returns the awaited twin of a repository's method, with the same parameters and promises."""

    @functools.wraps(method)
    async def run(self: AsyncRepository[Any], /, *args: P.args, **kwargs: P.kwargs) -> R:
        return await self.session.run_sync(lambda session: method(kind(session), *args, **kwargs))

    return run


class AsyncCompanyRepository(AsyncRepository[Company]):
    """The tenant's own company."""

    get_own = awaited(desk.CompanyRepository, desk.CompanyRepository.get_own)


class AsyncAgentRepository(AsyncRepository[Agent]):
    """The company's agents."""

    get_by_agent_id = awaited(desk.AgentRepository, desk.AgentRepository.get_by_agent_id)
    get_active = awaited(desk.AgentRepository, desk.AgentRepository.get_active)


class AsyncGroupRepository(AsyncRepository[Group]):
    """Groups of the company's agents."""

    get_by_group_id = awaited(desk.GroupRepository, desk.GroupRepository.get_by_group_id)


class AsyncContactRepository(AsyncRepository[Contact]):
    """The people who ask."""

    get_by_email = awaited(desk.ContactRepository, desk.ContactRepository.get_by_email)
    search_contacts = awaited(desk.ContactRepository, desk.ContactRepository.search_contacts)


class AsyncTicketRepository(AsyncRepository[Ticket]):
    """The company's tickets; lists come with the latest first."""

    get_by_ticket_id = awaited(desk.TicketRepository, desk.TicketRepository.get_by_ticket_id)
    get_recent_tickets = awaited(desk.TicketRepository, desk.TicketRepository.get_recent_tickets)
    get_by_priority = awaited(desk.TicketRepository, desk.TicketRepository.get_by_priority)
    get_by_status = awaited(desk.TicketRepository, desk.TicketRepository.get_by_status)
    get_by_agent = awaited(desk.TicketRepository, desk.TicketRepository.get_by_agent)
    get_by_tag = awaited(desk.TicketRepository, desk.TicketRepository.get_by_tag)
    search_tickets = awaited(desk.TicketRepository, desk.TicketRepository.search_tickets)
    create_ticket = awaited(desk.TicketRepository, desk.TicketRepository.create_ticket)


class AsyncConversationRepository(AsyncRepository[Conversation]):
    """What was said about the company's tickets, each found by the platform's name for the ticket."""

    get_by_ticket = awaited(desk.ConversationRepository, desk.ConversationRepository.get_by_ticket)
    get_latest_conversation = awaited(desk.ConversationRepository, desk.ConversationRepository.get_latest_conversation)
    search_conversations = awaited(desk.ConversationRepository, desk.ConversationRepository.search_conversations)


class AsyncAttachmentRepository(AsyncRepository[Attachment]):
    """The files that came with tickets and conversations."""

    get_by_ticket = awaited(desk.AttachmentRepository, desk.AttachmentRepository.get_by_ticket)


class AsyncTagRepository(AsyncRepository[Tag]):
    """The words that tickets are found by."""


class AsyncTicketFieldRepository(AsyncRepository[Field]):
    """The fields that a company's tickets have beside their own."""

    get_in_order = awaited(desk.TicketFieldRepository, desk.TicketFieldRepository.get_in_order)


class AsyncCategoryRepository(AsyncRepository[Category]):
    """The parts of the knowledge base."""


class AsyncFolderRepository(AsyncRepository[Folder]):
    """The folders that articles stand in."""


class AsyncArticleRepository(AsyncRepository[Article]):
    """The answers that were written down."""

    get_published = awaited(knowledge.ArticleRepository, knowledge.ArticleRepository.get_published)
    search_articles = awaited(knowledge.ArticleRepository, knowledge.ArticleRepository.search_articles)


class AsyncIntegratedObjectRepository(AsyncRepository[IntegratedObject]):
    """Objects of every kind in one form."""

    get_by_original = awaited(
        knowledge.IntegratedObjectRepository, knowledge.IntegratedObjectRepository.get_by_original
    )
    store = awaited(knowledge.IntegratedObjectRepository, knowledge.IntegratedObjectRepository.store)
    search_objects = awaited(knowledge.IntegratedObjectRepository, knowledge.IntegratedObjectRepository.search_objects)
    get_unsynced = awaited(knowledge.IntegratedObjectRepository, knowledge.IntegratedObjectRepository.get_unsynced)


class AsyncSummaryRepository(AsyncRepository[Summary]):
    """What models wrote about objects."""

    get_latest = awaited(knowledge.SummaryRepository, knowledge.SummaryRepository.get_latest)


class AsyncVectorLinkRepository(AsyncRepository[VectorLink]):
    """Where vector stores keep objects."""

    get_by_vector = awaited(knowledge.VectorLinkRepository, knowledge.VectorLinkRepository.get_by_vector)
    get_failed = awaited(knowledge.VectorLinkRepository, knowledge.VectorLinkRepository.get_failed)


class AsyncSyncJobRepository(AsyncRepository[SyncJob]):
    """The runs that bring rows from platforms."""

    get_unfinished = awaited(knowledge.SyncJobRepository, knowledge.SyncJobRepository.get_unfinished)


class AsyncProcessingLogRepository(AsyncRepository[ProcessingLog]):
    """What was done with objects, step by step."""

    get_by_object = awaited(knowledge.ProcessingLogRepository, knowledge.ProcessingLogRepository.get_by_object)


class AsyncTenantSettingRepository(AsyncRepository[TenantSetting]):
    """The company's settings."""

    get_value = awaited(knowledge.TenantSettingRepository, knowledge.TenantSettingRepository.get_value)
    set_value = awaited(knowledge.TenantSettingRepository, knowledge.TenantSettingRepository.set_value)


class AsyncSchemaVersionRepository(AsyncRepository[SchemaVersion]):
    """The migrations of the company's own rows."""

    get_current = awaited(knowledge.SchemaVersionRepository, knowledge.SchemaVersionRepository.get_current)


class AsyncBackupRecordRepository(AsyncRepository[BackupRecord]):
    """The company's backups."""

    get_latest = awaited(knowledge.BackupRecordRepository, knowledge.BackupRecordRepository.get_latest)
