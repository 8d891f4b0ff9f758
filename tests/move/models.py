"""A tenant with everything: hostile values, keys of each kind, parents and children, every behaviour's own tables."""

from __future__ import annotations

import datetime
import uuid
from decimal import Decimal
from typing import Any

from sqlalchemy import Date, Float, ForeignKey, LargeBinary, Numeric, String, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from tenantry import Tenancy, TenantSession
from tenantry.audit import Audit
from tenantry.idempotency import Idempotency
from tenantry.limits import Quota, Quotas
from tenantry.models import AppendOnly, JSONDocument, SoftDelete, TenantOwned, TenantRecord, Timestamps, UTCDateTime
from tenantry.outbox import Outbox
from tenantry.usage import Usage


class Base(DeclarativeBase):
    pass


class Company(TenantRecord, Base):
    __tablename__ = "companies"
    name: Mapped[str]


class Folder(TenantOwned, Timestamps, Base):
    """Stands in folders of its own kind."""

    __tablename__ = "folders"
    name: Mapped[str] = mapped_column(String(80), unique=True)
    parent_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("folders.id"))


class Ticket(TenantOwned, Base):
    """Numbered by the database."""

    __tablename__ = "tickets"
    id: Mapped[int] = mapped_column(primary_key=True)  # type: ignore[assignment]  # another key than the usual one
    folder_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("folders.id"), index=True)
    subject: Mapped[str] = mapped_column(Text)
    mark: Mapped[str | None] = mapped_column(String(40), unique=True)


class Line(AppendOnly, TenantOwned, Base):
    __tablename__ = "lines"
    ticket_id: Mapped[int] = mapped_column(ForeignKey("tickets.id"))
    text: Mapped[str]


class Counter(TenantOwned, Base):
    """What each writer has come to."""

    __tablename__ = "counters"
    name: Mapped[str] = mapped_column(String(40), unique=True)
    n: Mapped[int]


class Page(SoftDelete, TenantOwned, Base):
    __tablename__ = "pages"
    title: Mapped[str]


class Thing(TenantOwned, Base):
    """Named by a text, and of every kind otherwise."""

    __tablename__ = "things"
    id: Mapped[str] = mapped_column(String(200), primary_key=True)  # type: ignore[assignment]  # as above
    price: Mapped[Decimal | None] = mapped_column(Numeric(12, 2))
    weight: Mapped[float | None] = mapped_column(Float)
    big: Mapped[int | None]
    flag: Mapped[bool | None]
    raw: Mapped[bytes | None] = mapped_column(LargeBinary)
    at: Mapped[datetime.datetime | None] = mapped_column(UTCDateTime)
    day: Mapped[datetime.date | None] = mapped_column(Date)
    notes: Mapped[Any | None] = mapped_column(JSONDocument)
    text: Mapped[str | None] = mapped_column(Text)


HOSTILE = [
    "",
    " ",
    "\\N",
    "\\.",
    "a\tb",
    "a\nb",
    "a\rb",
    "\\",
    "\\t",
    "é\u0301",
    "💥",
    "'; DROP TABLE things; --",
    "NULL",
]


class Behaviours:
    """What keeps rows of its own for each tenant."""

    def __init__(self, tenancy: Tenancy) -> None:
        self.audit = Audit(tenancy)
        self.outbox = Outbox(tenancy)
        self.keys = Idempotency(tenancy)
        self.usage = Usage(tenancy, unpriced=True)
        self.quotas = Quotas(tenancy, Quota("folders", Folder, limit=10_000))


def fill(behaviours: Behaviours, session: TenantSession, *, rows: int = 8) -> None:
    """Writes something in every table of a tenant."""
    top = Folder(name="top")
    session.add(top)
    session.flush()
    session.add_all(Folder(name=f"under {number}", parent_id=top.id) for number in range(3))
    tickets = [Ticket(subject=f"{number} {_text(number)}", folder_id=top.id) for number in range(rows)]
    session.add_all(tickets)
    session.flush()
    session.add_all(Line(ticket_id=ticket.id, text=ticket.subject) for ticket in tickets)
    session.add(Counter(name="one", n=1))
    session.add_all([Page(title="here"), Page(title="gone", deleted_at=_MOMENT)])
    session.add_all(things(len(HOSTILE)))
    behaviours.audit.record(session, event_type="filled", category="test", description="as it began")
    behaviours.outbox.add(session, "filled", {"rows": rows, "é": [1, None, 0.1]})
    behaviours.keys.run(session, "once", lambda _: {"answer": 42})
    behaviours.usage.record(session, provider="p", model="m", prompt_tokens=3, cost=Decimal("0.000123"))


_MOMENT = datetime.datetime(2024, 2, 29, 23, 59, 59, 999999, tzinfo=datetime.UTC)


def things(count: int) -> list[Thing]:
    """Returns things, each more awkward than the last."""
    return [
        Thing(
            id=f"{number}:{_text(number)}",
            price=Decimal("12345.60") * (number % 3 - 1),
            weight=[0.1, -0.0, 1e300, 5e-324, 1 / 3][number % 5],
            big=[2**31 - 1, -(2**31), 0, None][number % 4],
            flag=[True, False, None][number % 3],
            raw=[b"", b"\x00\xff\\x", None][number % 3],
            at=_MOMENT if number % 2 else None,
            day=datetime.date(1999, 12, 31),
            notes=[
                {"b": 1, "a": [HOSTILE[number % len(HOSTILE)], None]},
                [],
                None,
                {"n": 1.5, "z": -0.0},
                [0.1, 12345678901234567890],
            ][number % 5],
            text=_text(number),
        )
        for number in range(count)
    ]


def _text(number: int) -> str:
    return HOSTILE[number % len(HOSTILE)]
