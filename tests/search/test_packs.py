"""The packs' own searches go by words where their tenancy has a Search, and stay inside the organisation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy.orm import Session

from tenantry import Tenancy
from tenantry.isolation.searching import SEARCH
from tenantry.packs.documents import Document, DocumentRepository, DocumentsBase, User
from tenantry.packs.helpdesk import Article, HelpdeskBase, Ticket
from tenantry.packs.helpdesk.repositories import TicketRepository
from tenantry.packs.helpdesk.repositories_knowledge import ArticleRepository
from tenantry.search import Search, by_words

from .library import CONFIG


@pytest.fixture
def unmarked() -> Iterator[None]:
    """Leaves the packs' models, which other tests share, as they were."""
    yield
    for model in (Document, Ticket, Article):
        model.__table__.info.pop(SEARCH, None)  # type: ignore[attr-defined]  # a Table


@pytest.mark.parametrize("kind", ["postgresql", pytest.param("sqlite", marks=pytest.mark.soak)])
def test_documents_are_found_by_their_words(postgres: Any, tmp_path: Any, unmarked: None, kind: str) -> None:
    with postgres.lend_database() as server:
        url = server if kind == "postgresql" else f"sqlite:///{tmp_path}"
        tenancy = Tenancy(url, models=DocumentsBase, config=CONFIG if kind == "postgresql" else None)
        plain = Tenancy(url, models=DocumentsBase, config=tenancy.config)
        Search(tenancy, Document, columns=["title", "content"])
        tenancy.install(create_tables=True)
        for slug in ("acme", "rival"):
            tenancy.tenants.create(slug, record={"name": slug})
            with tenancy.transaction(slug) as session:
                write(session, slug)
        with tenancy.session("acme") as session:
            documents = DocumentRepository(session)
            assert [found.title for found in documents.search("printer acme")] == ["acme: Paper for the printer"]
            assert [found.title for found in documents.search("paper", limit=1, offset=2)] == []
            assert len(documents.search("")) == 3
            documents.delete(documents.search("printer acme")[0])
            session.flush()
            assert documents.search("printer acme") == []
        with plain.session("acme") as session:
            # What was made of one tenancy is not another's.
            assert by_words(session, Document, "printer", limit=1) is None
            assert DocumentRepository(session).search("printer acme") == []
        tenancy.close()
        plain.close()


def write(session: Session, slug: str) -> None:
    owner = User(email=f"ann@{slug}.example", username="ann")
    session.add(owner)
    session.flush()
    texts = ("Paper for the printer", "Paper planes", "Owls")
    DocumentRepository(session).bulk_create(
        [{"title": f"{slug}: {text}", "content": "of the house", "owner_id": owner.id} for text in texts]
    )


def test_tickets_and_articles_are_found_by_their_words(postgres: Any, unmarked: None) -> None:
    with postgres.lend_database() as url:
        tenancy = Tenancy(url, models=HelpdeskBase, config=CONFIG)
        searches = [
            Search(tenancy, Ticket, columns=["subject", "description"]),
            Search(tenancy, Article, columns=["title", "description"]),
        ]
        tenancy.install(create_tables=True)
        for slug in ("acme", "rival"):
            tenancy.tenants.create(slug, record={"name": slug, "platform": "freshdesk"})
        with tenancy.session("acme") as session:
            tickets, articles = TicketRepository(session), ArticleRepository(session)
            for number, priority in enumerate(("high", "low")):
                told = {"subject": "the mouse of the computer", "priority": priority, "ticket_id": f"t-{number}"}
                tickets.create_ticket(told)
            wanted = "computer mouse"
            assert len(tickets.search_tickets(wanted)) == 2
            assert [row.ticket_id for row in tickets.search_tickets(wanted, {"priority": ["high"]})] == ["t-0"]
            assert articles.search_articles(wanted) == []
            session.commit()
        with tenancy.session("rival") as session:
            assert TicketRepository(session).search_tickets(wanted) == []
        assert [search.model for search in searches] == [Ticket, Article]
        tenancy.close()
