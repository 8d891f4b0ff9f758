"""The helpdesk's repositories do what their names say, for one company, in every cell through every door."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from tenantry.errors import InvalidFilter, InvalidPage, UnknownField
from tenantry.packs.helpdesk import Ticket

from .cells import Desk


def numbers(tickets: Iterable[Ticket]) -> list[str]:
    """Returns the tickets' numbers, having made sure that all are this company's."""
    found = [*tickets]
    assert {ticket.source for ticket in found} <= {"wedosoft"}
    return [ticket.ticket_id for ticket in found]


@pytest.fixture
def tickets(desk: Desk) -> Any:
    return desk.repository("TicketRepository")


@pytest.fixture
def conversations(desk: Desk) -> Any:
    return desk.repository("ConversationRepository")


@pytest.mark.ledger("S0-061")
def test_recent_tickets_come_latest_first_and_no_more_than_asked(tickets: Any) -> None:
    assert numbers(tickets.get_recent_tickets()) == ["t-5", "t-4", "t-3", "t-2", "t-1"]
    assert numbers(tickets.get_recent_tickets(limit=2)) == ["t-5", "t-4"]
    with pytest.raises(InvalidPage):
        tickets.get_recent_tickets(limit=-1)


@pytest.mark.ledger("S0-062")
def test_tickets_of_one_priority(tickets: Any) -> None:
    assert numbers(tickets.get_by_priority("high")) == ["t-4", "t-1"]
    assert numbers(tickets.get_by_priority("nonsense")) == []


@pytest.mark.ledger("S0-063")
def test_tickets_of_an_agent_by_the_name_the_platform_gives(tickets: Any) -> None:
    assert numbers(tickets.get_by_agent("agent_1")) == ["t-2", "t-1"]
    assert numbers(tickets.get_by_agent("agent_3")) == []


@pytest.mark.ledger("S0-064")
def test_search_takes_a_value_or_a_list_of_values(tickets: Any) -> None:
    assert numbers(tickets.search_tickets("login issues")) == ["t-4", "t-3", "t-2", "t-1"]
    filters = {"status": "open", "priority": ["high", "urgent"]}
    assert numbers(tickets.search_tickets(query="login issues", filters=filters)) == ["t-2", "t-1"]
    assert numbers(tickets.search_tickets("login issues", {"priority": []})) == []
    assert numbers(tickets.search_tickets("login issues", limit=1)) == ["t-4"]


@pytest.mark.ledger("S0-078")
def test_search_text_stands_for_itself(tickets: Any) -> None:
    assert numbers(tickets.search_tickets("100%")) == ["t-5"]
    assert numbers(tickets.search_tickets("100_")) == []
    assert numbers(tickets.search_tickets("' OR 1=1 --")) == []


@pytest.mark.ledger("S0-010")
def test_search_refuses_filters_that_no_ticket_has(tickets: Any) -> None:
    with pytest.raises(UnknownField, match="no field 'colour'"):
        tickets.search_tickets("login", {"colour": "red"})
    with pytest.raises(InvalidFilter):
        tickets.search_tickets("login", {"status": 7})


@pytest.mark.ledger("S0-065")
def test_create_ticket_fills_in_what_is_missing(desk: Desk, tickets: Any) -> None:
    given = {
        "subject": "Password Reset Request",
        "description": "User needs password reset",
        "requester_email": "user@example.com",
        "priority": "medium",
    }
    made = tickets.create_ticket(given)
    tenant = desk.run(lambda session: session.tenant)
    assert (made.tenant_id, made.company_id, made.platform) == (tenant.id, tenant.id, "freshdesk")
    assert made.status == "open"
    assert made.ticket_id
    assert {name: getattr(made, name) for name in given} == given
    assert tickets.create_ticket({"subject": "Another"}).ticket_id != made.ticket_id


@pytest.mark.ledger("S0-010")
def test_create_ticket_refuses_fields_that_no_ticket_has(tickets: Any) -> None:
    with pytest.raises(UnknownField, match="no field 'colour'"):
        tickets.create_ticket({"subject": "Painting", "colour": "red"})


@pytest.mark.ledger("S0-010")
def test_conversations_of_a_ticket_in_the_order_they_were_said(conversations: Any) -> None:
    found = conversations.get_by_ticket("t-1")
    assert [one.conversation_id for one in found] == ["c-1", "c-2", "c-3"]
    assert {one.author_id for one in found} == {"wedosoft"}
    assert conversations.get_by_ticket("t-5") == []


@pytest.mark.ledger("S0-010")
def test_the_latest_conversation(conversations: Any) -> None:
    assert conversations.get_latest_conversation("t-1").conversation_id == "c-3"
    assert conversations.get_latest_conversation("t-5") is None


@pytest.mark.ledger("S0-010")
def test_search_in_conversations(conversations: Any) -> None:
    assert [one.conversation_id for one in conversations.search_conversations("100")] == ["c-4", "c-3"]
    assert [one.conversation_id for one in conversations.search_conversations("100%")] == ["c-3"]
    assert [one.conversation_id for one in conversations.search_conversations("100", limit=1)] == ["c-4"]


@pytest.mark.ledger("S0-010")
def test_agents_and_the_company(desk: Desk) -> None:
    agents, companies = desk.repository("AgentRepository"), desk.repository("CompanyRepository")
    assert agents.get_by_agent_id("agent_1").name == "agent_1 of wedosoft"
    assert agents.get_by_agent_id("agent_3") is None
    company = companies.get_own()
    assert (company.name, company.platform, company.subscription_plan) == ("wedosoft", "freshdesk", "enterprise")
    assert companies.count() == 1
