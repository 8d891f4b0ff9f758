"""What the type checkers know about repositories and queries of both doors; nothing here runs."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import assert_type

from house import AsyncCountries, AsyncTickets, Base, Countries, Country, Ticket, Tickets
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from tenantry import AsyncTenantSession, TenantSession
from tenantry.repository import AsyncQuery, AsyncRepository, Page, Query, Repository, Slice


def reads(db: TenantSession, key: uuid.UUID) -> None:
    tickets = Tickets(db)
    assert_type(tickets.model, type[Ticket])
    assert_type(tickets.session, Session)
    assert_type(tickets.get(key), Ticket | None)
    assert_type(tickets.get_one(str(key)), Ticket)
    assert_type(tickets.find(subject="x"), Ticket | None)
    assert_type(tickets.one(Ticket.priority > 3, subject="x"), Ticket)
    assert_type(tickets.list(order_by="-created_at", limit=10, status=["open"]), list[Ticket])
    assert_type(tickets.list(order_by=[Ticket.priority, Ticket.subject.desc(), "id"]), list[Ticket])
    assert_type(tickets.exists(Ticket.company.has()), bool)
    assert_type(tickets.count(), int)
    assert_type(tickets.stream(batch=100), Iterator[Ticket])
    for ticket in tickets.stream():
        assert_type(ticket, Ticket)
    assert_type(Countries(db).get("it"), Country | None)
    assert_type(Repository(db, model=Ticket).get(key), Ticket | None)


def pages(db: TenantSession) -> None:
    page = Tickets(db).page(2, size=20)
    assert_type(page, Page[Ticket])
    assert_type(page[0], Ticket)
    assert_type(page[1:], Sequence[Ticket])
    assert_type([ticket.subject for ticket in page], list[str])
    assert_type((page.total, page.number, page.size, page.pages), tuple[int, int, int, int])
    part = Tickets(db).keyset(after=None, limit=20, order_by="-created_at")
    assert_type(part, Slice[Ticket])
    assert_type(part.items, Sequence[Ticket])
    assert_type(part.next, str | None)


def writes(db: TenantSession, key: uuid.UUID, ticket: Ticket) -> None:
    tickets = Tickets(db)
    assert_type(tickets.create(ticket), Ticket)
    assert_type(tickets.create({"subject": "x"}, priority=1), Ticket)
    assert_type(tickets.create(subject="x"), Ticket)
    assert_type(tickets.bulk_create([ticket, {"subject": "x"}]), list[Ticket])
    assert_type(tickets.update(key, subject="y"), Ticket)
    assert_type(tickets.update(ticket, subject="y"), Ticket)
    assert_type(tickets.upsert({"id": key, "subject": "x"}, key=["id"]), Ticket)
    tickets.delete(ticket)
    tickets.delete(key)


def queries(db: TenantSession) -> None:
    query = Tickets(db).query()
    assert_type(query, Query[Ticket])
    query = query.where(Ticket.priority > 3).filter(Ticket.company.has()).filter_by(subject="x")
    query = query.search("100%", ["subject", Ticket.subject]).order_by("-priority", Ticket.subject).limit(5).offset(5)
    assert_type(query, Query[Ticket])
    assert_type(query.all(), list[Ticket])
    assert_type(query.first(), Ticket | None)
    assert_type(query.one(), Ticket)
    assert_type(query.count(), int)
    assert_type(query.exists(), bool)
    assert_type(query.page(1), Page[Ticket])
    assert_type(query.keyset(), Slice[Ticket])
    assert_type(query.stream(), Iterator[Ticket])


async def awaited(db: AsyncTenantSession, key: uuid.UUID, ticket: Ticket) -> None:
    tickets = AsyncTickets(db)
    assert_type(tickets.model, type[Ticket])
    assert_type(tickets.session, AsyncSession)
    assert_type(await tickets.get(key), Ticket | None)
    assert_type(await tickets.get_one(key), Ticket)
    assert_type(await tickets.find(subject="x"), Ticket | None)
    assert_type(await tickets.one(Ticket.priority > 3), Ticket)
    assert_type(await tickets.list(order_by="-created_at", limit=10), list[Ticket])
    assert_type(await tickets.exists(), bool)
    assert_type(await tickets.count(), int)
    assert_type(await tickets.page(2), Page[Ticket])
    assert_type(await tickets.keyset(), Slice[Ticket])
    assert_type(await tickets.create(subject="x"), Ticket)
    assert_type(await tickets.bulk_create([ticket]), list[Ticket])
    assert_type(await tickets.update(ticket, subject="y"), Ticket)
    assert_type(await tickets.upsert({"id": key, "subject": "x"}, key=["id"]), Ticket)
    await tickets.delete(ticket)
    assert_type(tickets.stream(), AsyncIterator[Ticket])
    async for one in tickets.query().order_by("id").stream():
        assert_type(one, Ticket)
    query = tickets.query().where(Ticket.priority > 3).filter_by(subject="x").limit(5)
    assert_type(query, AsyncQuery[Ticket])
    assert_type(await query.all(), list[Ticket])
    assert_type(await query.first(), Ticket | None)
    assert_type(await query.one(), Ticket)
    assert_type(await query.count(), int)
    assert_type(await query.exists(), bool)
    assert_type(await AsyncCountries(db).get("it"), Country | None)
    assert_type(await AsyncRepository(db, model=Ticket).get(key), Ticket | None)


def mistakes(db: TenantSession, tickets: Tickets, country: Country) -> None:
    tickets.get(1.5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    tickets.find("subject = 'x'")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    tickets.list(limit="10")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    tickets.create(country)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    tickets.update(country)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    tickets.query().search("x", [3])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
    tickets.upsert({"id": 1})  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    Countries(db).create(name="x")  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
    Tickets(Base)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def awaited_mistakes(db: AsyncTenantSession, tickets: AsyncTickets, country: Country) -> None:
    await tickets.create(country)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await tickets.list(limit="10")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    (await tickets.find()).to_dict()  # type: ignore[union-attr]  # pyright: ignore[reportOptionalMemberAccess]
    Tickets(db)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
