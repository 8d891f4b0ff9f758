"""The assistant: companies with databases of their own, who logs in to which, documents, conversations, reports."""

import importlib
from typing import TYPE_CHECKING, Any, Final

from tenantry.packs.assistant.base import (
    AssistantBase,
    OfCompany,
)
from tenantry.packs.assistant.companies import (
    Companies,
    CompanyCard,
)
from tenantry.packs.assistant.library import (
    Library,
    LibraryRepository,
)
from tenantry.packs.assistant.metering import (
    PRICES,
    Call,
    Meter,
    TokenUsageRepository,
)
from tenantry.packs.assistant.models_chats import (
    AgentLog,
    Conversation,
    Message,
    TokenUsage,
)
from tenantry.packs.assistant.models_documents import (
    PROCESSING,
    Document,
    DocumentChunk,
    GlobalDocument,
    GlobalDocumentChunk,
)
from tenantry.packs.assistant.models_primary import (
    Company,
    Permission,
    Role,
    RolePermission,
    User,
)
from tenantry.packs.assistant.models_reports import (
    Profile,
    SavedReport,
)
from tenantry.packs.assistant.repositories import (
    AgentLogRepository,
    ChunkRepository,
    ConversationRepository,
    DocumentRepository,
    MessageRepository,
    ProfileRepository,
    SavedReportRepository,
    Shelf,
)
from tenantry.packs.assistant.retrieval import (
    Found,
    Retrieval,
)
from tenantry.packs.assistant.services import (
    Answer,
    Chats,
    Findings,
    Piece,
    Processing,
    Reports,
    Step,
)
from tenantry.packs.assistant.words import (
    Explainability,
    MessageRole,
    Operation,
    ProcessingStatus,
    Provider,
    RoleName,
    Scope,
)

if TYPE_CHECKING:
    from tenantry.packs.assistant.aio import (
        AsyncAgentLogRepository,
        AsyncChunkRepository,
        AsyncConversationRepository,
        AsyncDocumentRepository,
        AsyncLibraryRepository,
        AsyncMessageRepository,
        AsyncProfileRepository,
        AsyncSavedReportRepository,
        AsyncTokenUsageRepository,
    )
    from tenantry.packs.assistant.http import (
        PUBLIC,
        router,
    )
    from tenantry.packs.assistant.pack import (
        MIGRATIONS,
        Assistant,
        assistant_tenancy,
    )
    from tenantry.packs.assistant.permissions import (
        MATRIX,
        grant,
        has_permission,
        permissions_of,
        require_permission,
        seed_roles,
    )
    from tenantry.packs.assistant.seed_init import (
        RESET_WORD,
        initialize_company_database,
        initialize_primary_database,
        migrate_add_low_confidence_warning,
        migrate_add_saved_reports,
        migrate_all_company_databases,
        migrate_company_database,
        migrate_database,
        reset_all_databases,
    )
    from tenantry.packs.assistant.seed_session import (
        canonical,
        clear_database_context,
        database_context,
        door,
        get_database_context,
        get_database_path,
        get_db_session,
        set_database_context,
        set_sqlite_pragma,
        use,
    )
    from tenantry.packs.assistant.users import (
        Person,
        Users,
    )

__all__ = [
    "MATRIX",
    "MIGRATIONS",
    "PRICES",
    "PROCESSING",
    "PUBLIC",
    "RESET_WORD",
    "AgentLog",
    "AgentLogRepository",
    "Answer",
    "Assistant",
    "AssistantBase",
    "AsyncAgentLogRepository",
    "AsyncChunkRepository",
    "AsyncConversationRepository",
    "AsyncDocumentRepository",
    "AsyncLibraryRepository",
    "AsyncMessageRepository",
    "AsyncProfileRepository",
    "AsyncSavedReportRepository",
    "AsyncTokenUsageRepository",
    "Call",
    "Chats",
    "ChunkRepository",
    "Companies",
    "Company",
    "CompanyCard",
    "Conversation",
    "ConversationRepository",
    "Document",
    "DocumentChunk",
    "DocumentRepository",
    "Explainability",
    "Findings",
    "Found",
    "GlobalDocument",
    "GlobalDocumentChunk",
    "Library",
    "LibraryRepository",
    "Message",
    "MessageRepository",
    "MessageRole",
    "Meter",
    "OfCompany",
    "Operation",
    "Permission",
    "Person",
    "Piece",
    "Processing",
    "ProcessingStatus",
    "Profile",
    "ProfileRepository",
    "Provider",
    "Reports",
    "Retrieval",
    "Role",
    "RoleName",
    "RolePermission",
    "SavedReport",
    "SavedReportRepository",
    "Scope",
    "Shelf",
    "Step",
    "TokenUsage",
    "TokenUsageRepository",
    "User",
    "Users",
    "assistant_tenancy",
    "canonical",
    "clear_database_context",
    "database_context",
    "door",
    "get_database_context",
    "get_database_path",
    "get_db_session",
    "grant",
    "has_permission",
    "initialize_company_database",
    "initialize_primary_database",
    "migrate_add_low_confidence_warning",
    "migrate_add_saved_reports",
    "migrate_all_company_databases",
    "migrate_company_database",
    "migrate_database",
    "permissions_of",
    "require_permission",
    "reset_all_databases",
    "router",
    "seed_roles",
    "set_database_context",
    "set_sqlite_pragma",
    "use",
]

# These need what not every installation has: greenlet, FastAPI, what tokens and passwords are made with.
_LATE: Final = {
    "AsyncAgentLogRepository": "aio",
    "AsyncChunkRepository": "aio",
    "AsyncConversationRepository": "aio",
    "AsyncDocumentRepository": "aio",
    "AsyncLibraryRepository": "aio",
    "AsyncMessageRepository": "aio",
    "AsyncProfileRepository": "aio",
    "AsyncSavedReportRepository": "aio",
    "AsyncTokenUsageRepository": "aio",
    "PUBLIC": "http",
    "router": "http",
    "MIGRATIONS": "pack",
    "Assistant": "pack",
    "assistant_tenancy": "pack",
    "MATRIX": "permissions",
    "grant": "permissions",
    "has_permission": "permissions",
    "permissions_of": "permissions",
    "require_permission": "permissions",
    "seed_roles": "permissions",
    "RESET_WORD": "seed_init",
    "initialize_company_database": "seed_init",
    "initialize_primary_database": "seed_init",
    "migrate_add_low_confidence_warning": "seed_init",
    "migrate_add_saved_reports": "seed_init",
    "migrate_all_company_databases": "seed_init",
    "migrate_company_database": "seed_init",
    "migrate_database": "seed_init",
    "reset_all_databases": "seed_init",
    "canonical": "seed_session",
    "clear_database_context": "seed_session",
    "database_context": "seed_session",
    "door": "seed_session",
    "get_database_context": "seed_session",
    "get_database_path": "seed_session",
    "get_db_session": "seed_session",
    "set_database_context": "seed_session",
    "set_sqlite_pragma": "seed_session",
    "use": "seed_session",
    "Person": "users",
    "Users": "users",
}


def __getattr__(name: str) -> Any:
    if name not in _LATE:
        raise AttributeError(f"module 'tenantry.packs.assistant' has no attribute {name!r}")
    found = globals()[name] = getattr(importlib.import_module(f"{__name__}.{_LATE[name]}"), name)
    return found
