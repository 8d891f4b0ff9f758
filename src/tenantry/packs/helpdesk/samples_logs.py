"""Real help-desk logs, read into companies: an incident is a ticket, each of its events a conversation."""

from __future__ import annotations

import csv
import datetime
import gzip
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from tenantry.errors import ConfigurationError
from tenantry.packs.helpdesk.samples_made import own_id
from tenantry.samples import Row

Event = dict[str, str]

SOFTWARE: Final = "helpdesk_events.csv.gz"
VOLVO: Final = "volvo_incidents_bpic2013.csv.gz"
UBUNTU: Final = "ubuntu_irc.csv.gz"

SOFTWARE_FIRM: Final = "software-firm"
VOLVO_LINES: Final = (
    "volvo-c-sweden",
    "volvo-c-poland",
    "volvo-c-brazil",
    "volvo-c-elsewhere",
    "volvo-a2",
    "volvo-b",
    "volvo-other",
    "volvo-small-lines",
)
UBUNTU_YEARS: Final = ("ubuntu-2004-2006", "ubuntu-2007-2010", "ubuntu-2011-2018")
STATES: Final = {
    "Closed": "closed",
    "Cancelled": "closed",
    "Resolved": "resolved",
    "Resolve ticket": "resolved",
    "In Call": "resolved",
    "Wait": "pending",
    "Wait - User": "pending",
    "Wait - Vendor": "pending",
    "Wait - Customer": "pending",
    "Wait - Implementation": "pending",
}
IMPACTS: Final = {"Low": "low", "Medium": "medium", "High": "high", "Major": "urgent"}
REGULARS: Final = 12


def read_desks(directory: Path) -> dict[str, Desk]:
    """Returns the twelve companies that the logs in *directory* make, by slug.

    Raises: ConfigurationError when a log is missing.
    """
    return {
        **_software(_events(directory, SOFTWARE)),
        **_volvo(_events(directory, VOLVO)),
        **_ubuntu(_events(directory, UBUNTU)),
    }


def _events(directory: Path, name: str) -> Iterator[Event]:
    path = next((found for found in (directory / "helpdesk" / name, directory / name) if found.is_file()), None)
    if path is None:
        raise ConfigurationError(
            what=f"{directory} has no {name}, neither itself nor in helpdesk/.",
            fix="Give --data the directory of the logs, or leave it out for generated data.",
        )
    with gzip.open(path, "rt", encoding="utf-8", newline="") as lines:
        yield from csv.DictReader(lines)


class Desk:
    """One company's rows while its events come in."""

    def __init__(self, slug: str, platform: str) -> None:
        self.slug = slug
        self.platform = platform
        self.agents: dict[str, Row] = {}
        self.tickets: dict[str, Row] = {}
        self.conversations: list[Row] = []

    @property
    def company(self) -> dict[str, Any]:
        """The company's own row."""
        return {
            "name": self.slug.replace("-", " ").title(),
            "platform": self.platform,
            "subscription_plan": "enterprise",
        }

    def agent(self, name: str) -> Row:
        """Returns the agent of that name, made when new."""
        if name not in self.agents:
            self.agents[name] = {
                "id": own_id(self.slug, "agent", name),
                "platform": self.platform,
                "agent_id": name,
                "name": name,
            }
        return self.agents[name]

    def ticket(self, number: str, at: datetime.datetime, **columns: Any) -> Row:
        """Returns the ticket of that number, made when new, and moved on to *at*."""
        if number not in self.tickets:
            self.tickets[number] = {
                "platform": self.platform,
                "ticket_id": number,
                "status": "open",
                "priority": "medium",
                "agent_id": None,
                "created_at": at,
                **columns,
            }
        ticket = self.tickets[number]
        ticket["updated_at"] = at
        return ticket

    def say(self, number: str, at: datetime.datetime, *, content: str, author: str, kind: str = "agent") -> None:
        """Adds what was said about a ticket."""
        self.conversations.append(
            {
                "platform": self.platform,
                "conversation_id": f"{len(self.conversations) + 1}",
                "ticket_id": number,
                "content": content,
                "author_type": kind,
                "author_id": author,
                "created_at": at,
                "updated_at": at,
            }
        )


def _software(events: Iterable[Event]) -> dict[str, Desk]:
    desk = Desk(SOFTWARE_FIRM, "helpdesk")
    for event in events:
        at, activity = datetime.datetime.fromisoformat(event["time_timestamp"]), event["concept_name"]
        number, agent = event["case_name"], desk.agent(event["org_resource"])
        ticket = desk.ticket(number, at, subject=f"{number}: {activity}", source="help desk")
        ticket |= {"status": STATES.get(activity, "open"), "agent_id": agent["id"]}
        desk.say(number, at, content=activity, author=agent["agent_id"])
    return {SOFTWARE_FIRM: desk}


def _volvo(events: Iterable[Event]) -> dict[str, Desk]:
    desks = {slug: Desk(slug, "vinst") for slug in VOLVO_LINES}
    owners: dict[str, str] = {}
    for event in events:
        slug = owners.setdefault(event["case_name"], _line_of(event))
        _add_incident_event(desks[slug], event)
    return desks


def _line_of(event: Event) -> str:
    """An incident belongs to the organisation line that had it first; the largest line is told apart by country."""
    line, country = event["organization_involved"].removeprefix("Org line ").lower(), event["resource_country"].lower()
    if line == "c":
        return f"volvo-c-{country}" if f"volvo-c-{country}" in VOLVO_LINES else "volvo-c-elsewhere"
    return f"volvo-{line}" if f"volvo-{line}" in VOLVO_LINES else "volvo-small-lines"


def _add_incident_event(desk: Desk, event: Event) -> None:
    at, state = datetime.datetime.fromisoformat(event["time_timestamp"]), event["lifecycle_transition"]
    number, agent = event["case_name"], desk.agent(event["org_resource"])
    subject = f"{event['product']}: {event['impact'].lower()} impact"
    ticket = desk.ticket(number, at, subject=subject, source="vinst")
    ticket |= {"status": STATES.get(state, "open"), "priority": IMPACTS[event["impact"]], "agent_id": agent["id"]}
    content = f"{event['concept_name']}, {state}, by {event['org_group']}"
    desk.say(number, at, content=content, author=agent["agent_id"])


def _ubuntu(events: Iterable[Event]) -> dict[str, Desk]:
    desks = {slug: Desk(slug, "irc") for slug in UBUNTU_YEARS}
    talkers: dict[str, Counter[str]] = {slug: Counter() for slug in UBUNTU_YEARS}
    for event in events:
        slug = _years_of(event["day"])
        talkers[slug][event["nick"]] += 1
        _add_message(desks[slug], event)
    for slug, desk in desks.items():
        for nick, _ in talkers[slug].most_common(REGULARS):
            desk.agent(nick)
    return desks


def _years_of(day: str) -> str:
    return next(slug for slug in UBUNTU_YEARS if slug[7:11] <= day[:4] <= slug[12:16])


def _add_message(desk: Desk, event: Event) -> None:
    at = datetime.datetime.fromisoformat(f"{event['day']}T{event['time']}+00:00")
    # What one person asked on one day is one ticket.
    number, text = f"{event['day']} {event['nick']}", event["text"]
    desk.ticket(number, at, subject=text, source="irc", status="closed")
    desk.say(number, at, content=text, author=event["nick"], kind="requester")
