"""Pruning: archives go from the store before they go off the list, and what stops in the middle is gone on with."""

from __future__ import annotations

from pathlib import Path

import pytest

from tenantry import Tenancy
from tenantry.archive import Archive, Keep, KeyRing, Plan
from tenantry.catalog import archives
from tenantry.errors import StoreUnavailable
from tenantry.events import Step, listen


class Killed(BaseException):
    """Stands for the end of the process: nothing catches it."""


@pytest.fixture
def archive(tenancy: Tenancy, tmp_path: Path, ring: KeyRing) -> Archive:
    return Archive(tenancy, tmp_path / "backups", keys=ring)


def listed(archive: Archive) -> list[str]:
    with archive.tenancy.catalog("Looking") as connection:
        return [each.name for each in archives.listing(connection, store=archive.location)]


@pytest.mark.parametrize("step", ["delete", "forget"])
def test_what_a_killed_pruning_left_is_gone_on_with(archive: Archive, step: str) -> None:
    names = [archive.backup("acme").name for _ in range(4)]
    neighbour = archive.backup("globex").name

    def die(heard: Step) -> None:
        if (heard.operation, heard.name) == ("prune", step):
            raise Killed

    forget = listen(die)
    try:
        with pytest.raises(Killed):
            archive.prune(Keep(last=2), "acme")
    finally:
        forget()
    # One is on its way: nobody finds it in the list any more, wherever its file is.
    assert len(listed(archive)) == 4
    judged = archive.prune(Keep(last=2), "acme")
    assert [each.archived.name for each in judged if each.reason] == [names[3], names[2]]
    assert set(listed(archive)) == {names[3], names[2], neighbour} == set(archive.store.names())


def test_files_that_nobody_listed_stay(archive: Archive) -> None:
    archive.backup("acme")
    foreign = f"{archive.tenancy.tenants.get('acme').id}/20200101t000000.000000z.tenantry"
    (Path(archive.store.path) / foreign).write_bytes(b"somebody's")
    archive.prune(Keep(last=1))
    assert foreign in set(archive.store.names())


def test_a_schedule_backs_up_verifies_and_prunes(archive: Archive) -> None:
    first = archive.backup("acme").name
    archive.schedules.put("acme", Plan(keep=Keep(last=1), verify=True))
    (turn,) = archive.schedules.work()
    assert (turn.error, listed(archive)) == (None, [turn.archive])
    assert first not in set(archive.store.names())
    with archive.tenancy.catalog("Looking") as connection:
        (found,) = archives.listing(connection, store=archive.location)
    assert found.verified_at is not None


@pytest.mark.parametrize("instead", ["nothing", "an empty directory", "a file"])
def test_a_store_that_is_away_keeps_the_list(archive: Archive, instead: str) -> None:
    names = [archive.backup("acme").name for _ in range(3)]
    backups = Path(archive.store.path)
    away = backups.rename(backups.with_name("elsewhere"))
    if instead == "a file":
        backups.write_text("in the way")
    elif instead == "an empty directory":
        backups.mkdir()
    with pytest.raises(StoreUnavailable):
        archive.prune(Keep(last=1), "acme")
    assert sorted(listed(archive)) == names
    if backups.exists():
        backups.rename(backups.with_name("was in the way"))
    away.rename(backups)
    assert [each.archived.name for each in archive.prune(Keep(last=1), "acme") if each.reason] == [names[-1]]
    assert listed(archive) == [names[-1]]
