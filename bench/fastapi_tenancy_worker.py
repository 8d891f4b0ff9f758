"""Runs in the peer's own environment: fastapi-tenancy's session doing the benchmark's work, turn by turn."""

from __future__ import annotations

import asyncio
import json
import sys
import time
import uuid

from fastapi_tenancy.core.config import TenancyConfig
from fastapi_tenancy.core.types import Tenant
from fastapi_tenancy.isolation.rls import RLSIsolationProvider
from sqlalchemy import select
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


class Ticket(Base):
    __tablename__ = "peer_tickets"
    tenant_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    subject: Mapped[str]
    status: Mapped[str]
    number: Mapped[int]


async def get(session, tenant, turn):
    return await session.get(Ticket, (tenant, uuid.UUID(int=turn % 500)))


async def key(session, tenant, turn):
    found = select(Ticket).where(Ticket.tenant_id == tenant, Ticket.id == uuid.UUID(int=turn % 500))
    return (await session.scalars(found)).one()


async def listing(session, tenant, _):
    found = select(Ticket).where(Ticket.tenant_id == tenant).order_by(Ticket.id).limit(50)
    return (await session.scalars(found)).all()


async def insertion(session, tenant, turn):
    session.add(Ticket(tenant_id=tenant, subject="New", status="open", number=turn))
    await session.commit()


WORK = {
    "read by key (session.get)": get,
    "read by key (select)": key,
    "list of 50": listing,
    "insert and commit": insertion,
}


async def answer(provider, tenant, request):
    work, seconds = WORK[request["work"]], []
    for turn in range(request["start"], request["start"] + request["turns"]):
        begun = time.perf_counter()
        async with provider.get_session(tenant) as session:
            await work(session, uuid.UUID(tenant.id), turn)
        seconds.append(time.perf_counter() - begun)
    return seconds


async def main(url: str, identifier: str) -> None:
    engine = create_async_engine(url, connect_args={"options": "-c search_path=public"})
    config = TenancyConfig(
        database_url=url, isolation_strategy="rls", resolution_strategy="header", cache_enabled=False
    )
    provider = RLSIsolationProvider(config, engine)
    tenant = Tenant(id=identifier, identifier="common", name="Common")
    while line := await asyncio.to_thread(sys.stdin.readline):
        print(json.dumps(await answer(provider, tenant, json.loads(line))), flush=True)
    await engine.dispose()


asyncio.run(main(*sys.argv[1:]))
