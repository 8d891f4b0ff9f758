"""Customers made up from a seed, and those who try to break in on them."""

from __future__ import annotations

import random
from typing import Final

from tenantry.cli.demo.customers import Customer, Place
from tenantry.packs.helpdesk.samples_made import (
    COMPANIES,
    SEED,
    make_agent,
    make_conversations,
    make_desk,
    make_ticket,
)

PLACES: Final = {
    "northwind-bakery": Place.ROWS,
    "halden-optics": Place.ROWS,
    "river-and-reed": Place.ROWS,
    "kobold-games": Place.ROWS,
    "silverline-freight": Place.SCHEMA,
    "ostrava-steel": Place.SCHEMA,
    "bluebird-clinics": Place.DATABASE,
    "first-harbour-bank": Place.DATABASE,
    "maple-school": Place.SQLITE_ROWS,
    "tandem-bikes": Place.SQLITE_ROWS,
    "lumen-studio": Place.SQLITE_FILE,
    "pine-street-law": Place.SQLITE_FILE,
}


def make_customers(*, tickets: int) -> list[Customer]:
    """Returns twelve customers with around *tickets* tickets each; the same number gives the same ones."""
    desks = (make_desk(slug, name, tickets=tickets) for slug, name in COMPANIES.items())
    return [
        Customer(desk.slug, desk.company, PLACES[desk.slug], desk.agents, desk.tickets, desk.conversations)
        for desk in desks
    ]


def make_intruders() -> list[Customer]:
    """Returns one small customer for each place, who will try to reach the others."""
    return [_intruder(place) for place in Place]


def _intruder(place: Place) -> Customer:
    rng = random.Random(f"{SEED} {place.name}")  # noqa: S311  # believable, not secret
    slug = f"mallory-{place.name.replace('_', '-').lower()}"
    company = {"name": f"Mallory & Co. ({place.name})", "platform": "mail", "subscription_plan": "free"}
    agent = make_agent(slug, "mail", rng, 1)
    made = [make_ticket(slug, rng, agent, number) for number in range(1, 4)]
    return Customer(
        slug, company, place, [agent], made, [line for ticket in made for line in make_conversations(ticket, rng)]
    )
