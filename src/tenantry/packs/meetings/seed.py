"""The names of the first description: functions that are handed no tenancy, and say of whom they speak, or do not."""

from __future__ import annotations

import dataclasses
import datetime
import logging
import os
import uuid
from collections.abc import Iterator, Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from tenantry import TenantSession
from tenantry.doors import Door
from tenantry.errors import TenantryError
from tenantry.models.columns import utc_now
from tenantry.observe import Health
from tenantry.packs.meetings.base import MeetingsBase
from tenantry.packs.meetings.models import Tenant
from tenantry.packs.meetings.pack import Meetings
from tenantry.packs.meetings.repositories import TenantRepository
from tenantry.packs.meetings.sessions import AccountMapping, MeetingSession, normalise_domain
from tenantry.packs.meetings.workspaces import SLACK_TEAM, slug_of
from tenantry.types import TenantKey

if TYPE_CHECKING:
    from tenantry import AsyncTenantSession

_ECHO: Final = "DATABASE_ECHO"
_TRUE: Final = ("1", "true", "yes", "on")
_SQL: Final = logging.getLogger("sqlalchemy.engine.Engine")


def _slug(record: Tenant) -> str:
    return slug_of(record.slack_team_id)


door: Final = Door(
    "meetings",
    MeetingsBase,
    make=Meetings,
    identities={SLACK_TEAM: "slack_team_id"},
    called="slack_team_name",
    slug=_slug,
)


def get_db(key: TenantKey | None = None) -> AbstractContextManager[TenantSession]:
    """Opens a transaction, committed on leaving: the tenant's that *key* finds, else the request's, else of the first
    workspace that is named in it.

    Raises: TenantRequired for what names no workspace, and as ``tenancy.transaction``.
    """
    _echo()
    return door.transaction(key)


def get_db_async(key: TenantKey | None = None) -> AbstractAsyncContextManager[AsyncTenantSession]:
    """Opens the same, awaited.

    Raises: as ``get_db``.
    """
    _echo()
    return door.aio.transaction(key)


def get_db_dependency() -> Iterator[Session]:
    """Gives a FastAPI route the request's transaction: ``Depends(get_db_dependency, scope="function")``.

    Raises: as ``get_db``.
    """
    with get_db() as session:
        yield session


def check_connection() -> bool:
    """Returns whether the database answers; whatever stands in the way is a no."""
    try:
        return Health(door.tenancy).check_connection()
    except TenantryError:
        return False


def get_database_info() -> Mapping[str, Any]:
    """Returns what the database is and how it is reached, without a password; or why nobody can tell."""
    try:
        return dataclasses.asdict(Health(door.tenancy).get_database_info())
    except TenantryError as error:
        return {"error": str(error)}


def get_tenant_meetings(tenant_id: uuid.UUID, days: int = 30) -> list[MeetingSession]:
    """Returns a workspace's meetings of the last days, fifty at most, the latest first.

    Raises: as ``get_db``.
    """
    since = utc_now() - datetime.timedelta(days=days)
    recent = select(MeetingSession).where(MeetingSession.tenant_id == tenant_id, MeetingSession.created_at >= since)
    with get_db() as session:
        return list(session.scalars(recent.order_by(MeetingSession.created_at.desc()).limit(50)))


def get_user_meetings(
    user_id: uuid.UUID, limit: int = 50, *, tenant_id: uuid.UUID | None = None
) -> list[MeetingSession]:
    """Returns a user's meetings of the last thirty days; outside a request *tenant_id* says whose user it is.

    Raises: as ``get_db``.
    """
    with get_db(tenant_id) as session:
        return MeetingSession.get_user_sessions(session, user_id, limit=limit, days=30)


def find_crm_account(tenant_id: uuid.UUID, email: str) -> AccountMapping | None:
    """Returns the account of an address in the workspace's default CRM, or None: for what is no address, too.

    Raises: as ``get_db``.
    """
    domain = normalise_domain(email)
    with get_db() as session:
        tenant = Tenant.get_by_id(session, tenant_id)
        connection = tenant.get_default_crm_connection(session) if tenant else None
        if connection is None or domain is None or "@" not in email:
            return None
        return AccountMapping.get_by_domain(session, tenant_id, connection.id, domain)


def get_tenant_stats(tenant_id: uuid.UUID) -> Mapping[str, int]:
    """Returns how many users, CRM connections, meetings and account mappings a workspace has.

    Raises: TenantNotFound, and as ``get_db``.
    """
    with get_db(tenant_id) as session:
        return TenantRepository(session).stats()


def close_db() -> None:
    """Forgets the door's tenancy; the next use reads the environment anew."""
    door.reset()


def _echo() -> None:
    wanted = os.environ.get(_ECHO)
    if wanted is not None:
        _SQL.setLevel(logging.INFO if wanted.strip().lower() in _TRUE else logging.WARNING)
