"""Placements kept ready: taken by one transaction of the catalog, by one tenant each, at the head of its process."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import insert, select

from tenantry import Tenancy, errors
from tenantry.doctor import examine
from tenantry.fleet import Fleet
from tenantry.fleet.homes import homes_of

from . import seeds
from .models import Company, Country, Ticket
from .places import Place, PostgresPlace, SqlitePlace, revision_in, revision_of, write_revision


def use(tenancy: Tenancy, slug: str) -> None:
    with tenancy.transaction(slug) as db:
        db.add(Ticket(subject=slug))
    with tenancy.session(slug) as db:
        assert db.scalars(select(Ticket.subject)).all() == [slug]


def placements(place: Place) -> set[str]:
    """Returns the physical names of everything that looks like a tenant's own placement."""
    if isinstance(place, SqlitePlace):
        return {path.relative_to(place.directory).as_posix() for path in place.directory.glob("??/*.sqlite3")}
    assert isinstance(place, PostgresPlace)
    with place.server.admin(place.database) as admin:
        found = admin.execute("select nspname from pg_namespace where nspname like 't\\_%'").fetchall()
    return {name for (name,) in found} | set(place.databases("t\\_"))


def test_a_tenant_takes_the_oldest_and_its_identifier(own: tuple[Place, str]) -> None:
    place, isolation = own
    with place.opened() as tenancy:
        assert tenancy.tenants.warm(isolation, size=2) == 2
        kept = tenancy.tenants.warm_placements()
        assert {each.physical for each in kept} == placements(place)
        for slug, expected in (("first", kept[0]), ("second", kept[1])):
            tenant = tenancy.tenants.create(slug, isolation=isolation, identities={"company": slug}, name=slug.title())
            assert (tenant.id, tenant.physical) == (expected.id, expected.physical)
            assert tenancy.tenants.get(("company", slug)) == tenant
            use(tenancy, slug)
        assert tenancy.tenants.warm_placements() == []
        third = tenancy.tenants.create("third", isolation=isolation)
        assert third.id not in {each.id for each in kept}


def test_it_needs_no_owner(on_postgres: PostgresPlace) -> None:
    with on_postgres.opened() as tenancy:
        for isolation in on_postgres.isolations:
            tenancy.tenants.warm(isolation, size=1)
    with on_postgres.opened(owner_url=None, seeds=seeds.ALL) as alone:
        for isolation in on_postgres.isolations:
            assert alone.tenants.create(isolation, isolation=isolation, record={"name": "Acme"}).status == "active"
            with alone.session(isolation) as db:
                assert db.scalars(select(Company.name)).all() == ["Acme"]
                assert db.scalars(select(Ticket.subject)).all() == ["welcome"]
            late = alone.tenants.create(f"late-{isolation}", isolation=isolation)
            assert late.status == "provisioning"


def test_each_is_taken_once(own: tuple[Place, str]) -> None:
    place, isolation = own
    with place.opened() as tenancy, ThreadPoolExecutor(6) as pool:
        tenancy.tenants.warm(isolation, size=4)
        kept = {each.id for each in tenancy.tenants.warm_placements()}
        slugs = [f"tenant-{number}" for number in range(6)]
        made = list(pool.map(lambda slug: tenancy.tenants.create(slug, isolation=isolation), slugs))
        assert len({tenant.id for tenant in made}) == 6
        assert len({tenant.id for tenant in made} & kept) == 4
        for slug in slugs:
            use(tenancy, slug)


def test_a_registration_that_fails_gives_it_back(own: tuple[Place, str]) -> None:
    place, isolation = own
    with place.opened() as tenancy:
        tenancy.tenants.create("acme", isolation=isolation, identities={"company": "1"})
        tenancy.tenants.warm(isolation, size=1)
        with pytest.raises(errors.TenantExists):
            tenancy.tenants.create("acme", isolation=isolation)
        with pytest.raises(errors.IdentityTaken):
            tenancy.tenants.create("other", isolation=isolation, identities={"company": "1"})
        assert len(tenancy.tenants.warm_placements()) == 1
    with place.opened(max_tenants=1) as tenancy:
        with pytest.raises(errors.TenantLimitReached):
            tenancy.tenants.create("other", isolation=isolation)
        assert len(tenancy.tenants.warm_placements()) == 1


def test_only_one_at_the_processes_own_head_is_taken(own: tuple[Place, str]) -> None:
    place, isolation = own
    with place.opened() as old:
        old.tenants.warm(isolation, size=1)
        write_revision(place.scripts, "0002", "0001")
        with place.opened() as new:
            new.tenants.create("new", isolation=isolation)
            assert revision_of(new, "new") == "0002"
            assert len(new.tenants.warm_placements()) == 1
        (kept,) = old.tenants.warm_placements()
        assert old.tenants.create("old", isolation=isolation).id == kept.id
        assert revision_of(old, "old") == "0001"


@pytest.mark.mainly("postgresql-schema")
def test_the_fleet_migrates_what_is_kept_ready(own: tuple[Place, str]) -> None:
    place, isolation = own
    with place.opened() as tenancy:
        tenancy.tenants.warm(isolation, size=2)
        taken = tenancy.tenants.create("acme", isolation=isolation)
    write_revision(place.scripts, "0002", "0001")
    with place.opened() as tenancy:
        (kept,) = tenancy.tenants.warm_placements()
        assert {home.tenant for home in homes_of(tenancy)} == {None, kept.id, taken.id}
        assert Fleet(tenancy).upgrade(jobs=2).run.state == "done"
        assert revision_in(tenancy.servers.main, isolation, kept.physical) == "0002"
        assert tenancy.tenants.create("late", isolation=isolation).id == kept.id
        assert revision_of(tenancy, "late") == "0002"
        use(tenancy, "late")


def test_a_pool_grows_and_shrinks(own: tuple[Place, str]) -> None:
    place, isolation = own
    with place.opened() as tenancy:
        assert tenancy.tenants.warm(isolation, size=3) == 3
        assert tenancy.tenants.warm(isolation, size=3) == 0
        assert tenancy.tenants.warm(isolation, size=1) == 0
        assert {each.physical for each in tenancy.tenants.warm_placements()} == placements(place)
        assert tenancy.tenants.warm(isolation, size=0) == 0
        assert placements(place) == set()


@pytest.mark.mainly("postgresql-schema")
def test_two_who_fill_one_pool_do_not_overfill_it(own: tuple[Place, str]) -> None:
    place, isolation = own
    with place.opened() as one, place.opened() as other, ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda tenancy: tenancy.tenants.warm(isolation, size=3), (one, other)))
        assert len(one.tenants.warm_placements()) == 3
        assert len(placements(place)) == 3


@pytest.mark.mainly("postgresql-schema")
def test_what_a_crash_left_is_cleared_away(own: tuple[Place, str]) -> None:
    place, isolation = own
    for step in ("warm register", "warm place", "warm ready"):
        place.run_killed(step, isolation=isolation, size=1)
        with place.opened() as tenancy:
            assert tenancy.tenants.warm(isolation, size=1) == 1
            (kept,) = tenancy.tenants.warm_placements(begun=True)
            assert placements(place) == {kept.physical}
            tenancy.tenants.warm(isolation, size=0)


@pytest.mark.mainly("postgresql-schema")
def test_a_crash_after_the_claim_loses_nothing(own: tuple[Place, str]) -> None:
    place, isolation = own
    with place.opened(seeds=seeds.ALL) as tenancy:
        for step in ("create register", "create record", "create activate", "create done"):
            slug = step.replace(" ", "-")
            tenancy.tenants.warm(isolation, size=1)
            place.run_killed(step, isolation=isolation, slug=slug)
            if slug not in {tenant.slug for tenant in tenancy.tenants.list() if tenant.status == "active"}:
                tenancy.tenants.create(slug, isolation=isolation, record={"name": slug})
            with tenancy.session(slug) as db:
                assert db.scalars(select(Company.name)).all() == [slug]
                assert db.scalars(select(Ticket.subject)).all() == ["welcome"]
            assert placements(place) == {tenancy.tenants.get(slug).physical}
            tenancy.tenants.erase(slug, confirm=slug)


def test_the_doctor_knows_them(own: tuple[Place, str]) -> None:
    place, isolation = own
    with place.opened() as tenancy:
        tenancy.tenants.warm(isolation, size=2)
        assert [finding for finding in examine(tenancy).findings if finding.code != "D701"] == []


def test_what_the_platform_publishes_reaches_them(place: Place) -> None:
    with place.opened() as tenancy:
        tenancy.tenants.warm("database", size=1)
        with tenancy.platform() as db:
            db.execute(insert(Country), [{"code": "de"}])
            db.commit()
        tenancy.publish()
        tenancy.tenants.create("acme", isolation="database")
        with tenancy.session("acme") as db:
            assert db.scalars(select(Country.code)).all() == ["de"]


def test_a_thread_refills_what_the_configuration_asks_for(own: tuple[Place, str]) -> None:
    place, isolation = own
    with place.opened(warm={isolation: 2}) as tenancy:
        assert tenancy.tenants.refill() == 2
        with tenancy.tenants.keep_warm(every=0.05):
            for number in range(3):
                tenancy.tenants.create(f"tenant-{number}", isolation=isolation)
            wait_for(tenancy, 2)
        assert not [thread for thread in threading.enumerate() if thread.name == "tenantry-warm"]


def test_a_worker_of_the_fleet_refills_too(own: tuple[Place, str]) -> None:
    place, isolation = own
    with place.opened(warm={isolation: 2}) as tenancy:
        Fleet(tenancy).work()
        assert len(tenancy.tenants.warm_placements()) == 2


def wait_for(tenancy: Tenancy, size: int) -> None:
    for _ in range(600):
        if len(tenancy.tenants.warm_placements()) == size:
            return
        time.sleep(0.05)
    raise AssertionError("the pool was not refilled")


@pytest.mark.parametrize(
    ("isolation", "server", "error"),
    [("rows", "main", errors.IsolationUnavailable), ("database", "nowhere", errors.ServerUnknown)],
)
def test_what_cannot_be_kept_ready_is_refused(place: Place, isolation: str, server: str, error: Any) -> None:
    with place.opened() as tenancy, pytest.raises(error):
        tenancy.tenants.warm(isolation, server=server, size=1)


@pytest.mark.parametrize("warm", [{"rows": 1}, {"schema": -1}, {"shema": 1}])
def test_a_configuration_that_cannot_be_is_refused(place: Place, warm: dict[str, int]) -> None:
    with pytest.raises(errors.ConfigurationError, match="warm"):
        place.tenancy(warm=warm)
