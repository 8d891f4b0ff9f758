"""Seeds of these tests: rows that every tenant begins with."""

from __future__ import annotations

from sqlalchemy import select

from tenantry import TenantSession

from .models import Note, Ticket


def welcome(db: TenantSession) -> None:
    db.add(Ticket(subject="welcome"))


def first_note(db: TenantSession) -> None:
    ticket = db.scalars(select(Ticket)).one()
    db.add(Note(text="first", ticket_id=ticket.id))


ALL = (welcome, first_note)
