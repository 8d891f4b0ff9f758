"""Rows with texts, an embedder that needs no model, and what one tenancy has of the room."""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Callable, Sequence

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from tenantry import Tenancy
from tenantry.models import TenantOwned
from tenantry.outbox import Outbox
from tenantry.vectors import Mirror, TableStore, Vectors

DIMENSIONS = 32


class Base(DeclarativeBase):
    pass


class Project(TenantOwned, Base):
    __tablename__ = "projects"

    name: Mapped[str] = mapped_column(String(50))


class Ticket(TenantOwned, Base):
    __tablename__ = "tickets"

    subject: Mapped[str | None] = mapped_column(String(200))
    priority: Mapped[int] = mapped_column(default=1)
    project_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"))


class Step(TenantOwned, Base):
    __tablename__ = "steps"

    ticket: Mapped[str] = mapped_column(String(20), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    text: Mapped[str] = mapped_column(String(100))


class Words:
    """Embeds a text as its words, each thrown at some dimensions: alike are texts that share words."""

    def __init__(self, model: str = "words") -> None:
        self.model = model
        self.dimensions = DIMENSIONS
        self.seen: list[str] = []
        self.before: Callable[[Sequence[str]], None] = lambda _: None

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        self.before(texts)
        self.seen += texts
        return [self.vector(text) for text in texts]

    def vector(self, text: str) -> list[float]:
        made = [0.01] * DIMENSIONS
        for word in re.findall(r"\w+", text.lower()):
            for place in hashlib.sha256(f"{self.model}:{word}".encode()).digest()[:4]:
                made[place % DIMENSIONS] += 1.0
        return made


class Room:
    """The vectors of one tenancy: pgvector's own type where there is one, through its index, and plain bytes."""

    def __init__(self, tenancy: Tenancy) -> None:
        self.tenancy = tenancy
        self.words = Words()
        self.outbox = Outbox(tenancy)
        plain = TableStore(tenancy, "plain_vectors", dimensions=DIMENSIONS, native=False)
        self.by_kind = {
            "exact": Vectors(tenancy, "exact", embedder=self.words),
            "indexed": Vectors(tenancy, "indexed", embedder=self.words, exact_up_to=0),
            "plain": Vectors(tenancy, "plain", embedder=self.words, store=plain),
        }
        self.tickets = Vectors(tenancy, "tickets", embedder=self.words)
        self.mirror = Mirror(self.tickets, self.outbox, Ticket, text=told, metadata=lambda row: {"to": row.priority})
        steps = Vectors(tenancy, "steps", embedder=self.words)
        self.steps = Mirror(steps, self.outbox, Step, text=lambda row: row.text)


def told(row: Ticket) -> str | None:
    return row.subject
