"""Documents: organisations, users, documents with versions, summaries, topics, and the graph that they hang in."""

import importlib
from typing import TYPE_CHECKING, Any, Final

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

__all__ = [
    "MIGRATIONS",
    "PROCESSING",
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
    "Content",
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
    "Processing",
    "Reached",
    "Summary",
    "SummaryRepository",
    "SummaryType",
    "Topic",
    "TopicCount",
    "TopicRepository",
    "User",
    "UserRepository",
    "UserRole",
]

# What needs more than SQLAlchemy, by the module that has it: greenlet, or an extra.
_LATER: Final = {name: "aio" for name in __all__ if name.startswith("Async")}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module 'tenantry.packs.documents' has no attribute {name!r}")
    found = globals()[name] = getattr(importlib.import_module(f"tenantry.packs.documents.{_LATER[name]}"), name)
    return found
