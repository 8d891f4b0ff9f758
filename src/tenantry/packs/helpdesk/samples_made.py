"""Companies made up from a seed: believable people and complaints, and none of them real."""

from __future__ import annotations

import datetime
import random
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from tenantry.samples import Row

NAMESPACE: Final = uuid.UUID("5f0cba1e-3f0b-5b0e-9d6b-6f2f6a4a1d11")
SEED: Final = 20_26_11
START: Final = datetime.datetime(2026, 9, 1, 8, tzinfo=datetime.UTC)

COMPANIES: Final = {
    "northwind-bakery": "Northwind Bakery",
    "halden-optics": "Halden Optics",
    "river-and-reed": "River & Reed",
    "kobold-games": "Kobold Games",
    "silverline-freight": "Silverline Freight",
    "ostrava-steel": "Ostrava Steel",
    "bluebird-clinics": "Bluebird Clinics",
    "first-harbour-bank": "First Harbour Bank",
    "maple-school": "Maple School",
    "tandem-bikes": "Tandem Bikes",
    "lumen-studio": "Lumen Studio",
    "pine-street-law": "Pine Street Law",
}
FIRST_NAMES: Final = [
    "Ada",
    "Amir",
    "Anneke",
    "Bao",
    "Carla",
    "Chidi",
    "Dagny",
    "Elif",
    "Emil",
    "Farah",
    "Goran",
    "Hana",
    "Ines",
    "Ivo",
    "Jonas",
    "Kaia",
    "Lars",
    "Lena",
    "Malik",
    "Mei",
    "Nadia",
    "Nils",
    "Olga",
    "Omar",
    "Pia",
    "Priya",
    "Rosa",
    "Sami",
    "Tove",
    "Viktor",
    "Wanda",
    "Yara",
]
LAST_NAMES: Final = [
    "Adeyemi",
    "Bauer",
    "Castillo",
    "Dahl",
    "Egger",
    "Ferrari",
    "Gruber",
    "Haddad",
    "Ivanova",
    "Jansen",
    "Kowalski",
    "Lindqvist",
    "Moreau",
    "Nakamura",
    "Okafor",
    "Petrov",
    "Quist",
    "Rossi",
    "Sato",
    "Tanaka",
    "Ueda",
    "Vogel",
    "Weber",
    "Yilmaz",
    "Zhang",
]
PRODUCTS: Final = (
    "web shop",
    "mobile app",
    "invoice portal",
    "stock list",
    "calendar",
    "sign-in page",
    "label printer",
)
TROUBLES: Final = (
    ("Cannot log in to the {product}", "It says my password is wrong, but I changed it only this morning."),
    ("The {product} is slow", "Since yesterday every page takes half a minute to open."),
    ("Wrong amount in the {product}", "The total is off by exactly one line of the order."),
    ("{product} shows an empty page", "I see the menu and nothing below it, in two browsers."),
    ("How do I export from the {product}?", "Our accountant asks for last quarter as a table."),
    ("Please add a colleague to the {product}", "She starts on Monday and needs the same rights as I have."),
    ("The {product} sends every mail twice", "Our customers have begun to complain about it."),
    ("{product}: attachment refused", "The file has four megabytes, and it worked last week."),
)
ANSWERS: Final = (
    "Thank you, I can see it on our side too. I am looking into it.",
    "Could you tell me when this happened for the first time?",
    "I have put it right. Would you try again, please?",
    "This will be mended in the version of next Tuesday.",
    "I have passed it on to a colleague who knows that part best.",
)
REPLIES: Final = (
    "It happened again just now.",
    "Yes, that works. Thank you for the quick help!",
    "No change, I am afraid.",
    "Around nine in the morning, for all of us.",
    "I will try it tomorrow and tell you.",
)


@dataclass(frozen=True, slots=True)
class Desk:
    """One made-up company with its rows, ready to insert but for the tenant; the same slug gives the same ones."""

    slug: str
    company: dict[str, Any]
    agents: list[Row]
    tickets: list[Row]
    conversations: list[Row]


def make_desk(slug: str, name: str, *, tickets: int) -> Desk:
    """Returns a company with around *tickets* tickets, at least so many and less than twice as many."""
    rng = random.Random(f"{SEED} {slug}")  # noqa: S311  # believable, not secret
    company = {
        "name": name,
        "platform": rng.choice(["freshdesk", "zendesk"]),
        "subscription_plan": rng.choice(["free", "team", "enterprise"]),
        "domain": f"{slug}.example",
    }
    agents = [make_agent(slug, company["platform"], rng, number) for number in range(1, rng.randint(3, 6))]
    made = [
        make_ticket(slug, rng, rng.choice(agents), number) for number in range(1, rng.randint(tickets, 2 * tickets))
    ]
    return Desk(slug, company, agents, made, [line for ticket in made for line in make_conversations(ticket, rng)])


def own_id(*names: object) -> uuid.UUID:
    """Returns the id of a row that is known by names, the same each time."""
    return uuid.uuid5(NAMESPACE, "/".join(map(str, names)))


def make_agent(slug: str, platform: str, rng: random.Random, number: int) -> Row:
    """Returns one of a company's agents."""
    first, last = rng.choice(FIRST_NAMES), rng.choice(LAST_NAMES)
    return {
        "id": own_id(slug, "agent", number),
        "platform": platform,
        "agent_id": f"agent_{number}",
        "name": f"{first} {last}",
        "email": f"{first}.{last}{number}@{slug}.example".lower(),
    }


def make_ticket(slug: str, rng: random.Random, agent: Row, number: int) -> Row:
    """Returns a ticket that an agent has in hand."""
    subject, description = rng.choice(TROUBLES)
    subject = subject.format(product=rng.choice(PRODUCTS))
    at = START + datetime.timedelta(minutes=rng.randrange(80 * 24 * 60))
    return {
        "platform": agent["platform"],
        "ticket_id": f"{number}",
        "subject": subject[0].upper() + subject[1:],
        "description": description,
        "status": rng.choices(["open", "pending", "resolved", "closed"], [3, 2, 3, 6])[0],
        "priority": rng.choices(["low", "medium", "high", "urgent"], [3, 6, 3, 1])[0],
        "requester_email": f"{rng.choice(FIRST_NAMES)}@customer-of-{slug}.example".lower(),
        "agent_id": agent["id"],
        "created_at": at,
        "updated_at": at,
    }


def make_conversations(ticket: Row, rng: random.Random) -> Iterator[Row]:
    """Yields what was said about a ticket, which moves on with it."""
    yield _line(ticket, 1, ticket["description"], "requester")
    for turn in range(2, rng.randint(3, 9)):
        author, words = ("agent", ANSWERS) if turn % 2 == 0 else ("requester", REPLIES)
        ticket["updated_at"] += datetime.timedelta(minutes=rng.randint(4, 600))
        yield _line(ticket, turn, rng.choice(words), author)


def _line(ticket: Row, turn: int, content: Any, author: str) -> Row:
    return {
        "platform": ticket["platform"],
        "conversation_id": f"{ticket['ticket_id']}-{turn}",
        "ticket_id": ticket["ticket_id"],
        "content": content,
        "author_type": author,
        "author_id": ticket["requester_email"] if author == "requester" else None,
        "created_at": ticket["updated_at"],
        "updated_at": ticket["updated_at"],
    }
