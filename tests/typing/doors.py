"""What the type checkers know about doors, samples and whole applications; nothing here runs."""

from __future__ import annotations

import uuid
from typing import assert_type

from fastapi import FastAPI
from house import Base, Company, Ticket, opened

from tenantry import AsyncTenantSession, Tenancy, TenantSession
from tenantry.access import Tokens
from tenantry.doors import Door
from tenantry.repository import AsyncRepository
from tenantry.samples import Sample, load
from tenantry.web import application


class Pack:
    def __init__(self, tenancy: Tenancy) -> None:
        self.tenancy = tenancy


def sync() -> None:
    door = Door("house", Base, make=Pack, identities={"company": "name"})
    assert_type(door.pack, Pack)
    assert_type(door.tenancy, Tenancy)
    with door.session() as db, door.transaction("acme") as other:
        assert_type(db, TenantSession)
        assert_type(other, TenantSession)
    door.session(7)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def awaited(door: Door[Pack]) -> None:
    async with door.aio.session() as db, door.aio.transaction(("company", "Acme")) as other:
        assert_type(db, AsyncTenantSession)
        assert_type(other, AsyncTenantSession)
    found = await AsyncRepository(door.repository_calls(), model=Ticket).query().limit(5).all()
    assert_type(found, list[Ticket])


def samples(agent: uuid.UUID) -> None:
    rows = {Company: [{"id": agent, "name": "x"}], Ticket: [{"id": agent, "subject": "x"}]}
    assert_type(load(opened(), Sample("acme", "Acme", rows=rows)), int)


def applications(tokens: Tokens) -> None:
    assert_type(application(opened(), [], tokens=tokens, title="House"), FastAPI)
    application(opened(), [], title="House")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
