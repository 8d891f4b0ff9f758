"""The seed's own service, which names no tenancy: python service.py TENANT_ID WORKFLOW_ID."""

import asyncio
import sys
import uuid
from datetime import UTC, datetime

from tenantry.packs.incidents import EventRepository, IncidentRepository, close_db, get_session


async def ingest_event(event_data: dict) -> str:
    """Takes an event and counts it on its incident, in one commit."""
    async with get_session() as session:
        event = await EventRepository(session).create(event_data)
        incident = await IncidentRepository(session).create_from_event(event)
        await session.commit()
        return f"{incident.title}: seen {incident.event_count} times"


async def main(tenant_id: uuid.UUID, workflow_id: uuid.UUID) -> None:
    """Reports one failure."""
    event = {
        "tenant_id": tenant_id,
        "workflow_id": workflow_id,
        "event_type": "payment.failed",
        "payload": {"error_code": "card_declined"},
        "idempotency_key": uuid.uuid4().hex,
        "occurred_at": datetime.now(UTC),
    }
    print(await ingest_event(event))
    await close_db()


if __name__ == "__main__":
    asyncio.run(main(*map(uuid.UUID, sys.argv[1:3])))
