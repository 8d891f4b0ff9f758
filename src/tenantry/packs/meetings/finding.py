"""From a session to the behaviours of its tenancy's meetings."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from tenantry.errors import ConfigurationError, CrossTenant, TenantNotFound
from tenantry.session.core import TenantSession

if TYPE_CHECKING:
    from tenantry.packs.meetings.pack import Meetings

_KEPT: Final = "tenantry_meetings"


def know(pack: Meetings) -> None:
    """Has ``pack_of`` find the meetings of a tenancy as long as that lives."""
    # On the tenancy itself: they lead back to it, so that a weak table would keep both for ever.
    vars(pack.tenancy)[_KEPT] = pack


def pack_of(session: TenantSession) -> Meetings:
    """Returns the meetings of the tenancy that opened the session, those made last.

    Raises: ConfigurationError where none were made.
    """
    found: Meetings | None = vars(session.info["tenancy"]).get(_KEPT)
    if found is None:
        raise ConfigurationError(
            what="Nobody made the meetings of this tenancy, so it has no audit and no limits.",
            fix="Make them right after the Tenancy: meetings = Meetings(tenancy).",
        )
    return found


def of_tenant(session: Session, tenant_id: uuid.UUID, model: Any) -> TenantSession:
    """Returns the session as that of the tenant, which it becomes where it has none yet; *model* is any tenant's.

    Raises: CrossTenant for another tenant than the session's, TenantNotFound.
    """
    if not isinstance(session, TenantSession):
        raise ConfigurationError(what=f"A {type(session).__name__} is no tenant's.", fix="Open tenancy.session(key).")
    if "tenant" not in session.info:
        # Whatever names the tenant binds a session that is not bound yet.
        session.scalars(select(model.tenant_id).where(model.tenant_id == tenant_id).limit(1)).first()
    if "tenant" not in session.info:
        raise TenantNotFound(key=tenant_id)
    if str(session.tenant.id) != str(tenant_id):
        raise CrossTenant(model=model.__name__, tenant=session.tenant.id)
    return session
