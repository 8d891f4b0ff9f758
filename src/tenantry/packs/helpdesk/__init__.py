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
    GroupRepository,
    TagRepository,
    TicketFieldRepository,
)
from tenantry.packs.helpdesk.repositories_knowledge import (
    ArticleRepository,
    BackupRecordRepository,
    CategoryRepository,
    FolderRepository,
    ProcessingLogRepository,
    SchemaVersionRepository,
    SummaryRepository,
    SyncJobRepository,
    TenantSettingRepository,
    VectorLinkRepository,
)
from tenantry.packs.helpdesk.seed_config import (
    DatabaseType,
    HelpdeskSettings,
    Validation,
    check_company,
    company_key,
    tenancy_from_env,
)
from tenantry.packs.helpdesk.seed_doors import (
    DatabaseManager,
    door,
    get_db_manager,
    get_db_session,
    helpdesk_tenancy,
)
from tenantry.packs.helpdesk.seed_queries import (
    QueryBuilder,
)
from tenantry.packs.helpdesk.seed_repositories import (
    ConversationRepository,
    IntegratedObjectRepository,
    TicketRepository,
)
from tenantry.packs.helpdesk.services import (
    OBJECT_CHANGED,
    ArticleService,
    ObjectService,
    SyncService,
    TicketService,
)
from tenantry.packs.helpdesk.vectors import (
    InVectors,
    KeepsVectors,
    VectorPort,
    VectorSync,
    generate_embedding,
    vector_db,
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
    from tenantry.packs.helpdesk.seed_databases import (
        DatabaseFactory,
        DatabaseHandle,
        PostgreSQLDatabase,
        SQLiteDatabase,
        get_database,
    )
    from tenantry.packs.helpdesk.seed_objects import (
        store_integrated_object_with_migration,
        store_with_migration_support,
    )
    from tenantry.packs.helpdesk.seed_running import (
        DatabaseHealthMonitor,
        TenantBackupManager,
        backup_name,
        get_tenant_tickets,
    )
    from tenantry.packs.helpdesk.seed_schemas import (
        MigrationScript,
        TenantConfig,
        TenantSchemaManager,
    )
    from tenantry.packs.helpdesk.seed_units import (
        BaseRepository,
        CompanyObjects,
    )
    from tenantry.packs.helpdesk.seed_vectors import (
        sync_orm_to_vector,
    )
    from tenantry.packs.helpdesk.seed_web import (
        HelpdeskContext,
        get_tenant_context,
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
    "BaseRepository",
    "Category",
    "CategoryRepository",
    "Company",
    "CompanyObjects",
    "CompanyRepository",
    "Contact",
    "ContactRepository",
    "Conversation",
    "ConversationRepository",
    "DatabaseFactory",
    "DatabaseHandle",
    "DatabaseHealthMonitor",
    "DatabaseManager",
    "DatabaseType",
    "Folder",
    "FolderRepository",
    "Group",
    "GroupRepository",
    "Helpdesk",
    "HelpdeskBase",
    "HelpdeskContext",
    "HelpdeskSettings",
    "InVectors",
    "IntegratedObject",
    "IntegratedObjectRepository",
    "KeepsVectors",
    "LegacyMigration",
    "LegacyObject",
    "LegacyStore",
    "Migrated",
    "MigrationScript",
    "ObjectService",
    "PostgreSQLDatabase",
    "ProcessingLog",
    "ProcessingLogRepository",
    "QueryBuilder",
    "SQLiteDatabase",
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
    "TenantBackupManager",
    "TenantConfig",
    "TenantSchemaManager",
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
    "Validation",
    "VectorLink",
    "VectorLinkRepository",
    "VectorPort",
    "VectorSync",
    "WorkStatus",
    "backup_name",
    "begin",
    "check_company",
    "company_key",
    "door",
    "generate_embedding",
    "get_database",
    "get_db_manager",
    "get_db_session",
    "get_tenant_context",
    "get_tenant_tickets",
    "helpdesk_tenancy",
    "integrated_id",
    "router",
    "store_integrated_object_with_migration",
    "store_with_migration_support",
    "sync_orm_to_vector",
    "tenancy_from_env",
    "vector_db",
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
    "BaseRepository": "seed_units",
    "CompanyObjects": "seed_units",
    "DatabaseFactory": "seed_databases",
    "DatabaseHandle": "seed_databases",
    "DatabaseHealthMonitor": "seed_running",
    "HelpdeskContext": "seed_web",
    "MigrationScript": "seed_schemas",
    "PostgreSQLDatabase": "seed_databases",
    "SQLiteDatabase": "seed_databases",
    "TenantBackupManager": "seed_running",
    "TenantConfig": "seed_schemas",
    "TenantSchemaManager": "seed_schemas",
    "backup_name": "seed_running",
    "get_database": "seed_databases",
    "get_tenant_context": "seed_web",
    "get_tenant_tickets": "seed_running",
    "router": "http",
    "store_integrated_object_with_migration": "seed_objects",
    "store_with_migration_support": "seed_objects",
    "sync_orm_to_vector": "seed_vectors",
}


def __getattr__(name: str) -> Any:
    if name not in _LATE:
        raise AttributeError(f"module 'tenantry.packs.helpdesk' has no attribute {name!r}")
    found = globals()[name] = getattr(importlib.import_module(f"tenantry.packs.helpdesk.{_LATE[name]}"), name)
    return found
