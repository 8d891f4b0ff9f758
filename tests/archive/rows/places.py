"""Places for rows: a cell's tenants, and scratch places like theirs that nobody's catalog knows."""

from __future__ import annotations

import contextlib
import dataclasses
import random
import uuid
from collections.abc import Iterator

from cells import Ground, Place
from sqlalchemy import insert
from sqlalchemy.orm import Session

from tenantry import Tenancy, Tenant
from tenantry.archive.places import Reader, reading, writing
from tenantry.archive.shapes import TableDigest
from tenantry.ids import uuid7

from .models import Company, Counted, Dog, Event, Left, Named, Right, Thing, links
from .values import NAMES, row

Home = tuple[Tenancy, Tenant]


def home(ground: Ground, cell: str, side: str = "near") -> Home:
    """Returns a cell's tenancy and one of its tenants."""
    tenancy = ground.tenancy(Place(cell, "sync"))
    return tenancy, tenancy.tenants.get(f"{side}-{cell}")


@contextlib.contextmanager
def scratch(ground: Ground, cell: str) -> Iterator[Home]:
    """Lends an empty place of a cell's kind."""
    tenancy, like = home(ground, cell)
    strategy = tenancy.servers.strategy(like.server, like.isolation)
    new = uuid7()
    place = dataclasses.replace(like, id=new, slug="scratch", physical=strategy.place(new))
    strategy.create(new)
    try:
        yield tenancy, place
    finally:
        clear((tenancy, place))
        strategy.drop(new, force=True)


def clear(place: Home) -> dict[str, int]:
    """Removes every row of a tenant."""
    with writing(*place) as writer:
        return dict(writer.clear())


def digests(tenancy: Tenancy, tenant: Tenant, as_tenant: uuid.UUID | None = None) -> dict[str, TableDigest]:
    """Returns what each of a tenant's tables amounts to."""
    with reading(tenancy, tenant, as_tenant=as_tenant) as reader:
        return {table.name: reader.digest(table) for table in reader.tables}


def held(reader: Reader) -> dict[str, bytes]:
    """Returns the rows of every table."""
    return {table.name: b"".join(reader.rows(table)) for table in reader.tables}


def fill(session: Session, tenant: Tenant, seed: int, rows: int = 12) -> None:
    """Gives a tenant rows in every table, references of every shape among them."""
    rng = random.Random(seed)
    session.add(Company(name=f"Company {seed}"))
    session.flush()
    things = [Thing(company_id=tenant.id, **row(rng)) for _ in range(rows)]
    session.add_all(things)
    session.flush()
    # Each on the next, and the last on the first: no order of rows meets them all.
    for child, parent in zip(things, [*things[1:], things[0]], strict=True):
        child.parent_id = parent.id
    session.add_all([Counted(text=f"counted {number}") for number in range(rows)])
    session.add_all([Event(text=f"event\t{number}") for number in range(rows)])
    session.add_all([Named(id=name, part=part) for name in NAMES for part in (-1, 0, 10, 9)])
    lefts = [Left() for _ in range(rows)]
    session.add_all(lefts)
    session.flush()
    rights = [Right(left_id=left.id) for left in lefts]
    dogs = [Dog(barks=bool(number % 2)) for number in range(rows)]
    session.add_all([*rights, *dogs])
    session.flush()
    for left, right in zip(lefts, rights, strict=True):
        left.right_id = right.id
    pairs = zip(things, dogs, strict=True)
    rows_of_links = [{"tenant_id": tenant.id, "thing_id": thing.id, "animal_id": dog.id} for thing, dog in pairs]
    session.execute(insert(links), rows_of_links)
