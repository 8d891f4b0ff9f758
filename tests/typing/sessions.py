"""What the type checkers know about sessions, models and what sessions return; nothing here runs."""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Sequence
from typing import assert_type

from house import Company, Ticket, opened
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from tenantry import AsyncTenantSession, Outcomes, Tenancy, Tenant, TenantSession
from tenantry.session.aio import AsyncBoundSession
from tenantry.session.core import BoundSession


def models(ticket: Ticket, company: Company) -> None:
    assert_type(ticket.id, uuid.UUID)
    assert_type(ticket.tenant_id, uuid.UUID)
    assert_type(ticket.subject, str)
    assert_type(ticket.priority, int | None)
    assert_type(ticket.company_id, uuid.UUID | None)
    assert_type(ticket.company, Company | None)
    assert_type(ticket.created_at, datetime.datetime)
    assert_type(ticket.updated_at, datetime.datetime)
    assert_type(company.id, uuid.UUID)
    assert_type(company.tenant_id, uuid.UUID)
    ticket.id = "7"  # type: ignore[assignment]  # pyright: ignore[reportAttributeAccessIssue]


def sync(tenancy: Tenancy, key: uuid.UUID) -> None:
    with tenancy.session("acme") as db:
        assert_type(db, TenantSession)
        assert_type(db.tenant, Tenant)
        assert_type(db.get(Ticket, key), Ticket | None)
        assert_type(db.get_one(Ticket, key), Ticket)
        assert_type(db.scalars(select(Ticket)).all(), Sequence[Ticket])
        assert_type(db.scalar(select(func.count()).select_from(Ticket)), int | None)
        db.get("tickets", key)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    with tenancy.transaction(("slack_team", "T012"), read_only=True) as db:
        assert_type(db, TenantSession)
    with tenancy.operator("ticket 4711") as across:
        assert_type(across, BoundSession)
    with tenancy.platform() as platform:
        assert_type(platform, BoundSession)
    tenancy.session(7)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def count_of(session: Session, *, priority: int) -> int:
    return session.scalar(select(func.count()).select_from(Ticket).where(Ticket.priority == priority)) or 0


async def awaited(key: uuid.UUID) -> None:
    tenancy = opened()
    async with tenancy.aio.session(key) as db:
        assert_type(db, AsyncTenantSession)
        assert_type(db.tenant, Tenant)
        assert_type(db.sync_session, TenantSession)
        assert_type(await db.get(Ticket, key), Ticket | None)
        assert_type(await db.get_one(Ticket, key), Ticket)
        assert_type(await db.run_sync(count_of, priority=1), int)
        await db.run_sync(count_of, priority="high")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        await db.run_sync(count_of)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    async with tenancy.aio.transaction("acme") as db:
        assert_type(db, AsyncTenantSession)
    async with tenancy.aio.operator("ticket 4711") as across:
        assert_type(across, AsyncBoundSession)
    assert_type(tenancy.each(lambda session: session.tenant.slug), Outcomes)
