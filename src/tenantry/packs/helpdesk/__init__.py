"""The helpdesk: companies, agents, tickets and what is known about them; and the names of its document."""

import importlib
from typing import TYPE_CHECKING, Any, Final

from tenantry.packs.helpdesk import behaviours as _behaviours  # noqa: F401  # their tables are the models' too
from tenantry.packs.helpdesk.base import (
    Base,
    HelpdeskBase,
)
from tenantry.packs.helpdesk.legacy import (
    LegacyObject,
    LegacyStore,
)
from tenantry.packs.helpdesk.lifecycles import (
    ARTICLES,
    BACKUPS,
    SYNC_JOBS,
    TICKETS,
)
from tenantry.packs.helpdesk.migration_layer import (
    LegacyMigration,
    Migrated,
    writes_orm,
)
from tenantry.packs.helpdesk.models import (
    Agent,
    Attachment,
    Company,
    Contact,
    Conversation,
    Group,
    Tag,
    Ticket,
    TicketField,
    TicketTag,
)
from tenantry.packs.helpdesk.models_knowledge import (
    Article,
    Category,
    Folder,
    IntegratedObject,
    Summary,
    VectorLink,
    integrated_id,
)
from tenantry.packs.helpdesk.models_running import (
    BackupRecord,
    ProcessingLog,
    SchemaVersion,
    SyncJob,
    TenantSetting,
)
from tenantry.packs.helpdesk.pack import (
    MIGRATIONS,
    Helpdesk,
    begin,
)
from tenantry.packs.helpdesk.permissions import (
    DESK_ROLES,
)
from tenantry.packs.helpdesk.repositories import (
    AgentRepository,
    AttachmentRepository,
    CompanyRepository,
    ContactRepository,
    ConversationRepository,
    GroupRepository,
    TagRepository,
    TicketFieldRepository,
    TicketRepository,
)
from tenantry.packs.helpdesk.repositories_knowledge import (
    ArticleRepository,
    BackupRecordRepository,
    CategoryRepository,
    FolderRepository,
    IntegratedObjectRepository,
    ProcessingLogRepository,
    SchemaVersionRepository,
    SummaryRepository,
    SyncJobRepository,
    TenantSettingRepository,
    VectorLinkRepository,
)
from tenantry.packs.helpdesk.services import (
    OBJECT_CHANGED,
    ArticleService,
    ObjectService,
    SyncService,
    TicketService,
)
from tenantry.packs.helpdesk.words import (
    ArticleStatus,
    AuthorType,
    SyncStatus,
    TicketPriority,
    TicketStatus,
    WorkStatus,
)

if TYPE_CHECKING:
    from tenantry.packs.helpdesk.aio import (
        AsyncAgentRepository,
        AsyncArticleRepository,
        AsyncAttachmentRepository,
        AsyncBackupRecordRepository,
        AsyncCategoryRepository,
        AsyncCompanyRepository,
        AsyncContactRepository,
        AsyncConversationRepository,
        AsyncFolderRepository,
        AsyncGroupRepository,
        AsyncIntegratedObjectRepository,
        AsyncProcessingLogRepository,
        AsyncSchemaVersionRepository,
        AsyncSummaryRepository,
        AsyncSyncJobRepository,
        AsyncTagRepository,
        AsyncTenantSettingRepository,
        AsyncTicketFieldRepository,
        AsyncTicketRepository,
        AsyncVectorLinkRepository,
    )
    from tenantry.packs.helpdesk.http import (
        router,
    )

__all__ = [
    "ARTICLES",
    "BACKUPS",
    "DESK_ROLES",
    "MIGRATIONS",
    "OBJECT_CHANGED",
    "SYNC_JOBS",
    "TICKETS",
    "Agent",
    "AgentRepository",
    "Article",
    "ArticleRepository",
    "ArticleService",
    "ArticleStatus",
    "AsyncAgentRepository",
    "AsyncArticleRepository",
    "AsyncAttachmentRepository",
    "AsyncBackupRecordRepository",
    "AsyncCategoryRepository",
    "AsyncCompanyRepository",
    "AsyncContactRepository",
    "AsyncConversationRepository",
    "AsyncFolderRepository",
    "AsyncGroupRepository",
    "AsyncIntegratedObjectRepository",
    "AsyncProcessingLogRepository",
    "AsyncSchemaVersionRepository",
    "AsyncSummaryRepository",
    "AsyncSyncJobRepository",
    "AsyncTagRepository",
    "AsyncTenantSettingRepository",
    "AsyncTicketFieldRepository",
    "AsyncTicketRepository",
    "AsyncVectorLinkRepository",
    "Attachment",
    "AttachmentRepository",
    "AuthorType",
    "BackupRecord",
    "BackupRecordRepository",
    "Base",
    "Category",
    "CategoryRepository",
    "Company",
    "CompanyRepository",
    "Contact",
    "ContactRepository",
    "Conversation",
    "ConversationRepository",
    "Folder",
    "FolderRepository",
    "Group",
    "GroupRepository",
    "Helpdesk",
    "HelpdeskBase",
    "IntegratedObject",
    "IntegratedObjectRepository",
    "LegacyMigration",
    "LegacyObject",
    "LegacyStore",
    "Migrated",
    "ObjectService",
    "ProcessingLog",
    "ProcessingLogRepository",
    "SchemaVersion",
    "SchemaVersionRepository",
    "Summary",
    "SummaryRepository",
    "SyncJob",
    "SyncJobRepository",
    "SyncService",
    "SyncStatus",
    "Tag",
    "TagRepository",
    "TenantSetting",
    "TenantSettingRepository",
    "Ticket",
    "TicketField",
    "TicketFieldRepository",
    "TicketPriority",
    "TicketRepository",
    "TicketService",
    "TicketStatus",
    "TicketTag",
    "VectorLink",
    "VectorLinkRepository",
    "WorkStatus",
    "begin",
    "integrated_id",
    "router",
    "writes_orm",
]

# These need what not every installation has: greenlet, FastAPI.
_LATE: Final = {
    "AsyncAgentRepository": "aio",
    "AsyncArticleRepository": "aio",
    "AsyncAttachmentRepository": "aio",
    "AsyncBackupRecordRepository": "aio",
    "AsyncCategoryRepository": "aio",
    "AsyncCompanyRepository": "aio",
    "AsyncContactRepository": "aio",
    "AsyncConversationRepository": "aio",
    "AsyncFolderRepository": "aio",
    "AsyncGroupRepository": "aio",
    "AsyncIntegratedObjectRepository": "aio",
    "AsyncProcessingLogRepository": "aio",
    "AsyncSchemaVersionRepository": "aio",
    "AsyncSummaryRepository": "aio",
    "AsyncSyncJobRepository": "aio",
    "AsyncTagRepository": "aio",
    "AsyncTenantSettingRepository": "aio",
    "AsyncTicketFieldRepository": "aio",
    "AsyncTicketRepository": "aio",
    "AsyncVectorLinkRepository": "aio",
    "router": "http",
}


def __getattr__(name: str) -> Any:
    if name not in _LATE:
        raise AttributeError(f"module 'tenantry.packs.helpdesk' has no attribute {name!r}")
    found = globals()[name] = getattr(importlib.import_module(f"tenantry.packs.helpdesk.{_LATE[name]}"), name)
    return found
