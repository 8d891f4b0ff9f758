"""The two tenants of a world, their same-shaped rows, and the marks by which a foreign row is recognised."""

from __future__ import annotations

import secrets
import uuid
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from sqlalchemy.orm import Session

FOREIGN_NUMBER = 900_000


@dataclass(slots=True)
class Side:
    """One tenant: what an attacker may know of it (ids, addresses), and the secret that only its rows hold."""

    slug: str
    id: uuid.UUID
    first_number: int
    size: int
    canary: str = ""
    tickets: list[uuid.UUID] = field(default_factory=list)
    bugs: list[uuid.UUID] = field(default_factory=list)
    agents: list[uuid.UUID] = field(default_factory=list)
    tags: list[uuid.UUID] = field(default_factory=list)
    comments: list[uuid.UUID] = field(default_factory=list)
    invoices: list[int] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # The slug in front makes B's secret the greater one, for max() and descending order.
        self.canary = f"canary-{self.slug}-{secrets.token_hex(8)}"

    def email(self, number: int = 0) -> str:
        return f"agent{number}@{self.slug}.example"

    def label(self, number: int = 0) -> str:
        return f"label {number} of {self.slug}"


def new_sides() -> tuple[Side, Side]:
    """Returns tenants A and B, with ids but no rows yet."""
    return (
        Side(slug="alfa", id=uuid.uuid4(), first_number=1, size=2),
        Side(slug="bravo", id=uuid.uuid4(), first_number=FOREIGN_NUMBER, size=3),
    )


def plant(
    session: Session, models: SimpleNamespace, side: Side, *, extra: dict[str, Any], twin: uuid.UUID | None = None
) -> None:
    """Adds the rows of *side*: each text holds its canary, each number is at least its first number.

    *twin* is an id that the other tenant's first ticket has; composite keys must keep the two apart.
    """
    size = side.size
    secret = f"{side.canary} "
    agents = [
        models.Agent(
            email=side.email(n), note=f"{secret}note {n}", settings={"secret": f"{secret}setting {n}"}, **extra
        )
        for n in range(size)
    ]
    for report in agents[1:]:
        report.manager = agents[0]
    tags = [models.Tag(label=side.label(n), note=f"{secret}tag {n}", **extra) for n in range(size)]
    tickets = [_ticket(models, side, n, twin=twin if n == size else None, extra=extra) for n in range(size + 1)]
    bug = models.BugTicket(
        subject=f"{secret}bug",
        number=side.first_number + size + 1,
        severity=side.first_number,
        trace=f"{secret}trace",
        details={"secret": f"{secret}detail"},
        **extra,
    )
    for number, ticket in enumerate([*tickets, bug]):
        ticket.company_id = side.id
        ticket.product_code = "desk"
        ticket.agent = agents[number % size]
        ticket.tags.append(tags[number % size])
        ticket.comments.append(models.Comment(body=f"{secret}comment {number}", **extra))
    tickets[1].parent = tickets[0]
    invoices = [models.Invoice(memo=f"{secret}invoice {n}", total=side.first_number + n, **extra) for n in range(size)]
    session.add_all([*agents, *tags, *tickets, bug, *invoices])
    session.flush()
    side.agents = [row.id for row in agents]
    side.tags = [row.id for row in tags]
    side.tickets = [row.id for row in tickets]
    side.bugs = [bug.id]
    side.comments = [comment.id for ticket in [*tickets, bug] for comment in ticket.comments]
    side.invoices = [row.id for row in invoices]
    side.counts = {
        "companies": 1,
        "agents": size,
        "tags": size,
        "tickets": size + 2,
        "bug_tickets": 1,
        "ticket_tags": size + 2,
        "comments": size + 2,
        "invoices": size,
    }


def _ticket(models: SimpleNamespace, side: Side, number: int, *, twin: uuid.UUID | None, extra: dict[str, Any]) -> Any:
    known = {"id": twin} if twin else {}
    return models.Ticket(
        subject=f"{side.canary} ticket {number}",
        number=side.first_number + number,
        details={"secret": f"{side.canary} detail {number}"},
        **known,
        **extra,
    )
