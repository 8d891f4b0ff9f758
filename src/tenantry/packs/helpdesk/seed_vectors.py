"""Objects and their vectors by the name of the document."""

from __future__ import annotations

import asyncio

from sqlalchemy.orm import object_session

from tenantry.errors import RowNotInSession
from tenantry.outbox import Relay
from tenantry.packs.helpdesk.models import Ticket
from tenantry.packs.helpdesk.models_knowledge import IntegratedObject
from tenantry.packs.helpdesk.seed_doors import door
from tenantry.packs.helpdesk.vectors import vector_db
from tenantry.session.core import TenantSession


async def sync_orm_to_vector(ticket: Ticket) -> IntegratedObject:
    """Returns the object of a ticket, committed with the word that it changed; its vector follows, again and again
    until it went through.

    Raises: RowNotInSession; ConfigurationError for a session of another tenancy.
    """
    session = object_session(ticket)
    if not isinstance(session, TenantSession):
        raise RowNotInSession(row=type(ticket).__name__)
    pack = door.pack
    made = pack.objects.integrate(session, ticket)
    session.commit()
    if vector_db.ready:
        await asyncio.to_thread(Relay(pack.outbox).deliver, session.tenant)
    return made
