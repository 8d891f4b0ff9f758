"""Tenants created while the fleet is being migrated, by processes of the last release and of this one (F11); and while
other processes remember who bore their slug."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select

from tenantry.errors import IdentityTaken, TenantExists
from tenantry.fleet import Fleet
from tenantry.fleet.history import Position

from .models import Ticket
from .places import Place, revision_of, write_revision

EACH = 8


def test_who_is_created_during_a_migration_stands_where_its_code_does(own: tuple[Place, str]) -> None:
    place, isolation = own

    def create(release: str) -> None:
        tenancy = tenancies[release]
        for number in range(EACH):
            slug = f"{release}-{number}"
            tenancy.tenants.create(slug, isolation=isolation)

    with place.opened() as old:
        for number in range(EACH):
            old.tenants.create(f"before-{number}", isolation=isolation)
        write_revision(place.scripts, "0002", "0001")
        with place.opened() as new, ThreadPoolExecutor(3) as pool:
            tenancies = {"old": old, "new": new}
            creating = [pool.submit(create, release) for release in tenancies]
            migrating = pool.submit(Fleet(new).upgrade, jobs=2)
            for future in (*creating, migrating):
                future.result(timeout=120)
            touched = {work.home.slug for work in migrating.result().works}
            assert not {f"new-{number}" for number in range(EACH)} & touched
            Fleet(new).upgrade(jobs=2)
            slugs = [tenant.slug for tenant in new.tenants.list()]
            assert {revision_of(new, slug) for slug in slugs} == {"0002"}
            assert len(slugs) == 3 * EACH
            assert {standing.position for standing in Fleet(new).status().homes} == {Position.AT}


def test_a_slug_that_was_given_up_is_nobody_elses_while_processes_remember_it(place: Place) -> None:
    with place.opened(route_ttl=30.0) as tenancy, place.opened() as another:
        old = tenancy.tenants.create("acme")
        younger = tenancy.tenants.create("younger")
        with another.transaction("acme") as session:
            session.add(Ticket(subject="the old one's"))
        tenancy.tenants.rename("acme", "acme-old")
        # Whoever got the slug now would be shown these by the process that remembers it.
        with another.session("acme") as session:
            assert list(session.scalars(select(Ticket.subject))) == ["the old one's"]
        takes = (
            lambda: tenancy.tenants.create("acme"),
            lambda: tenancy.tenants.begin("acme"),
            lambda: tenancy.tenants.rename(younger, "acme"),
        )
        for take in takes:
            with pytest.raises(TenantExists, match="less than"):
                take()
        assert tenancy.tenants.get(younger.id).slug == "younger"
        # Its own it may have again, and what nobody remembers is free.
        assert tenancy.tenants.rename("acme-old", "acme").id == old.id
    with place.opened(route_ttl=0.0) as tenancy:
        tenancy.tenants.rename("younger", "elder")
        assert tenancy.tenants.create("younger").id != younger.id


def test_the_names_of_an_erased_tenant_are_nobody_elses_while_processes_remember_them(place: Place) -> None:
    with place.opened(route_ttl=30.0) as tenancy, place.opened() as another:
        old = tenancy.tenants.create("acme", identities={"host": "acme.example"})
        with another.session(("host", "acme.example")) as session:
            assert session.tenant.id == old.id
        tenancy.tenants.erase("acme", confirm="acme")
        # What that process keeps of the erased one would be shown to whoever got one of the names now.
        takes = (
            lambda: tenancy.tenants.create("acme"),
            lambda: tenancy.tenants.begin("acme"),
        )
        for take in takes:
            with pytest.raises(TenantExists, match="less than"):
                take()
        younger = tenancy.tenants.create("younger")
        for take in (
            lambda: tenancy.tenants.create("third", identities={"host": "acme.example"}),
            lambda: tenancy.tenants.add_identity(younger, "host", "acme.example"),
        ):
            with pytest.raises(IdentityTaken, match="less than"):
                take()
        with pytest.raises(TenantExists):
            tenancy.tenants.rename(younger, "acme")
    with place.opened(route_ttl=0.0) as tenancy:
        tenancy.tenants.erase("younger", confirm="younger")
        assert tenancy.tenants.create("younger", identities={"host": "younger.example"}).id != younger.id
