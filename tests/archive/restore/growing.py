"""An application at its first revision and at its second, which moves rows from one table to another."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

from sqlalchemy import ForeignKey, String, select
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from tenantry.models import Shared, TenantOwned, TenantRecord


class Old(DeclarativeBase):
    """At revision a1."""


class OldCompany(TenantRecord, Old):
    __tablename__ = "companies"
    name: Mapped[str]


class OldCountry(Shared, Old):
    __tablename__ = "countries"
    code: Mapped[str] = mapped_column(String(2), primary_key=True)


class OldTicket(TenantOwned, Old):
    __tablename__ = "tickets"
    subject: Mapped[str]
    country: Mapped[str | None] = mapped_column(ForeignKey("tenantry_shared.countries.code"))


class OldDraft(TenantOwned, Old):
    """Gone at b2: what it held are notes then."""

    __tablename__ = "drafts"
    ticket_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("tickets.id"))
    body: Mapped[str]


class New(DeclarativeBase):
    """At revision b2."""


class Company(TenantRecord, New):
    __tablename__ = "companies"
    name: Mapped[str]


class Country(Shared, New):
    __tablename__ = "countries"
    code: Mapped[str] = mapped_column(String(2), primary_key=True)
    name: Mapped[str] = mapped_column(String(50), server_default="somewhere")


class Ticket(TenantOwned, New):
    __tablename__ = "tickets"
    subject: Mapped[str]
    country: Mapped[str | None] = mapped_column(ForeignKey("tenantry_shared.countries.code"))
    status: Mapped[str] = mapped_column(String(20), server_default="open")


class Note(TenantOwned, New):
    __tablename__ = "notes"
    ticket_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("tickets.id"))
    body: Mapped[str]


_A1 = """
import sqlalchemy as sa
from alembic import op

revision = "a1"
down_revision = None


def own(name, *columns, **options):
    marks = (sa.Column("tenant_id", sa.Uuid(), nullable=False), sa.Column("id", sa.Uuid(), nullable=False))
    op.create_table(name, *marks, *columns, sa.PrimaryKeyConstraint("tenant_id", "id"), **options)


def upgrade():
    if op.holds("shared"):
        op.create_table("countries", sa.Column("code", sa.String(2), primary_key=True), schema="tenantry_shared")
        op.share("countries")
    own("companies", sa.Column("name", sa.String(), nullable=False),
        sa.CheckConstraint("tenant_id = id", name="ck_companies_record"))
    own("tickets", sa.Column("subject", sa.String(), nullable=False), sa.Column("country", sa.String(2)),
        sa.ForeignKeyConstraint(["country"], ["tenantry_shared.countries.code"], name="fk_tickets_country"))
    own("drafts", sa.Column("ticket_id", sa.Uuid(), nullable=False), sa.Column("body", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id", "ticket_id"], ["tickets.tenant_id", "tickets.id"], name="fk_drafts"))
"""

_B2 = """
import sqlalchemy as sa
from alembic import op

revision = "b2"
down_revision = "a1"


def upgrade():
    if op.holds("shared"):
        op.add_column("countries", sa.Column("name", sa.String(50), nullable=False, server_default="somewhere"),
                      schema="tenantry_shared")
    op.create_table(
        "notes",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("ticket_id", sa.Uuid(), nullable=False),
        sa.Column("body", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "id"),
        sa.ForeignKeyConstraint(["tenant_id", "ticket_id"], ["tickets.tenant_id", "tickets.id"], name="fk_notes"),
    )
    with op.batch_alter_table("tickets") as tickets:
        tickets.add_column(sa.Column("status", sa.String(20), nullable=False, server_default="open"))
    op.data("INSERT INTO notes (tenant_id, id, ticket_id, body) SELECT tenant_id, id, ticket_id, body FROM drafts")
    op.data("UPDATE tickets SET status = 'drafted' WHERE EXISTS (SELECT 1 FROM drafts WHERE ticket_id = tickets.id)")
    op.drop_table("drafts")
"""


def write_history(directory: Path, *names: str) -> str:
    """Returns a directory of migrations with these revisions."""
    versions = directory / "versions"
    versions.mkdir(parents=True)
    for name in names:
        (versions / f"{name}.py").write_text({"a1": _A1, "b2": _B2}[name])
    return str(directory)


def fill_old(db: Any, tenant: uuid.UUID) -> None:
    """Gives a tenant of the first revision its rows."""
    tickets = [OldTicket(subject=f"ticket {number}", country="CH" if number % 2 else None) for number in range(6)]
    db.add(OldCompany(id=tenant, name="old"))
    db.add_all(tickets)
    db.flush()
    db.add_all(OldDraft(ticket_id=ticket.id, body=f"draft of {ticket.subject}") for ticket in tickets[:3])


def dump_new(db: Any, tenant: uuid.UUID) -> list[Any]:
    """Returns what a tenant has at the second revision, its own id left out."""
    found = []
    for model in (Company, Ticket, Note):
        rows = db.execute(select(*model.__table__.columns).order_by(model.__table__.c.id)).all()
        found.append([[None if value == tenant else value for value in row] for row in rows])
    return found
