"""Seeds run once for a tenant, in their order, whoever crashes between them; the journal knows which have run."""

from __future__ import annotations

import asyncio
from itertools import cycle

import pytest
from sqlalchemy import select

from tenantry import Tenancy, TenantSession, errors

from . import seeds
from .models import Company, Note, Ticket
from .places import Place

NAMES = [f"{seeds.__name__}.{name}" for name in ("welcome", "first_note")]


def rows(tenancy: Tenancy, slug: str) -> tuple[list[str], list[str], list[str]]:
    with tenancy.session(slug) as db:
        read = (select(Company.name), select(Ticket.subject), select(Note.text))
        names, subjects, texts = (list(db.scalars(statement)) for statement in read)
    return names, subjects, texts


def test_a_new_tenant_begins_with_its_seeds(own: tuple[Place, str]) -> None:
    place, isolation = own
    with place.opened(seeds=seeds.ALL) as tenancy:
        for kind in ("rows", isolation):
            tenancy.tenants.create(kind, isolation=kind, record={"name": kind})
            assert rows(tenancy, kind) == ([kind], ["welcome"], ["first"])
            assert tenancy.tenants.seed(kind) == []


def test_later_seeds_come_to_older_tenants_once(place: Place) -> None:
    with place.opened() as before:
        before.tenants.create("acme", isolation="rows", record={"name": "acme"})
    with place.opened(seeds=seeds.ALL) as after:
        assert after.tenants.seed("acme") == NAMES
        assert asyncio.run(after.aio.tenants.seed("acme")) == []
        assert rows(after, "acme") == (["acme"], ["welcome"], ["first"])


# Before the first, behind it, before its note, before the second, behind both.
STEPS = ("create seed", "create .welcome", "seed welcome", "seed first_note", "create activate")


@pytest.mark.mainly("sqlite-database")
def test_seeds_are_there_once_after_a_crash(own: tuple[Place, str]) -> None:
    place, isolation = own
    for step, kind in zip(STEPS, cycle((isolation, "rows")), strict=False):
        slug = step.translate({ord(" "): "-", ord("."): None, ord("_"): None})
        place.run_killed(step, isolation=kind, slug=slug)
        with place.opened(seeds=seeds.ALL) as tenancy:
            tenancy.tenants.create(slug, isolation=kind, record={"name": slug})
            assert rows(tenancy, slug) == ([slug], ["welcome"], ["first"])


def test_a_seed_that_fails_leaves_a_creation_that_can_be_repeated(place: Place) -> None:
    def broken(db: TenantSession) -> None:
        db.add(Ticket(subject="half"))
        db.flush()
        raise RuntimeError("no more")

    with place.opened(seeds=[*seeds.ALL, broken]) as tenancy:
        with pytest.raises(RuntimeError, match="no more"):
            tenancy.tenants.create("acme", isolation="rows")
        with pytest.raises(errors.TenantUnavailable):
            tenancy.session("acme")
    with place.opened(seeds=seeds.ALL) as tenancy:
        tenancy.tenants.create("acme", isolation="rows")
        assert rows(tenancy, "acme") == ([], ["welcome"], ["first"])


def test_an_erased_tenants_successor_is_seeded_too(place: Place) -> None:
    with place.opened(seeds=seeds.ALL, route_ttl=0.0) as tenancy:
        for _ in range(2):
            tenancy.tenants.create("acme", isolation="rows")
            assert rows(tenancy, "acme") == ([], ["welcome"], ["first"])
            tenancy.tenants.erase("acme", confirm="acme")


def test_two_seeds_of_one_name_are_refused(place: Place) -> None:
    with pytest.raises(errors.ConfigurationError, match="welcome"):
        place.tenancy(seeds=[seeds.welcome, seeds.welcome])
