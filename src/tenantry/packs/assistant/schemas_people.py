"""What the assistant's API takes and gives of people and companies."""

import datetime
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field

from tenantry.packs.assistant.schemas import Body, Line, Reply
from tenantry.packs.assistant.words import Explainability, Provider


class Credentials(Body):
    """A username and its password."""

    username: Line = Field(examples=["ann"])
    password: Annotated[str, Field(min_length=1, max_length=1024)] = Field(examples=["correct horse battery"])


class PasswordChange(Credentials):
    """The password that is, and the one that is to be."""

    new_password: Annotated[str, Field(min_length=1, max_length=1024)] = Field(examples=["staple battery horse"])


class Refresh(Body):
    """The refresh token that came with the last pair."""

    refresh_token: Annotated[str, Field(min_length=1, max_length=1024)]


class TokensOut(Reply):
    """A pair of tokens."""

    access_token: str
    refresh_token: str
    token_type: Literal["bearer"] = "bearer"  # noqa: S105  # RFC 6750's word for the kind of token
    expires_at: datetime.datetime


class PersonOut(Reply):
    """Who asks."""

    id: int
    username: str
    company_id: int | None
    role: str | None
    preferred_llm: str
    explainability_level: str
    permissions: Sequence[str]


class UserIn(Body):
    """A user of the company."""

    username: Line = Field(examples=["bob"])
    email: Line = Field(examples=["bob@acme.example"])
    password: Annotated[str, Field(min_length=1, max_length=1024)] = Field(examples=["battery staple horse"])
    role: Line = Field(examples=["analyst"])
    full_name: Line | None = None


class UserChange(Body):
    """What of a user is to change."""

    role: Line | None = None
    is_active: bool | None = None


class UserOut(Reply):
    """A user, without the password."""

    id: int
    username: str
    email: str
    full_name: str | None
    role: str | None
    preferred_llm: str
    explainability_level: str
    has_completed_onboarding: bool
    is_active: bool
    last_login: datetime.datetime | None


class CompanyIn(Body):
    """A new company."""

    name: Line = Field(examples=["Acme Power"])
    industry: Line | None = Field(default=None, examples=["Manufacturing"])


class CompanyOut(Reply):
    """A company."""

    id: int
    name: str
    industry: str | None
    database_name: str
    is_active: bool


class LookIn(Body):
    """Why somebody of the platform looks into a company, as what, and for how long."""

    reason: Line = Field(examples=["ticket 4711"])
    role: Literal["viewer", "analyst", "admin"] = "viewer"
    minutes: Annotated[int, Field(ge=1, le=60)] = 15


class LookOut(Reply):
    """The token to look with."""

    access_token: str
    token_type: Literal["bearer"] = "bearer"  # noqa: S105  # as above


class PreferencesIn(Body):
    """What a user prefers."""

    preferred_llm: Provider | None = None
    explainability_level: Explainability | None = None
