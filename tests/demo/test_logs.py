"""Real logs become customers: an incident a ticket, an event a conversation, and none is lost."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from tenantry.cli.demo.customers import Customer, Place
from tenantry.cli.demo.generated import make_customers
from tenantry.cli.demo.logs import read_customers
from tenantry.errors import ConfigurationError
from tenantry.packs.helpdesk.samples_logs import SOFTWARE, UBUNTU, VOLVO

LOGS = {
    SOFTWARE: """\
case_id,case_name,concept_name,time_timestamp,org_resource
1,Case 1,Assign seriousness,2012-10-09T14:50:17+00:00,Value 1
1,Case 1,Closed,2012-10-10T14:51:01+00:00,Value 2
2,Case 2,Wait,2012-10-12T15:02:56+00:00,Value 2
""",
    VOLVO: """\
case_id,case_name,concept_name,lifecycle_transition,time_timestamp,org_group,org_resource,org_role,\
organization_country,resource_country,organization_involved,impact,product
1,1-36,Accepted,In Progress,2010-03-31T16:59:42+02:00,V30,Frederic,A2_4,fr,France,Org line A2,Medium,PROD582
1,1-36,Completed,Resolved,2010-03-31T17:59:42+02:00,V30,Ida,A2_4,se,Sweden,Org line C,Medium,PROD582
2,1-37,Accepted,In Progress,2010-03-31T16:59:42+02:00,V30,Ida,A2_4,se,Sweden,Org line C,Major,PROD1
3,1-38,Accepted,Wait - User,2010-03-31T16:59:42+02:00,V30,Jan,A2_4,pl,POLAND,Org line C,Low,PROD1
4,1-39,Queued,Awaiting Assignment,2010-03-31T16:59:42+02:00,V30,Kim,A2_4,us,USA,Org line C,High,PROD1
5,1-40,Queued,Awaiting Assignment,2010-03-31T16:59:42+02:00,V30,Kim,A2_4,us,USA,Org line V11,High,PROD1
6,1-41,Queued,Awaiting Assignment,2010-03-31T16:59:42+02:00,V30,Kim,A2_4,us,0,Other,High,PROD1
""",
    UBUNTU: """\
day,line,time,nick,text
2004-11-15,0,12:18,ann,usual
2004-11-15,1,12:19,bob,"ann, top in the list"
2004-11-15,2,12:20,ann,thanks
2018-01-01,0,00:01,ann,"happy ""new"" year"
""",
}


@pytest.fixture
def customers(tmp_path: Path) -> dict[str, Customer]:
    for name, text in LOGS.items():
        (tmp_path / name).write_bytes(gzip.compress(text.encode()))
    return {customer.slug: customer for customer in read_customers(tmp_path)}


def test_twelve_customers_in_every_place(customers: dict[str, Customer]) -> None:
    assert len(customers) == 12
    assert {customer.place for customer in customers.values()} == {*Place}


def test_no_event_is_lost(customers: dict[str, Customer]) -> None:
    events = sum(text.count("\n") - 1 for text in LOGS.values())
    assert sum(len(customer.conversations) for customer in customers.values()) == events


def test_an_incident_stays_with_the_line_that_had_it_first(customers: dict[str, Customer]) -> None:
    found = {slug: [row["ticket_id"] for row in customer.tickets] for slug, customer in customers.items()}
    assert {slug: numbers for slug, numbers in found.items() if slug.startswith("volvo") and numbers} == {
        "volvo-a2": ["1-36"],
        "volvo-c-sweden": ["1-37"],
        "volvo-c-poland": ["1-38"],
        "volvo-c-elsewhere": ["1-39"],
        "volvo-small-lines": ["1-40"],
        "volvo-other": ["1-41"],
    }
    assert [row["ticket_id"] for row in customers["volvo-a2"].conversations] == ["1-36", "1-36"]


def test_the_last_event_tells_state_agent_and_time(customers: dict[str, Customer]) -> None:
    first, second = customers["software-firm"].tickets
    agents = {agent["id"]: agent["name"] for agent in customers["software-firm"].agents}
    assert (first["status"], agents[first["agent_id"]]) == ("closed", "Value 2")
    assert (f"{first['created_at']:%d}", f"{first['updated_at']:%d}") == ("09", "10")
    assert second["status"] == "pending"
    assert customers["volvo-c-sweden"].tickets[0]["priority"] == "urgent"


def test_what_one_person_says_on_one_day_is_one_ticket(customers: dict[str, Customer]) -> None:
    early, late = customers["ubuntu-2004-2006"], customers["ubuntu-2011-2018"]
    assert [row["ticket_id"] for row in early.tickets] == ["2004-11-15 ann", "2004-11-15 bob"]
    assert [row["content"] for row in early.conversations] == ["usual", "ann, top in the list", "thanks"]
    assert late.tickets[0]["subject"] == 'happy "new" year'


def test_a_missing_log_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=SOFTWARE):
        read_customers(tmp_path)


def test_made_up_customers_are_the_same_each_time() -> None:
    def visible(customer: Customer) -> object:
        tickets = [{**row, "agent_id": None} for row in customer.tickets]
        return customer.slug, customer.company, customer.place, tickets, customer.conversations

    assert [visible(one) for one in make_customers(tickets=5)] == [visible(one) for one in make_customers(tickets=5)]
