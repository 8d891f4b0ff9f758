"""What the helpdesk's routes take and give; a body that names a column of the tenant's, or one unknown, is refused."""

import datetime
import json
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

from tenantry.packs.helpdesk.words import ArticleStatus, AuthorType, TicketPriority, TicketStatus
from tenantry.web.bodies import Document, Text


def _not_large(document: dict[str, Any]) -> dict[str, Any]:
    if len(json.dumps(document)) > _LARGEST_DOCUMENT:
        raise ValueError(f"it is larger than {_LARGEST_DOCUMENT} characters")
    return document


Name = Annotated[Text, Field(min_length=1, max_length=100)]
Mail = Annotated[Text, Field(max_length=320, pattern=r"^[^@\s]+@[^@\s]+$", examples=["user@example.com"])]
Small = Annotated[Document, AfterValidator(_not_large)]
Long = Annotated[Text, Field(max_length=100_000)]

_LARGEST_DOCUMENT: Final = 65_536
_TICKET: Final[dict[str, Any]] = {
    "subject": "Password Reset Request",
    "description": "User needs password reset",
    "requester_email": "user@example.com",
    "priority": "medium",
}


class Body(BaseModel):
    """What a client sends: nothing but what is named here."""

    model_config = ConfigDict(extra="forbid")

    def given(self) -> dict[str, Any]:
        """Returns what the client said, and nothing that it left out."""
        return self.model_dump(exclude_unset=True)


class TicketIn(Body):
    """A new ticket."""

    model_config = ConfigDict(json_schema_extra={"examples": [_TICKET]})

    subject: Annotated[Text, Field(min_length=1, max_length=500)]
    description: Long | None = None
    requester_email: Mail | None = None
    priority: TicketPriority = TicketPriority.MEDIUM
    ticket_id: Name | None = None
    type: Annotated[Text, Field(max_length=50)] | None = None
    source: Annotated[Text, Field(max_length=30)] | None = None
    due_by: AwareDatetime | None = None
    custom_fields: Small = Field(default_factory=dict)

    def given(self) -> dict[str, Any]:
        """Returns what the client said; a number that it leaves open is made up."""
        said = super().given()
        return said if said.get("ticket_id") else {name: said[name] for name in said if name != "ticket_id"}


class TicketChange(Body):
    """Other words for a ticket; its state is changed by steps, its number never."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"priority": "high"}]})

    subject: Annotated[Text, Field(min_length=1, max_length=500)] | None = None
    description: Long | None = None
    requester_email: Mail | None = None
    priority: TicketPriority | None = None
    type: Annotated[Text, Field(max_length=50)] | None = None
    due_by: AwareDatetime | None = None
    custom_fields: Small | None = None

    def given(self) -> dict[str, Any]:
        """Returns what the client said; what a ticket cannot be without stays where it is said to be nothing."""
        needed = ("subject", "priority", "custom_fields")
        return {name: value for name, value in super().given().items() if value is not None or name not in needed}


class TicketStep(Body):
    """The state that a ticket is to take."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"status": "resolved"}]})

    status: TicketStatus


class Assignment(Body):
    """Whom a ticket is given to; None: nobody."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"agent_id": "agent_123"}]})

    agent_id: Name | None


class Tags(Body):
    """The tags that a ticket is to have beside those it has."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"names": ["login", "urgent"]}]})

    names: Annotated[list[Name], Field(min_length=1, max_length=20)]


class ConversationIn(Body):
    """What is said about a ticket."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"content": "I have put it right."}]})

    content: Annotated[Long, Field(min_length=1)]
    author_type: AuthorType = AuthorType.AGENT
    author_id: Name | None = None
    is_private: bool = False
    body_html: Long | None = None


class ArticleIn(Body):
    """A new article, which begins as a draft."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"title": "How to log in", "description": "Open the sign-in page."}]}
    )

    title: Annotated[Text, Field(min_length=1, max_length=500)]
    description: Annotated[Long, Field(min_length=1)]


class ArticleStep(Body):
    """The state that an article is to take."""

    status: ArticleStatus


class Out(BaseModel):
    """A row as it is given out; columns that are not named here come along."""

    model_config = ConfigDict(extra="allow")

    created_at: datetime.datetime


class TicketOut(Out):
    """A ticket."""

    ticket_id: str
    subject: str
    description: str | None
    status: TicketStatus
    priority: TicketPriority
    requester_email: str | None
    platform: str


class ConversationOut(Out):
    """One thing said about a ticket."""

    conversation_id: str
    ticket_id: str
    content: str
    author_type: AuthorType


class AgentOut(Out):
    """An agent."""

    agent_id: str
    name: str
    email: str | None


class ArticleOut(Out):
    """An article."""

    article_id: str
    title: str
    description: str
    status: ArticleStatus
    views: int


class ObjectOut(Out):
    """An object in the form that searches and summaries read."""

    id: str
    original_id: str
    object_type: str
    title: str | None
    content: str | None


class CompanyOut(Out):
    """The company itself."""

    name: str
    platform: str
    subscription_plan: str


class Paged(BaseModel):
    """How much of a list this is: *total* counts all that match, *returned* those that are here."""

    total: int
    limit: int
    offset: int
    returned: int


class TicketsOut(Paged):
    """A page of tickets."""

    tickets: list[TicketOut]


class ConversationsOut(Paged):
    """A page of what was said."""

    conversations: list[ConversationOut]


class AgentsOut(Paged):
    """A page of agents."""

    agents: list[AgentOut]


class ArticlesOut(Paged):
    """A page of articles."""

    articles: list[ArticleOut]


class ObjectsOut(Paged):
    """A page of objects."""

    objects: list[ObjectOut]


class TicketAnswer(BaseModel):
    """One ticket."""

    ticket: TicketOut


class ConversationAnswer(BaseModel):
    """One thing said."""

    conversation: ConversationOut


class ArticleAnswer(BaseModel):
    """One article."""

    article: ArticleOut


class ObjectAnswer(BaseModel):
    """One object."""

    object: ObjectOut


class CompanyAnswer(BaseModel):
    """The company."""

    company: CompanyOut


Order = Literal["created_at", "-created_at", "priority", "-priority", "status", "-status", "updated_at", "-updated_at"]
