"""The helpdesk's tables: defaults, references, cascades and constraints, alike in every cell."""

from __future__ import annotations

import datetime
import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from tenantry.errors import CrossTenant, IllegalStep
from tenantry.models import lint
from tenantry.packs.helpdesk import Agent, Company, Conversation, HelpdeskBase, Ticket

from .cells import CELLS, SYNC_PLACES, Desk, Ground, Place, often, often_cells


@pytest.fixture(params=often(SYNC_PLACES), ids=str)
def place(request: pytest.FixtureRequest) -> Place:
    return request.param


def count(session: Session, model: Any) -> int:
    return session.scalar(select(func.count()).select_from(model)) or 0


@pytest.mark.ledger("S0-003")
def test_the_linter_finds_nothing() -> None:
    assert lint(HelpdeskBase.metadata) == []


@pytest.mark.ledger("S0-079", "S0-084")
def test_every_key_and_index_begins_with_the_tenant() -> None:
    for table in HelpdeskBase.metadata.sorted_tables:
        indexes = [[column.name for column in index.columns] for index in table.indexes]
        assert all(names[0] == "tenant_id" for names in [*indexes, [column.name for column in table.primary_key]])


@pytest.mark.ledger("S0-004", "S0-022", "S0-048", "S0-049", "S0-050")
def test_the_seeds_example(desk: Desk) -> None:
    def work(session: Session) -> None:
        company = session.scalars(select(Company)).one()
        agent = Agent(agent_id="agent_123", name="John Doe", email="john@wedosoft.com", company=company)
        ticket = Ticket(
            ticket_id="ticket_456",
            subject="Login Issues",
            description="User cannot access account",
            status="open",
            priority="high",
            company=company,
            requester_email="user@example.com",
        )
        session.add_all([company, agent, ticket])
        session.flush()
        assert (agent.company_id, agent.platform, agent.role, agent.is_active) == (
            company.id,
            "freshdesk",
            "agent",
            True,
        )
        assert (ticket.company_id, ticket.platform, ticket.custom_fields) == (company.id, "freshdesk", {})
        # The filter that the seed calls critical.
        found = session.query(Ticket).filter(Ticket.company.has(name="wedosoft"), Ticket.platform == "freshdesk")
        assert found.count() == count(session, Ticket) == 6
        assert {*company.tickets} == {*found}

    desk.run(work)


@pytest.mark.ledger("S0-055", "S0-M01")
def test_the_platform_comes_from_the_company_unless_given(desk: Desk) -> None:
    def work(session: Session) -> None:
        own, other = Ticket(subject="own"), Ticket(subject="other", platform="zendesk")
        session.add_all([own, other])
        session.flush()
        assert (own.platform, other.platform) == ("freshdesk", "zendesk")

    desk.run(work)


@pytest.mark.ledger("S0-003")
@pytest.mark.parametrize("cell", often_cells())
def test_a_company_made_with_its_tickets_gives_them_its_platform(ground: Ground, cell: str) -> None:
    slug, tenancy = f"fresh-{cell}", ground.tenancy(Place(cell, "sync"))
    tenancy.tenants.create(slug, isolation=CELLS[cell])
    with tenancy.session(slug) as session:
        company = Company(name="Fresh", platform="zendesk", tickets=[Ticket(subject="first")])
        session.add(company)
        session.flush()
        assert company.id == session.tenant.id
        assert (company.subscription_plan, company.settings, company.is_active) == ("free", {}, True)
        assert company.tickets[0].platform == "zendesk"
    tenancy.tenants.erase(slug, confirm=slug)


@pytest.mark.ledger("S0-054")
def test_rows_as_dictionaries_are_json(desk: Desk) -> None:
    def work(session: Session) -> None:
        for model in (Company, Agent, Ticket, Conversation):
            row = session.scalars(select(model).limit(1)).one()
            assert json.loads(json.dumps(row.to_dict()))["tenant_id"] == str(session.info["tenant"].id)

    desk.run(work)


@pytest.mark.ledger("S0-003")
def test_times_are_aware_and_both_set(desk: Desk) -> None:
    def work(session: Session) -> None:
        ticket = Ticket(subject="when")
        session.add(ticket)
        session.flush()
        assert ticket.created_at == ticket.updated_at
        assert ticket.created_at.utcoffset() == datetime.timedelta(0)

    desk.run(work)


@pytest.mark.ledger("S0-003")
@pytest.mark.parametrize(
    "row",
    [
        lambda: Ticket(subject="x", status="lost"),
        lambda: Ticket(subject="x", priority="whenever"),
        lambda: Ticket(subject=None),
        lambda: Ticket(subject="x", ticket_id="t-1"),
        lambda: Ticket(subject="x", agent_id=uuid.uuid4()),
        lambda: Agent(agent_id="agent_1", name="twice"),
        lambda: Conversation(ticket_id="t-99", platform="freshdesk", content="to nobody"),
        lambda: Conversation(ticket_id="t-1", platform="freshdesk", content="x", author_type="ghost"),
        lambda: Conversation(ticket_id="t-1", platform="freshdesk", content="x", conversation_id="c-1"),
    ],
    ids=[
        "status",
        "priority",
        "subject missing",
        "ticket number taken",
        "agent unknown",
        "agent name taken",
        "ticket unknown",
        "author type",
        "conversation number taken",
    ],
)
def test_what_no_row_may_hold(desk: Desk, row: Callable[[], Any]) -> None:
    def work(session: Session) -> None:
        def add() -> None:
            session.add(row())
            session.flush()

        with pytest.raises((IntegrityError, IllegalStep)):
            add()

    desk.run(work)


@pytest.mark.ledger("S0-046", "S0-076")
def test_the_neighbour_has_the_same_numbers_and_its_own_rows(ground: Ground, desk: Desk) -> None:
    with ground.session(desk.place, "rival") as rival:
        theirs = rival.run(lambda session: session.scalars(select(Ticket).order_by(Ticket.ticket_id)).all())

    def work(session: Session) -> None:
        mine = session.scalars(select(Ticket).order_by(Ticket.ticket_id)).all()
        assert [row.ticket_id for row in mine] == [row.ticket_id for row in theirs]
        assert not {row.id for row in mine} & {row.id for row in theirs}
        assert session.get(Ticket, theirs[0].id) is None
        with pytest.raises(CrossTenant):
            session.add(theirs[0])

    desk.run(work)


@pytest.mark.ledger("S0-051", "S0-M04")
def test_a_conversation_takes_ticket_and_platform_from_the_ticket(desk: Desk) -> None:
    def work(session: Session) -> None:
        ticket = Ticket(subject="talk", platform="zendesk", conversations=[Conversation(content="hello")])
        session.add(ticket)
        session.flush()
        said = ticket.conversations[0]
        assert (said.platform, said.ticket_id, said.author_type) == ("zendesk", ticket.ticket_id, "agent")
        assert (said.is_private, said.attachments) == (False, [])
        assert said.conversation_id

    desk.run(work)


@pytest.mark.ledger("S0-003")
def test_a_ticket_takes_its_conversations_along(desk: Desk) -> None:
    def work(session: Session) -> None:
        session.delete(session.scalars(select(Ticket).filter_by(ticket_id="t-1")).one())
        session.flush()
        assert session.scalars(select(Conversation.conversation_id)).all() == ["c-4"]

    desk.run(work)


@pytest.mark.ledger("S0-003")
def test_a_ticket_outlives_its_agent(desk: Desk) -> None:
    def work(session: Session) -> None:
        session.delete(session.scalars(select(Agent).filter_by(agent_id="agent_1")).one())
        session.flush()
        assert session.scalars(select(Ticket.agent_id).filter_by(ticket_id="t-1")).all() == [None]
        assert count(session, Ticket) == 5

    desk.run(work)


@pytest.mark.ledger("S0-003")
def test_the_company_takes_everything_along_and_nothing_of_the_neighbour(ground: Ground, desk: Desk) -> None:
    def work(session: Session) -> None:
        session.delete(session.scalars(select(Company)).one())
        session.flush()
        assert [count(session, model) for model in (Agent, Ticket, Conversation)] == [0, 0, 0]

    desk.run(work)
    if desk.place.cell.startswith("postgresql"):
        # SQLite has one writer at a time, and this one has not finished.
        with ground.session(desk.place, "rival") as rival:
            assert rival.run(lambda session: count(session, Ticket)) == 5


@pytest.mark.ledger("S0-003")
def test_documents_notice_changes_inside(desk: Desk) -> None:
    def work(session: Session) -> None:
        ticket = session.scalars(select(Ticket).filter_by(ticket_id="t-1")).one()
        ticket.custom_fields["browser"] = "lynx"
        session.flush()
        session.expire(ticket)
        assert ticket.custom_fields == {"browser": "lynx"}

    desk.run(work)
