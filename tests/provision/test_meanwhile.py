"""Tenants created while the fleet is being migrated, by processes of the last release and of this one (F11)."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from tenantry.fleet import Fleet
from tenantry.fleet.history import Position

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
