"""What the meetings' routes take and give; a body that names a column of the tenant's, or one unknown, is refused."""

import datetime
import uuid
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, HttpUrl

from tenantry.packs.meetings.words import (
    ConnectionStatus,
    CRMProvider,
    CRMSyncStatus,
    MappingSource,
    PlanTier,
    ProcessingStatus,
    Sentiment,
    SubscriptionStatus,
    UserRole,
)
from tenantry.web.bodies import Text

Name = Annotated[Text, Field(min_length=1, max_length=255)]
SlackId = Annotated[str, Field(pattern=r"^[A-Za-z0-9_]{1,32}$", examples=["U0123456789"])]
Mail = Annotated[Text, Field(max_length=320, pattern=r"^[^@\s]+@[^@\s]+$", examples=["user@company.com"])]
Long = Annotated[Text, Field(max_length=100_000)]
Lines = Annotated[list[Annotated[Text, Field(max_length=10_000)]], Field(max_length=500)]
Tokens = Annotated[int, Field(ge=0, le=1_000_000_000)]


class Body(BaseModel):
    """What a client sends: nothing but what is named here."""

    model_config = ConfigDict(extra="forbid")

    def given(self) -> dict[str, Any]:
        """Returns what the client said, and nothing that it left out."""
        return self.model_dump(exclude_unset=True, mode="json")


class PlanIn(Body):
    """Another plan."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"plan_tier": "pro"}]})

    plan_tier: PlanTier


class UserIn(Body):
    """Somebody who comes into the workspace."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"slack_user_id": "U0123456789", "slack_email": "user@company.com", "role": "admin"}]
        }
    )

    slack_user_id: SlackId
    slack_email: Mail | None = None
    slack_display_name: Name | None = None
    role: UserRole = UserRole.MEMBER

    def given(self) -> dict[str, Any]:
        """Returns what the client said, with the role: who comes back is what it says, not what they were."""
        return {**super().given(), "role": str(self.role)}


class UserChange(Body):
    """Something else about a user; what Slack calls them stays."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"role": "viewer"}]})

    slack_email: Mail | None = None
    slack_display_name: Name | None = None
    role: UserRole = UserRole.MEMBER
    is_active: bool = True


class ConnectionIn(Body):
    """A CRM to connect; its credentials are brought to where the service keeps them, never through here."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"provider_type": "hubspot", "is_default": True}]})

    provider_type: CRMProvider
    connection_name: Name | None = None
    external_account_id: Name | None = None
    is_default: bool = False


class Participant(Body):
    """Somebody in a meeting."""

    name: Name
    email: Mail | None = None


class MeetingIn(Body):
    """A meeting that was recorded; told of twice by the same ``fathom_meeting_id`` it is one."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "fathom_meeting_id": "fathom-1",
                    "title": "Kick-off",
                    "participants": [{"name": "Ann", "email": "ann@client.com"}],
                }
            ]
        }
    )

    fathom_meeting_id: Name | None = None
    title: Annotated[Text, Field(max_length=500)] | None = None
    user_id: uuid.UUID | None = None
    meeting_url: Annotated[HttpUrl, Field(max_length=1024)] | None = None
    recording_url: Annotated[HttpUrl, Field(max_length=1024)] | None = None
    started_at: AwareDatetime | None = None
    ended_at: AwareDatetime | None = None
    duration_seconds: Annotated[int, Field(ge=0, le=10_000_000)] | None = None
    participants: Annotated[list[Participant], Field(max_length=500)] = []

    def given(self) -> dict[str, Any]:
        """Returns what the client said: addresses as texts, times and keys as what they are."""
        said = self.model_dump(exclude_unset=True)
        return {name: str(value) if name.endswith("_url") and value else value for name, value in said.items()}


class FindingsIn(Body):
    """What a language model made of a meeting."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "ai_summary": "They want a demo.",
                    "action_items": ["Send the offer"],
                    "sentiment": "positive",
                    "ai_model": "m-1",
                    "prompt_tokens": 1200,
                    "completion_tokens": 300,
                }
            ]
        }
    )

    ai_summary: Annotated[Long, Field(min_length=1)]
    action_items: Lines = []
    key_points: Lines = []
    sentiment: Sentiment | None = None
    ai_model: Annotated[Name, Field(max_length=100)] = "unknown"
    provider: Annotated[Name, Field(max_length=100)] = "unknown"
    prompt_tokens: Tokens = 0
    completion_tokens: Tokens = 0


class FailureIn(Body):
    """Why a meeting could not be processed."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"error": "There is no transcript."}]})

    error: Annotated[Long, Field(min_length=1)]


class NoteIn(Body):
    """Where the note of a meeting goes; left out, it is the default CRM."""

    crm_connection_id: uuid.UUID | None = None


class AccountIn(Body):
    """Whose account the domain of an address is, in the default CRM."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"email": "ann@client.com", "crm_account_id": "c-1", "confidence": 0.9}]}
    )

    email: Annotated[Text, Field(max_length=320)]
    crm_account_id: Name
    crm_account_name: Name | None = None
    confidence: Annotated[float, Field(ge=0, le=1)] = 1.0


class Out(BaseModel):
    """A row as it is given out: what is named here, and nothing else."""

    model_config = ConfigDict(from_attributes=True)

    id: uuid.UUID
    created_at: datetime.datetime


class WorkspaceOut(Out):
    """The workspace itself."""

    slack_team_id: str
    slack_team_name: str
    plan_tier: PlanTier
    subscription_status: SubscriptionStatus


class StatsOut(BaseModel):
    """How much there is in the workspace."""

    users: int
    crm_connections: int
    meetings_total: int
    meetings_this_month: int
    account_mappings: int


class LimitOut(BaseModel):
    """How much of a resource was used in the present period."""

    model_config = ConfigDict(from_attributes=True)

    resource_type: str
    limit_period: str
    current_count: int
    period_end: datetime.datetime


class UserOut(Out):
    """A user."""

    slack_user_id: str
    slack_email: str | None
    slack_display_name: str | None
    role: UserRole
    is_active: bool


class ConnectionOut(Out):
    """A connection to a CRM, without where its credentials are."""

    provider_type: CRMProvider
    connection_name: str | None
    external_account_id: str | None
    is_default: bool
    status: ConnectionStatus
    last_sync_at: datetime.datetime | None
    last_error: str | None


class MeetingOut(Out):
    """A meeting, with what was made of it."""

    title: str | None
    fathom_meeting_id: str | None
    user_id: uuid.UUID | None
    crm_connection_id: uuid.UUID | None
    processing_status: ProcessingStatus
    processing_error: str | None
    participants: list[Any]
    ai_summary: str | None
    action_items: list[Any]
    key_points: list[Any]
    sentiment: Sentiment | None
    tokens_used: int
    crm_sync_status: CRMSyncStatus
    crm_note_id: str | None


class AccountOut(Out):
    """What is known of a domain."""

    crm_connection_id: uuid.UUID
    email_domain: str
    crm_account_id: str
    crm_account_name: str | None
    is_verified: bool
    confidence: float
    source: MappingSource
    use_count: int


class LogOut(Out):
    """What was done."""

    event_type: str
    event_category: str
    action_description: str | None
    status: str
    user_id: str | None
    resource_type: str | None
    resource_id: str | None


class Paged(BaseModel):
    """How much of a list this is: *total* counts all that match, *returned* those that are here."""

    total: int
    limit: int
    offset: int
    returned: int


class UsersOut(Paged):
    """A page of users."""

    users: list[UserOut]


class ConnectionsOut(Paged):
    """A page of connections."""

    connections: list[ConnectionOut]


class MeetingsOut(Paged):
    """A page of meetings."""

    meetings: list[MeetingOut]


class AccountsOut(Paged):
    """A page of accounts."""

    accounts: list[AccountOut]


class LogsOut(Paged):
    """A page of what was done."""

    logs: list[LogOut]
