"""The documents in every cell: two organisations with rows of the same names, and sessions of one of them."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

from cells import CELLS, Place
from sqlalchemy.orm import Session

from tenantry.cache.memory import MemoryStore
from tenantry.packs import documents
from tenantry.packs.documents import (
    DocumentRepository,
    Documents,
    DocumentsBase,
    GraphRelationshipRepository,
    TopicRepository,
    User,
)

from .. import ground

MORNING = datetime.datetime(2026, 3, 2, 8, tzinfo=datetime.UTC)

# title, content, status: the later ones are the younger ones.
DOCUMENTS = (
    ("Charter", "What we are for", "published"),
    ("Budget", "100% of what we spend", "published"),
    ("Roadmap", "Where the charter leads", "draft"),
    ("Minutes", "Who said what", "draft"),
    ("Annex", "Nobody refers to this", "archived"),
    ("Island", "On its own", "draft"),
)
# from, type, to. Charter, Budget and Roadmap stand in a circle; two shortest ways lead from Charter to Annex.
LINES = (
    ("Charter", "requires", "Budget"),
    ("Budget", "requires", "Roadmap"),
    ("Roadmap", "requires", "Charter"),
    ("Budget", "replaces", "Minutes"),
    ("Roadmap", "requires", "Minutes"),
    ("Minutes", "requires", "Annex"),
)
TOPICS = {"Money": {"Budget": 0.9, "Charter": 0.2}, "Plans": {"Roadmap": 1.0, "Budget": 0.5}}


# Every cell, and every door at least once; what is awaited runs the same code inside.
DOORS = {
    "postgresql-rows": ("sync", "asyncpg"),
    "postgresql-schema": ("psycopg",),
    "sqlite-file": ("sync", "aiosqlite"),
}
PLACES = [Place(cell, door) for cell in CELLS for door in DOORS.get(cell, ("sync",))]


class Desk(ground.Desk):
    """A session of one organisation."""

    names = documents


class Ground(ground.Ground):
    """In each cell ``acme-<cell>``, whom the tests are, and ``rival-<cell>``, the neighbour."""

    sides = ("acme", "rival")
    door = Desk

    def __init__(self, server: Any, directory: Path) -> None:
        super().__init__(
            server,
            directory,
            DocumentsBase,
            lambda tenancy: Documents(tenancy, store=MemoryStore(max_bytes=1_000_000)),
        )

    def settle(self, place: Place, side: str) -> None:
        tenancy, slug = self.tenancy(place), self.key(place, side)
        tenancy.tenants.create(slug, isolation=CELLS[place.cell], record={"name": side, "slug": side})
        with tenancy.transaction(slug) as session:
            settle(session, side)


def settle(session: Session, side: str) -> None:
    """Writes an organisation's rows."""
    owner = User(email=f"ann@{side}.example", display_name=side)
    session.add(owner)
    session.flush()
    repository, topics = DocumentRepository(session), TopicRepository(session)
    made = {}
    for hour, (title, content, status) in enumerate(DOCUMENTS):
        at = MORNING + datetime.timedelta(hours=hour)
        values = {"title": title, "content": content, "status": status, "source_url": side}
        made[title] = repository.create(values, owner_id=owner.id, created_at=at)
    lines = GraphRelationshipRepository(session)
    for source, kind, target in LINES:
        lines.connect_documents(made[source], made[target], kind)
    for name, about in TOPICS.items():
        topic = topics.create(name=name)
        for title, relevance in about.items():
            topics.assign(made[title].id, topic.id, relevance=relevance)
