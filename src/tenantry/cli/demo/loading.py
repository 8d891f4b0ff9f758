"""Customers' rows brought in, several tenants at a time, then counted and fingerprinted through their own sessions."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import func, select, text

from tenantry import Tenancy, TenantSession
from tenantry.cli.demo.customers import Customer
from tenantry.models import Ownership, owned_tables
from tenantry.packs.helpdesk import Agent, Conversation, HelpdeskBase, Ticket
from tenantry.samples import BATCH, Told, load_all


@dataclass(frozen=True, slots=True)
class Counts:
    """How many rows one tenant has."""

    agents: int
    tickets: int
    conversations: int

    @property
    def total(self) -> int:
        """All of them."""
        return self.agents + self.tickets + self.conversations


def load(tenancy: Tenancy, customers: Sequence[Customer], *, told: Told = lambda _: None) -> None:
    """Inserts every customer's rows, telling *told* how many came in; when interrupted, ends after the open batches."""
    load_all(tenancy, [customer.sample for customer in customers], told=told)


def expected_counts(customer: Customer) -> Counts:
    """Returns how many rows a customer brought."""
    return Counts(len(customer.agents), len(customer.tickets), len(customer.conversations))


def counted(db: TenantSession) -> Counts:
    """Returns how many rows a session sees."""
    found = [db.scalar(select(func.count()).select_from(model)) or 0 for model in (Agent, Ticket, Conversation)]
    return Counts(*found)


def fingerprint(db: TenantSession) -> str:
    """Returns a digest of every row that a session sees, table by table, in the order of their keys."""
    digest = hashlib.blake2b(digest_size=16)
    # PostgreSQL spells a whole row as text much faster than Python does.
    columns = "{0}::text" if db.get_bind().dialect.name == "postgresql" else "{0}.*"
    for table in owned_tables(HelpdeskBase.metadata, Ownership.RECORD, Ownership.TENANT):
        key = ", ".join(column.name for column in table.primary_key)
        whole = text(f"SELECT {columns.format(table.name)} FROM {table.name} ORDER BY {key}")
        digest.update(table.name.encode())
        for row in db.execute(whole, execution_options={"yield_per": BATCH}):
            digest.update(repr(tuple(row)).encode())
    return digest.hexdigest()


def fingerprints(tenancy: Tenancy, customers: Sequence[Customer]) -> Mapping[str, str]:
    """Returns the digest of each customer's rows, by slug, each through its own session."""
    found = {}
    for customer in customers:
        with tenancy.session(customer.slug, read_only=True) as db:
            found[customer.slug] = fingerprint(db)
    return found
