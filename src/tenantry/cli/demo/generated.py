"""Customers made up from a seed: believable companies, people and complaints, and none of them real."""

from __future__ import annotations

import datetime
import random
from collections.abc import Iterator
from typing import Any, Final

from tenantry.cli.demo.customers import Customer, Place
from tenantry.ids import uuid7
from tenantry.samples import Row

SEED: Final = 20_26_11
START: Final = datetime.datetime(2026, 9, 1, 8, tzinfo=datetime.UTC)

COMPANIES: Final = {
    "northwind-bakery": ("Northwind Bakery", Place.ROWS),
    "halden-optics": ("Halden Optics", Place.ROWS),
    "river-and-reed": ("River & Reed", Place.ROWS),
    "kobold-games": ("Kobold Games", Place.ROWS),
    "silverline-freight": ("Silverline Freight", Place.SCHEMA),
    "ostrava-steel": ("Ostrava Steel", Place.SCHEMA),
    "bluebird-clinics": ("Bluebird Clinics", Place.DATABASE),
    "first-harbour-bank": ("First Harbour Bank", Place.DATABASE),
    "maple-school": ("Maple School", Place.SQLITE_ROWS),
    "tandem-bikes": ("Tandem Bikes", Place.SQLITE_ROWS),
    "lumen-studio": ("Lumen Studio", Place.SQLITE_FILE),
    "pine-street-law": ("Pine Street Law", Place.SQLITE_FILE),
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


def make_customers(*, tickets: int) -> list[Customer]:
    """Returns twelve customers with around *tickets* tickets each; the same number gives the same ones."""
    return [
        _customer(slug, name, place, random.Random(f"{SEED} {slug}"), tickets)  # noqa: S311  # believable, not secret
        for slug, (name, place) in COMPANIES.items()
    ]


def _customer(slug: str, name: str, place: Place, rng: random.Random, tickets: int) -> Customer:
    company = {
        "name": name,
        "platform": rng.choice(["freshdesk", "zendesk"]),
        "subscription_plan": rng.choice(["free", "team", "enterprise"]),
        "domain": f"{slug}.example",
    }
    agents = [_agent(slug, company["platform"], rng, number) for number in range(1, rng.randint(3, 6))]
    made = [_ticket(slug, rng, rng.choice(agents), number) for number in range(1, rng.randint(tickets, 2 * tickets))]
    spoken = [line for ticket in made for line in _conversations(ticket, rng)]
    return Customer(slug, company, place, agents, made, spoken)


def _agent(slug: str, platform: str, rng: random.Random, number: int) -> Row:
    first, last = rng.choice(FIRST_NAMES), rng.choice(LAST_NAMES)
    return {
        "id": uuid7(),
        "platform": platform,
        "agent_id": f"agent_{number}",
        "name": f"{first} {last}",
        "email": f"{first}.{last}{number}@{slug}.example".lower(),
    }


def _ticket(slug: str, rng: random.Random, agent: Row, number: int) -> Row:
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


def _conversations(ticket: Row, rng: random.Random) -> Iterator[Row]:
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


def make_intruders() -> list[Customer]:
    """Returns one small customer for each place, who will try to reach the others."""
    return [_intruder(place) for place in Place]


def _intruder(place: Place) -> Customer:
    rng = random.Random(f"{SEED} {place.name}")  # noqa: S311  # believable, not secret
    slug = f"mallory-{place.name.replace('_', '-').lower()}"
    company = {"name": f"Mallory & Co. ({place.name})", "platform": "mail", "subscription_plan": "free"}
    agent = _agent(slug, "mail", rng, 1)
    made = [_ticket(slug, rng, agent, number) for number in range(1, 4)]
    return Customer(
        slug, company, place, [agent], made, [line for ticket in made for line in _conversations(ticket, rng)]
    )
