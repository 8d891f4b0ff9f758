"""Breaking in, judged: what one tenant got when it tried to reach another, place by place."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psycopg
from sqlalchemy import func, select
from sqlalchemy.exc import DBAPIError

from tenantry import Tenancy, TenantSession
from tenantry.cli.demo.customers import FILES, MAIN, Customer, Place
from tenantry.errors import TenantryError
from tenantry.isolation.postgres import PostgresServer
from tenantry.isolation.sqlite import SqliteServer
from tenantry.packs.helpdesk import Agent, Ticket
from tenantry.types import Tenant

# A refusal is one of these; any other exception is a fault of the demo and ends it.
REFUSALS: Final = (TenantryError, DBAPIError, psycopg.Error, sqlite3.Error)
LONGEST_LOOK: Final = 1_000

# Rows that came back, or how many were changed.
Found = Sequence[Any] | int


class GotIn(Exception):
    """The answer itself told something about another tenant."""


@dataclass(frozen=True, slots=True)
class Victim:
    """A tenant whose rows are wanted, and one of its tickets and agents, as its own session loaded them."""

    tenant: Tenant
    ticket: Ticket
    agent: Agent


@dataclass(frozen=True, slots=True)
class Target:
    """What an attempt knows: its own tenant, the victim in the same place, and one victim in every place."""

    tenancy: Tenancy
    place: Place
    intruder: Tenant
    victims: Mapping[Place, Victim]

    @property
    def victim(self) -> Victim:
        """The victim in the intruder's own place."""
        return self.victims[self.place]

    @property
    def words(self) -> Mapping[str, str]:
        """What statements of raw SQL name, spelled as the place's database stores it."""
        theirs = self.victim.tenant
        return {
            "their_id": theirs.id.hex if self.place.server == FILES else str(theirs.id),
            "their_slug": theirs.slug,
            "their_file": str(self.file_of(theirs)),
            "their_schema": self.victims[Place.SCHEMA].tenant.physical,
            "home": theirs.physical if self.place is Place.SCHEMA else "public",
        }

    def file_of(self, tenant: Tenant) -> Path:
        """Returns the SQLite file that holds a tenant's rows, were it on the server with the files."""
        server = self.tenancy.servers.get(FILES)
        assert isinstance(server, SqliteServer)  # noqa: S101  # the demo made it so
        return server.file(tenant.physical) if tenant.server == FILES and tenant.physical else server.common_file

    def app_url(self) -> str:
        """Returns the run-time login's URL of the database that holds the victim's rows."""
        server = self.tenancy.servers.get(MAIN)
        assert isinstance(server, PostgresServer)  # noqa: S101  # the demo made it so
        database = self.victim.tenant.physical if self.place is Place.DATABASE else None
        url = server.url("app", action="Breaking in", database=database).set(drivername="postgresql")
        return url.render_as_string(hide_password=False)


@dataclass(frozen=True, slots=True)
class Route:
    """One way to try, and the places where it makes sense."""

    name: str
    places: Sequence[Place]
    attempt: Callable[[TenantSession, Target], Found]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one route in one place."""

    route: Route
    place: Place
    words: str
    held: bool


def victim_of(tenancy: Tenancy, customer: Customer) -> Victim:
    """Returns a customer as somebody to steal from."""
    with tenancy.session(customer.slug) as db:
        ticket = db.scalars(select(Ticket).order_by(Ticket.id).limit(1)).one()
        return Victim(db.tenant, ticket, db.scalars(select(Agent).order_by(Agent.id).limit(1)).one())


def secrets_of(victims: Sequence[Tenant]) -> frozenset[str]:
    """Returns what no other tenant may ever see: identifiers, names and slugs."""
    return frozenset(
        word
        for tenant in victims
        for word in (str(tenant.id), tenant.id.hex, tenant.physical, tenant.slug, tenant.name)
        if word
    )


def try_route(route: Route, target: Target, *, secrets: frozenset[str]) -> Outcome:
    """Returns what came back when the intruder took *route*; whatever it managed to change is committed."""
    try:
        own = _own_tickets(target)
        with target.tenancy.transaction(target.intruder) as db:
            found = route.attempt(db, target)
    except GotIn as told:
        return Outcome(route, target.place, f"GOT IN: {told}", held=False)
    except REFUSALS as refusal:
        return _refused(route, target, refusal)
    return Outcome(route, target.place, *_judged(found, own, secrets))


def _own_tickets(target: Target) -> int:
    with target.tenancy.session(target.intruder) as db:
        return db.scalar(select(func.count()).select_from(Ticket)) or 0


def _refused(route: Route, target: Target, refusal: Exception) -> Outcome:
    cause = refusal.orig if isinstance(refusal, DBAPIError) else refusal
    if "syntax error" in str(cause):
        return Outcome(route, target.place, f"NOT TRIED: {cause}", held=False)
    return Outcome(route, target.place, f"refused: {type(cause).__name__}", held=True)


def _judged(found: Found, own: int, secrets: frozenset[str]) -> tuple[str, bool]:
    if isinstance(found, int):
        return (f"GOT IN: changed {found} rows", False) if found > own else (_words(found), True)
    shown = [str(row) for row in found[:LONGEST_LOOK]]
    foreign = sum(any(secret in row for secret in secrets) for row in shown)
    return (f"GOT IN: saw {foreign} foreign rows", False) if foreign else (_words(len(found)), True)


def _words(count: int) -> str:
    return "own rows only" if count else "nothing"
