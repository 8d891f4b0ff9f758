"""The desk's life cycles: steps that follow, steps that do not, what is recorded and who is told, in every cell."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import select

from tenantry.errors import IllegalStep, RecordNotFound, UnknownField
from tenantry.packs.helpdesk import Article, Conversation, Helpdesk, IntegratedObject, SyncJob, Ticket, TicketField

from .cells import CELLS, FEW_PLACES, Desk, Ground, Place, often, often_cells


@pytest.fixture(params=often(FEW_PLACES), ids=str)
def place(request: pytest.FixtureRequest) -> Place:
    return request.param


@pytest.fixture
def helpdesk(desk: Desk) -> Helpdesk:
    return desk.ground.pack(desk.place)


@pytest.mark.ledger("S0-056")
def test_the_life_of_a_ticket(desk: Desk, helpdesk: Helpdesk) -> None:
    def work(session: Any) -> None:
        ticket = helpdesk.tickets.open(session, {"subject": "New", "ticket_id": "n-1"})
        assert ticket.status == "open"
        assert helpdesk.tickets.assign(session, "n-1", "agent_1").agent.agent_id == "agent_1"
        assert helpdesk.tickets.take(session, "n-1", "pending").status == "pending"
        helpdesk.tickets.resolve(session, "n-1")
        assert ticket.resolved_at is not None
        with pytest.raises(IllegalStep):
            helpdesk.tickets.take(session, "n-1", "pending")
        with pytest.raises(IllegalStep):
            helpdesk.tickets.resolve(session, "n-1")
        helpdesk.tickets.close(session, "n-1")
        assert ticket.closed_at is not None
        with pytest.raises(IllegalStep):
            ticket.status = "resolved"
        helpdesk.tickets.reopen(session, "n-1")
        assert (ticket.status, ticket.resolved_at, ticket.closed_at) == ("open", None, None)
        with pytest.raises(RecordNotFound):
            helpdesk.tickets.resolve(session, "t-99")
        with pytest.raises(RecordNotFound):
            helpdesk.tickets.assign(session, "n-1", "agent_99")
        with pytest.raises(UnknownField):
            helpdesk.tickets.change(session, "n-1", {"colour": "red"})

    desk.run(work)


@pytest.mark.ledger("S0-056")
def test_what_is_said_moves_a_ticket(desk: Desk, helpdesk: Helpdesk) -> None:
    def work(session: Any) -> None:
        ticket = session.scalars(select(Ticket).filter_by(ticket_id="t-4")).one()
        assert ticket.status == "closed"
        helpdesk.tickets.say(session, "t-4", "a note", is_private=True)
        assert ticket.first_responded_at is None
        answer = helpdesk.tickets.say(session, "t-4", "an answer", author_id="agent_1")
        assert ticket.first_responded_at == answer.created_at
        assert ticket.status == "closed"
        helpdesk.tickets.say(session, "t-4", "it is back", author_type="requester")
        assert ticket.status == "open"
        helpdesk.tickets.say(session, "t-4", "on it")
        assert ticket.first_responded_at == answer.created_at
        assert [said.content for said in ticket.conversations][-1] == "on it"

    desk.run(work)


@pytest.mark.ledger("S0-056")
def test_tags_are_words_of_the_company(desk: Desk, helpdesk: Helpdesk) -> None:
    def work(session: Any) -> None:
        helpdesk.tickets.tag(session, "t-1", "red", "new", "red")
        helpdesk.tickets.tag(session, "t-1", "new")
        helpdesk.tickets.tag(session, "t-2", "new")

    desk.run(work)
    found = desk.repository("TicketRepository").get_by_tag("new")
    assert [ticket.ticket_id for ticket in found] == ["t-2", "t-1"]


@pytest.mark.ledger("S0-056")
def test_a_hidden_ticket_takes_its_conversations_along_and_brings_them_back(desk: Desk, helpdesk: Helpdesk) -> None:
    def work(session: Any) -> None:
        helpdesk.tickets.delete(session, "t-1")
        assert session.query(Conversation).filter_by(ticket_id="t-1").count() == 0
        with pytest.raises(RecordNotFound):
            helpdesk.tickets.reopen(session, "t-1")
        restored = helpdesk.tickets.restore(session, "t-1")
        assert restored.deleted_at is None
        assert session.query(Conversation).filter_by(ticket_id="t-1").count() == 3

    desk.run(work)


@pytest.mark.ledger("S0-056")
def test_the_life_of_an_article(desk: Desk, helpdesk: Helpdesk) -> None:
    def work(session: Any) -> None:
        article = Article(article_id="a-1", title="How", description="So")
        session.add(article)
        session.flush()
        with pytest.raises(RecordNotFound):
            helpdesk.articles.read(session, "a-1")
        assert helpdesk.articles.publish(session, "a-1").published_at is not None
        helpdesk.articles.read(session, "a-1")
        assert helpdesk.articles.read(session, "a-1").views == 2
        with pytest.raises(IllegalStep):
            helpdesk.articles.publish(session, "a-1")
        helpdesk.articles.archive(session, "a-1")
        with pytest.raises(IllegalStep):
            helpdesk.articles.publish(session, "a-1")
        assert helpdesk.articles.withdraw(session, "a-1").status == "draft"

    desk.run(work)
    assert desk.repository("ArticleRepository").get_published() == []
    assert [found.article_id for found in desk.repository("ArticleRepository").search_articles("how", drafts=True)] == [
        "a-1"
    ]


@pytest.mark.ledger("S0-056")
def test_a_synchronisation_goes_on_where_it_stopped(desk: Desk, helpdesk: Helpdesk) -> None:
    def work(session: Any) -> None:
        jobs = helpdesk.sync_jobs
        job = jobs.start(session, "tickets", total=10)
        jobs.advance(session, job, processed=3, failed=1, cursor="page 2")
        jobs.fail(session, job, "the platform is down")
        assert (job.processed, job.failed, job.cursor, job.error) == (3, 1, "page 2", "the platform is down")
        assert job.finished_at is not None
        jobs.resume(session, job)
        assert (job.cursor, job.error, job.finished_at) == ("page 2", None, None)
        jobs.advance(session, job, processed=6)
        assert (jobs.finish(session, job).processed, job.cursor) == (9, "page 2")
        with pytest.raises(IllegalStep):
            jobs.resume(session, job)
        assert session.query(SyncJob).count() == 1

    desk.run(work)
    assert desk.repository("SyncJobRepository").get_unfinished() == []


@pytest.mark.ledger("S0-056")
def test_an_object_is_written_once_and_its_change_is_told_each_time(desk: Desk, helpdesk: Helpdesk) -> None:
    def work(session: Any) -> None:
        ticket = session.scalars(select(Ticket).filter_by(ticket_id="t-1")).one()
        first = helpdesk.objects.integrate(session, ticket)
        ticket.description = "Solved"
        again = helpdesk.objects.integrate(session, ticket)
        assert again is first
        assert (again.content, again.object_metadata) == ("Solved", {"status": "open", "priority": "high"})
        told = [event.payload for event in helpdesk.outbox.pending(session)]
        assert told == [{"id": "wedosoft_freshdesk_t-1"}] * 2
        assert helpdesk.objects.tell_unsynced(session) == 1
        summary = helpdesk.objects.summarise(session, first.id, "Short", model="m", prompt_tokens=9)
        assert (first.summary, summary.object) == ("Short", first)
        helpdesk.objects.log(session, first, step="embed", status="done")
        assert session.query(IntegratedObject).count() == 1

    desk.run(work)
    objects = desk.repository("IntegratedObjectRepository")
    assert [found.original_id for found in objects.search_objects("short")] == ["t-1"]
    assert len(desk.repository("ProcessingLogRepository").get_by_object("wedosoft_freshdesk_t-1")) == 1


@pytest.mark.ledger("S0-056")
def test_settings_are_read_by_name(desk: Desk) -> None:
    settings = desk.repository("TenantSettingRepository")
    assert settings.get_value("language", "en") == "en"
    settings.set_value("language", "de")
    settings.set_value("language", "fr")
    assert settings.get_value("language") == "fr"


@pytest.mark.ledger("S0-056")
@pytest.mark.parametrize("cell", often_cells())
def test_each_step_is_on_the_record(ground: Ground, cell: str) -> None:
    helpdesk, slug = ground.pack(Place(cell, "sync")), f"recorded-{cell}"
    tenancy = helpdesk.tenancy
    record = {"name": slug, "platform": "freshdesk"}
    tenancy.tenants.create(slug, isolation=CELLS[cell], record=record)
    assert helpdesk.prepare(slug)
    assert not helpdesk.prepare(slug)
    with tenancy.transaction(slug) as session:
        helpdesk.tickets.open(session, {"subject": "New", "ticket_id": "n-1"})
        helpdesk.tickets.resolve(session, "n-1")
        assert session.query(TicketField).count() == 3
    with tenancy.session(slug) as session:
        said = [(entry.event_type, entry.resource_id) for entry in helpdesk.audit.entries(session)]
        assert sorted(said) == [("ticket.opened", "n-1"), ("ticket.resolved", "n-1")]
    tenancy.tenants.erase(slug, confirm=slug)


RACES = [
    pytest.param(cell, marks=() if cell == "postgresql-rows" else pytest.mark.soak)
    for cell in ("postgresql-rows", "postgresql-schema")
]


@pytest.mark.ledger("S0-056")
@pytest.mark.parametrize("cell", RACES)
def test_two_who_store_the_same_object_at_once_both_succeed(ground: Ground, cell: str) -> None:
    helpdesk, slug = ground.pack(Place(cell, "sync")), f"raced-{cell}"
    tenancy = ground.tenancy(Place(cell, "sync"))
    tenancy.tenants.create(slug, isolation=CELLS[cell], record={"name": slug, "platform": "freshdesk"})
    with tenancy.transaction(slug) as session:
        session.add(Ticket(subject="x", ticket_id="t-1"))
    both = threading.Barrier(2, timeout=30)

    def store(_: int) -> str:
        with tenancy.transaction(slug) as session:
            ticket = session.query(Ticket).one()
            session.query(IntegratedObject).all()
            both.wait()
            return helpdesk.objects.integrate(session, ticket).id

    with ThreadPoolExecutor(2) as pool:
        made = {*pool.map(store, range(2))}
    assert len(made) == 1
    with tenancy.session(slug) as session:
        assert session.query(IntegratedObject).count() == 1
    tenancy.tenants.erase(slug, confirm=slug)
