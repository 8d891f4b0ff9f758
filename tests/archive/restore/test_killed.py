"""Killed before any of its steps, a backup leaves no half of one, and a restore nothing but the old or the new."""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from tenantry import Tenant
from tenantry.archive import Archive
from tenantry.archive.sources import opened
from tenantry.errors import RestoreRefused, TenantNotFound, TenantUnavailable
from tenantry.isolation import fencing

from .houses import FileHouse, House
from .killing import Killer


@pytest.fixture(scope="module")
def killer(house: House) -> Iterator[Killer]:
    killer = Killer(house.job)
    yield killer
    killer.close()


def spread(steps: Sequence[str], count: int) -> list[int]:
    """Returns the first step of each name, and then as many others as make *count*."""
    firsts = sorted({name: number for number, name in reversed(list(enumerate(steps)))}.values())
    others = [number for number in range(len(steps)) if number not in firsts]
    dice = random.Random(len(steps))
    dice.shuffle(firsts)
    return (firsts + dice.sample(others, min(len(others), max(count - len(firsts), 0))))[:count]


def check_clean(house: House, archive: Archive) -> None:
    """Says that nothing is under way, and nothing lies about: no scratch place, no spool, no half file."""
    assert archive.status() == []
    assert house.scratches() == set()
    assert list(house.spool.iterdir()) == []
    assert [path for path in archive.store.path.rglob("*") if path.name.endswith(".part")] == []


def check_whole(archive: Archive, tenant: Tenant) -> None:
    """Says that every file in the store is a whole archive, and that the catalog lists just these."""
    from tenantry.catalog import archives

    names = list(archive.store.names(str(tenant.id)))
    for name in names:
        with opened(archive, name, tenant=tenant.id) as found:
            found.check()
    with archive.tenancy.catalog("testing") as connection:
        listed = archives.listing(connection, tenant=tenant.id, store=archive.location)
    assert sorted(each.name for each in listed) == names


def kill_backups(house: House, killer: Killer, place: str, count: int) -> int:
    tenant, killed = house.make(place), 0
    before = house.dump(tenant)
    steps = killer.run(house.archive(), tenant, "backup")
    for number in spread(steps, count):
        archive = house.archive()
        killer.run(archive, tenant, "backup", step=number)
        killed += 1
        for left in archive.status():
            archive.resume(left.id)
        check_whole(archive, tenant)
        check_clean(house, archive)
        archive.verify(archive.backup(tenant).name)
        assert house.dump(tenant) == before
    house.drop(tenant)
    return killed


def kill_in_place(house: House, killer: Killer, place: str, count: int, *, first: int = 0) -> int:
    archive, tenant, killed = house.archive(), house.make(place), 0
    name = archive.backup(tenant).name
    wanted = house.dump(tenant)
    job = {"name": name, "options": {"in_place": True}}
    steps = killer.run(archive, tenant, "restore", **job)
    for turn, number in enumerate(spread(steps, count)):
        house.fill(tenant, rows=2)
        changed = house.dump(tenant)
        killer.run(archive, tenant, "restore", step=number, **job)
        killed += 1
        assert house.dump(tenant) in (wanted, changed), "half of a restore was seen"
        (left,) = [one for one in archive.status() if one.kind == "restore"]
        if (turn + first) % 2:
            archive.resume(left.id)
            assert house.dump(tenant) == wanted
        else:
            roll_back(archive, left.id)
            assert house.dump(tenant) in (wanted, changed)
        for one in archive.status():
            archive.resume(one.id)
        check_clean(house, archive)
        check_whole(archive, tenant)
        assert fencing.standing(house.tenancy.servers.get(tenant.server), tenant) == []
        house.fill(tenant, rows=1)
        assert house.audit.verify(tenant) == []
    house.drop(tenant)
    return killed


def roll_back(archive: Archive, operation: uuid.UUID) -> None:
    """Takes a restore back; one that was committed goes on to its end."""
    try:
        archive.rollback(operation)
    except RestoreRefused:
        archive.resume(operation)


def kill_afresh(house: House, killer: Killer, place: str, count: int, *, first: int = 0) -> int:
    server, isolation = house.places[place]
    archive, tenant, killed = house.archive(), house.make(next(iter(house.places))), 0
    name = archive.backup(tenant).name
    wanted = house.dump(tenant)
    job = {"name": name, "options": {"server": server, "isolation": isolation}}

    def run(slug: str, step: int = -1) -> list[str]:
        return killer.run(archive, tenant, "restore", step=step, name=name, options={**job["options"], "into": slug})

    steps = run(f"k-{uuid.uuid4().hex[:12]}")
    for turn, number in enumerate(spread(steps, count)):
        slug = f"k-{uuid.uuid4().hex[:12]}"
        run(slug, number)
        killed += 1
        half = unopened(house, slug)
        left = [one for one in archive.status() if one.kind == "restore"]
        if (turn + first) % 2 and left:
            archive.resume(left[0].id)
            assert house.dump(house.tenancy.tenants.get(slug)) == wanted
        elif left:
            roll_back(archive, left[0].id)
            assert unopened(house, slug) == half
        check_clean(house, archive)
        for made in [one for one in house.tenancy.every_tenant() if one.slug == slug]:
            assert house.dump(made) == wanted
            assert house.audit.verify(made) == []
            house.drop(made)
        check_no_rows(house, left[0].tenant if left else None)
    house.drop(tenant)
    return killed


def kill_elsewhere(house: House, killer: Killer, place: str, count: int, *, first: int = 0) -> int:
    """A tenant whose place was lost is restored to another one; *place* is where it goes."""
    server, isolation = house.places[place]
    # Common tables are not lost without their server.
    origins = [name for name in ("file", "schema") if name != place and name in house.places]
    if not origins:
        return 0
    archive, killed = house.archive(), 0
    options = {"options": {"server": server, "isolation": isolation}}

    def lost() -> tuple[Tenant, str, Any]:
        tenant = house.make(origins[0])
        wanted, name = house.dump(tenant), archive.backup(tenant).name
        house.tenancy.servers.strategy_of(tenant).drop(tenant.id, force=True)
        return tenant, name, wanted

    tenant, name, wanted = lost()
    steps = killer.run(archive, tenant, "restore", name=name, **options)
    house.tenancy.router.clear()
    house.drop(house.tenancy.tenants.get(tenant.id))
    for turn, number in enumerate(spread(steps, count)):
        tenant, name, wanted = lost()
        killer.run(archive, tenant, "restore", step=number, name=name, **options)
        killed += 1
        (left,) = archive.status()
        if (turn + first) % 2:
            archive.resume(left.id)
        else:
            archive.rollback(left.id)
            assert house.tenancy.tenants.get(tenant.id).epoch == tenant.epoch
            archive.restore(tenant, name, **options["options"])
        check_clean(house, archive)
        house.tenancy.router.clear()
        found = house.tenancy.tenants.get(tenant.id)
        assert (found.server, found.isolation) == (server, isolation)
        assert house.dump(found) == wanted
        house.drop(found)
    return killed


def unopened(house: House, slug: str) -> bool:
    """Whether nobody gets a session of that tenant."""
    try:
        with house.tenancy.session(slug):
            return False
    except (TenantNotFound, TenantUnavailable):
        return True


def check_no_rows(house: House, tenant: uuid.UUID | None) -> None:
    """Says that of a tenant which was taken back nothing is left, and of an erased one only its identifier."""
    if tenant is not None:
        named = {table for table, rows in house.counted(tenant).items() if rows}
        assert {table.removeprefix("tenantry.") for table in named} <= {"tenants", "placements"}
        assert tenant not in {one.id for one in house.tenancy.every_tenant()}


def kill_verifications(house: House, killer: Killer, place: str, count: int) -> int:
    archive, tenant, killed = house.archive(), house.make(place), 0
    name = archive.backup(tenant).name
    steps = killer.run(archive, tenant, "verify", name=name)
    for number in spread(steps, count):
        killer.run(archive, tenant, "verify", step=number, name=name)
        killed += 1
        # Whoever verifies next sweeps.
        archive.verify(name)
        check_clean(house, archive)
    house.drop(tenant)
    return killed


def test_backups(house: House, killer: Killer) -> None:
    assert kill_backups(house, killer, "rows", 4) + kill_backups(house, killer, "file", 4) == 8


def test_restores_in_place(house: House, killer: Killer) -> None:
    places = ("rows", "schema", "file", "common file")
    assert sum(kill_in_place(house, killer, place, 2, first=n) for n, place in enumerate(places)) == 8


@pytest.mark.soak
def test_restores_to_a_new_tenant(house: House, killer: Killer) -> None:
    places = ("rows", "schema", "file", "common file")
    assert sum(kill_afresh(house, killer, place, 2, first=n) for n, place in enumerate(places)) == 8


@pytest.mark.soak
def test_restores_elsewhere(house: House, killer: Killer) -> None:
    assert kill_elsewhere(house, killer, "rows", 2) == 2


@pytest.mark.soak
def test_verifications(house: House, killer: Killer) -> None:
    assert kill_verifications(house, killer, "schema", 2) == 2


def test_in_a_directory_alone(file_house: FileHouse) -> None:
    killer = Killer(file_house.job)
    killed = kill_backups(file_house, killer, "file", 1) + kill_verifications(file_house, killer, "file", 1)
    killed += kill_in_place(file_house, killer, "common file", 2) + kill_in_place(file_house, killer, "file", 2)
    killed += kill_afresh(file_house, killer, "common file", 2) + kill_afresh(file_house, killer, "file", 2)
    killer.close()
    assert killed == 10


def test_what_a_killed_restore_leaves_is_seen(house: House, killer: Killer) -> None:
    """The control: before anyone goes on, the traces are there to be found."""
    archive, tenant = house.archive(), house.make("rows")
    name = archive.backup(tenant).name
    steps = killer.run(archive, tenant, "restore", name=name, options={"in_place": True})
    killer.run(archive, tenant, "restore", step=steps.index("restore commit"), name=name, options={"in_place": True})
    (left,) = archive.status()
    assert (left.kind, left.step, left.abandoned) == ("restore", "commit", True)
    assert fencing.standing(house.tenancy.servers.get(tenant.server), tenant) != []
    archive.resume(left.id)
    house.drop(tenant)


@pytest.mark.soak
def test_forty_of_each(house: House) -> None:
    kill_all(house, "PostgreSQL and files")


@pytest.mark.soak
def test_forty_of_each_in_a_directory_alone(file_house: FileHouse) -> None:
    kill_all(file_house, "a directory alone")


def kill_all(house: House, title: str) -> None:
    killer = Killer(house.job)
    trials = {
        "backup": kill_backups,
        "restore in place": kill_in_place,
        "restore to a new tenant": kill_afresh,
        "restore elsewhere": kill_elsewhere,
        "verify": kill_verifications,
    }
    places = len(house.places)
    for what, kill in trials.items():
        killed = sum(kill(house, killer, place, 40) for place in house.places)
        print(f"\n{title}: {what}: killed {killed} times, at every step in {places} kinds of place: nothing half done")
        assert killed >= 10
    killer.close()
