"""Documents: organisations, users, documents with versions, summaries, topics, and the graph that they hang in."""

import importlib
from typing import TYPE_CHECKING, Any, Final

from tenantry.observe import track_metrics
from tenantry.packs.documents.base import DocumentsBase
from tenantry.packs.documents.graph import Direction
from tenantry.packs.documents.models import (
    PROCESSING,
    Document,
    DocumentStatus,
    DocumentVersion,
    Organization,
    Summary,
    SummaryType,
    User,
    UserRole,
)
from tenantry.packs.documents.models_graph import DocumentTopic, GraphNode, GraphRelationship, Topic
from tenantry.packs.documents.pack import MIGRATIONS, Documents
from tenantry.packs.documents.repositories import (
    DocumentRepository,
    DocumentVersionRepository,
    OrganizationRepository,
    SummaryRepository,
    UserRepository,
)
from tenantry.packs.documents.repositories_graph import (
    DocumentTopicRepository,
    GraphNodeRepository,
    GraphRelationshipRepository,
    Reached,
    TopicCount,
    TopicRepository,
)
from tenantry.packs.documents.services import Analysis, Content, Editing, Processing
from tenantry.packs.documents.similarity import Similar, Similarity

if TYPE_CHECKING:
    from tenantry.packs.documents.aio import (
        AsyncDocumentRepository,
        AsyncDocumentTopicRepository,
        AsyncDocumentVersionRepository,
        AsyncGraphNodeRepository,
        AsyncGraphRelationshipRepository,
        AsyncOrganizationRepository,
        AsyncSummaryRepository,
        AsyncTopicRepository,
        AsyncUserRepository,
    )
    from tenantry.packs.documents.fixtures import (
        axai_clean_db_session,
        axai_db_config,
        axai_db_manager,
        axai_db_session,
        axai_reset_db,
        axai_test_db,
    )
    from tenantry.packs.documents.http import router
    from tenantry.packs.documents.permissions import (
        ROLES,
        SecureDocumentRepository,
        SecureTopicRepository,
        SecurityManager,
    )
    from tenantry.packs.documents.seed_config import PostgresConnectionConfig, PostgresPoolConfig
    from tenantry.packs.documents.seed_initializer import DatabaseInitializer, DatabaseInitializerConfig
    from tenantry.packs.documents.seed_manager import DatabaseManager
    from tenantry.packs.documents.seed_repositories import BaseRepository, CacheManager, RepositoryFactory

__all__ = [
    "MIGRATIONS",
    "PROCESSING",
    "ROLES",
    "Analysis",
    "AsyncDocumentRepository",
    "AsyncDocumentTopicRepository",
    "AsyncDocumentVersionRepository",
    "AsyncGraphNodeRepository",
    "AsyncGraphRelationshipRepository",
    "AsyncOrganizationRepository",
    "AsyncSummaryRepository",
    "AsyncTopicRepository",
    "AsyncUserRepository",
    "BaseRepository",
    "CacheManager",
    "Content",
    "DatabaseInitializer",
    "DatabaseInitializerConfig",
    "DatabaseManager",
    "Direction",
    "Document",
    "DocumentRepository",
    "DocumentStatus",
    "DocumentTopic",
    "DocumentTopicRepository",
    "DocumentVersion",
    "DocumentVersionRepository",
    "Documents",
    "DocumentsBase",
    "Editing",
    "GraphNode",
    "GraphNodeRepository",
    "GraphRelationship",
    "GraphRelationshipRepository",
    "Organization",
    "OrganizationRepository",
    "PostgresConnectionConfig",
    "PostgresPoolConfig",
    "Processing",
    "Reached",
    "RepositoryFactory",
    "SecureDocumentRepository",
    "SecureTopicRepository",
    "SecurityManager",
    "Similar",
    "Similarity",
    "Summary",
    "SummaryRepository",
    "SummaryType",
    "Topic",
    "TopicCount",
    "TopicRepository",
    "User",
    "UserRepository",
    "UserRole",
    "axai_clean_db_session",
    "axai_db_config",
    "axai_db_manager",
    "axai_db_session",
    "axai_reset_db",
    "axai_test_db",
    "router",
    "track_metrics",
]

# What needs more than SQLAlchemy, by the module that has it: greenlet, or an extra.
_MODULES: Final = {
    "fixtures": [name for name in __all__ if name.startswith("axai_")],
    "http": ["router"],
    "permissions": ["ROLES", "SecureDocumentRepository", "SecureTopicRepository", "SecurityManager"],
    "seed_config": ["PostgresConnectionConfig", "PostgresPoolConfig"],
    "seed_initializer": ["DatabaseInitializer", "DatabaseInitializerConfig"],
    "seed_manager": ["DatabaseManager"],
    "seed_repositories": ["BaseRepository", "CacheManager", "RepositoryFactory"],
    "aio": [name for name in __all__ if name.startswith("Async")],
}
_LATER: Final = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module 'tenantry.packs.documents' has no attribute {name!r}")
    found = globals()[name] = getattr(importlib.import_module(f"tenantry.packs.documents.{_LATER[name]}"), name)
    return found
