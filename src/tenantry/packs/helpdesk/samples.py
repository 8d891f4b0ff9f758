"""Sample companies: made up, or read out of real help-desk logs; ``tenantry.samples.load`` brings them in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from tenantry.doors import identity_value
from tenantry.packs.helpdesk import samples_logs
from tenantry.packs.helpdesk.models import Agent, Contact, Conversation, Tag, Ticket
from tenantry.packs.helpdesk.models_knowledge import Article, Category, Folder
from tenantry.packs.helpdesk.samples_made import ANSWERS, COMPANIES, START, TROUBLES, make_desk, own_id
from tenantry.packs.helpdesk.seed_config import COMPANY
from tenantry.samples import Row, Sample

# Each ticket is said to by three to eight lines.
_LINES: Final = 6
_TAGS: Final = ("login", "billing", "slow", "question")


def generated(*, tenants: int = 12, rows: int = 200) -> list[Sample]:
    """Returns so many made-up companies with around so many rows each; the same numbers give the same ones."""
    tickets = max(rows // (_LINES + 1), 2)
    return [_sample(slug, name, tickets) for slug, name in _companies(tenants)]


def read(directory: Path) -> list[Sample]:
    """Returns the companies that the logs below *directory* make: a software firm, Volvo's lines, Ubuntu's channel.

    Raises: ConfigurationError when a log is missing.
    """
    return [
        _brought(slug, desk.company, [*desk.agents.values()], [*desk.tickets.values()], desk.conversations)
        for slug, desk in samples_logs.read_desks(directory).items()
    ]


def _companies(count: int) -> Iterator[tuple[str, str]]:
    known = list(COMPANIES.items())
    for number in range(count):
        (slug, name), again = known[number % len(known)], number // len(known)
        yield (f"{slug}-{again + 1}", f"{name} {again + 1}") if again else (slug, name)


def _sample(slug: str, name: str, tickets: int) -> Sample:
    desk = make_desk(slug, name, tickets=tickets)
    more = {**_knowledge(slug, desk.company["platform"], desk.agents), **_people(desk.tickets)}
    return _brought(slug, desk.company, desk.agents, desk.tickets, desk.conversations, more=more)


def _brought(
    slug: str,
    company: Mapping[str, Any],
    agents: Sequence[Row],
    tickets: Sequence[Row],
    conversations: Sequence[Row],
    *,
    more: Mapping[type, Sequence[Row]] | None = None,
) -> Sample:
    return Sample(
        slug,
        company["name"],
        record=company,
        identities=[(COMPANY, identity_value(slug, company["platform"]))],
        rows={Agent: agents, Ticket: tickets, Conversation: conversations, **(more or {})},
    )


def _knowledge(slug: str, platform: str, agents: Sequence[Row]) -> dict[type, Sequence[Row]]:
    category, folder = own_id(slug, "category"), own_id(slug, "folder")
    articles = [
        {
            "platform": platform,
            "article_id": f"{number}",
            "folder_id": folder,
            "title": subject.format(product="web shop"),
            "description": ANSWERS[number % len(ANSWERS)],
            "status": "published",
            "published_at": START,
            "author_id": agents[number % len(agents)]["id"],
        }
        for number, (subject, _) in enumerate(TROUBLES)
    ]
    return {
        Category: [{"id": category, "platform": platform, "name": "General"}],
        Folder: [{"id": folder, "platform": platform, "name": "Questions and answers", "category_id": category}],
        Article: articles,
        Tag: [{"id": own_id(slug, "tag", name), "platform": platform, "name": name} for name in _TAGS],
    }


def _people(tickets: Sequence[Row]) -> dict[type, Sequence[Row]]:
    found = {ticket["requester_email"]: ticket["platform"] for ticket in tickets}
    return {
        Contact: [
            {"platform": platform, "contact_id": mail, "email": mail, "name": mail.partition("@")[0].title()}
            for mail, platform in found.items()
        ]
    }
