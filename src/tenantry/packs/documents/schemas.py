"""What the documents' routes take and give; a body that names a column of the tenant's, or one unknown, is refused."""

import datetime
import uuid
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from tenantry.packs.documents.models import DocumentStatus, SummaryType, UserRole
from tenantry.web.bodies import Document, Text

_DOCUMENT: Final[dict[str, Any]] = {
    "title": "Charter",
    "content": "What we are for",
    "metadata": {"pages": 3},
    "language": "en",
}
_ANALYSIS: Final[dict[str, Any]] = {
    "version": 1,
    "summary": "Why we are here.",
    "topics": {"Purpose": 0.9},
    "agent_name": "reader",
    "prompt_tokens": 120,
    "completion_tokens": 12,
}

Title = Annotated[Text, Field(min_length=1, max_length=500)]
Long = Annotated[Text, Field(max_length=5_000_000)]
Word = Annotated[Text, Field(min_length=1, max_length=100)]
Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0, le=2**31 - 1)]
Order = Literal["-created_at", "created_at", "-updated_at", "updated_at", "title", "-title"]


class Body(BaseModel):
    """What a client sends: nothing but what is named here."""

    model_config = ConfigDict(extra="forbid")

    def given(self) -> dict[str, Any]:
        """Returns what the client said, and nothing that it left out."""
        return self.model_dump(exclude_unset=True)


class DocumentIn(Body):
    """A new document; without ``owner_id`` it is whose token asks."""

    model_config = ConfigDict(json_schema_extra={"examples": [_DOCUMENT]})

    title: Title
    content: Long | None = None
    content_type: Word = "text/plain"
    language: Annotated[Text, Field(max_length=10)] | None = None
    source_url: Annotated[Text, Field(max_length=1024)] | None = None
    metadata: Document = Field(default_factory=dict)
    owner_id: uuid.UUID | None = None


class DocumentChange(Body):
    """A change of a document; ``expected_version`` is the version that it is a change of."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"content": "What we are for, and why"}]})

    title: Title = Field(default_factory=str)
    content: Long | None = None
    language: Annotated[Text, Field(max_length=10)] | None = None
    metadata: Document = Field(default_factory=dict)
    change_summary: Long | None = None
    expected_version: Count | None = None


class AnalysisIn(Body):
    """What processing found of a version of a document."""

    model_config = ConfigDict(json_schema_extra={"examples": [_ANALYSIS]})

    version: Count
    summary: Long
    summary_type: SummaryType = SummaryType.BRIEF
    topics: dict[Annotated[Text, Field(min_length=1, max_length=255)], Share] = Field(default_factory=dict)
    tool_name: Word | None = None
    agent_name: Word | None = None
    model: Word | None = None
    language: Annotated[Text, Field(max_length=10)] | None = None
    confidence: Share | None = None
    prompt_tokens: Count = 0
    completion_tokens: Count = 0


class TopicIn(Body):
    """A new topic."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "Purpose", "keywords": ["why"]}]})

    name: Annotated[Text, Field(min_length=1, max_length=255)]
    description: Long | None = None
    keywords: Annotated[list[Word], Field(max_length=1000)] = Field(default_factory=list)
    parent_topic_id: uuid.UUID | None = None


class RelevanceIn(Body):
    """How much a document is about a topic."""

    relevance: Share = 1.0


class LineIn(Body):
    """A line from one document to another."""

    source_document_id: uuid.UUID
    target_document_id: uuid.UUID
    relationship_type: Annotated[Text, Field(min_length=1, max_length=50, examples=["requires"])]
    weight: Annotated[float, Field(allow_inf_nan=False)] = 1.0
    is_directed: bool = True


class UserIn(Body):
    """Somebody new."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"email": "bob@example.com", "role": "editor"}]})

    email: Annotated[Text, Field(max_length=320, pattern=r"^[^@\s]+@[^@\s]+$")]
    username: Annotated[Text, Field(max_length=150)] | None = None
    display_name: Annotated[Text, Field(max_length=255)] | None = None
    role: UserRole = UserRole.MEMBER


class RoleIn(Body):
    """Another role."""

    role: UserRole


class Out(BaseModel):
    """What a client gets."""

    model_config = ConfigDict(extra="ignore")


class DocumentLine(Out):
    """A document in a list, without what it says."""

    id: uuid.UUID
    title: str
    status: DocumentStatus
    version: int
    owner_id: uuid.UUID
    content_type: str
    language: str | None
    source_url: str | None
    word_count: int | None
    metadata: dict[str, Any]
    created_at: datetime.datetime
    updated_at: datetime.datetime


class DocumentOut(DocumentLine):
    """A document."""

    content: str | None


class VersionLine(Out):
    """A version of a document in a list."""

    version_number: int
    title: str | None
    change_summary: str | None
    changed_by: uuid.UUID | None
    created_at: datetime.datetime


class VersionOut(VersionLine):
    """A version of a document."""

    content: str | None
    metadata: dict[str, Any]
    diff: str | None


class SummaryOut(Out):
    """A summary of a document."""

    id: uuid.UUID
    document_version: int | None
    summary_text: str
    summary_type: str
    tool_name: str | None
    agent_name: str | None
    model: str | None
    confidence: float | None
    prompt_tokens: int
    completion_tokens: int
    created_at: datetime.datetime


class TopicOut(Out):
    """A topic."""

    id: uuid.UUID
    name: str
    description: str | None
    keywords: list[Any]
    parent_topic_id: uuid.UUID | None


class UserOut(Out):
    """Somebody of the organisation."""

    id: uuid.UUID
    email: str
    display_name: str | None
    role: str
    is_active: bool


class OrganizationOut(Out):
    """The organisation."""

    id: uuid.UUID
    name: str
    slug: str | None
    plan: str


class NodeOut(Out):
    """A point of the graph."""

    id: uuid.UUID
    node_type: str
    label: str
    document_id: uuid.UUID | None
    external_id: str | None


class LineOut(Out):
    """A line of the graph."""

    id: uuid.UUID
    source_node_id: uuid.UUID
    target_node_id: uuid.UUID
    relationship_type: str
    weight: float
    is_directed: bool


class DiffOut(Out):
    """What changed from one version to another."""

    older: int
    newer: int
    diff: str


class Listed(Out):
    """A part of a list, and how many there are in all."""

    total: int
    limit: int
    offset: int


class DocumentsOut(Listed):
    """Documents."""

    items: list[DocumentLine]


class VersionsOut(Listed):
    """Versions of a document."""

    items: list[VersionLine]


class TopicsOut(Listed):
    """Topics."""

    items: list[TopicOut]


class UsersOut(Listed):
    """Users."""

    items: list[UserOut]


class NodesOut(Listed):
    """Points of the graph."""

    items: list[NodeOut]
