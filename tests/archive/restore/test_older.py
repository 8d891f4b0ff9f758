"""An archive of an older revision comes back as the fleet would have brought its rows up, or not at all."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from tenantry import Config, Tenancy, Tenant
from tenantry.archive import Archive, DirectoryStore
from tenantry.errors import TablesUnlike, TenantNotFound
from tenantry.fleet import Fleet

from .growing import New, Old, OldCountry, dump_new, fill_old, write_history
from .houses import RING
from .killing import Killer

PLACES = {"postgresql": ("rows", "schema"), "sqlite": ("rows", "database")}


class Growth:
    """An installation that had one tenant in each kind of place at a1, backed up there, and stands at b2 now."""

    def __init__(self, url: str, directory: Path, isolations: tuple[str, ...]) -> None:
        self.url = url
        self.directory = directory
        self.store = DirectoryStore(directory / "store")
        self.old_scripts = write_history(directory / "a1", "a1")
        self.scripts = write_history(directory / "b2", "a1", "b2")
        self.archives: dict[str, str] = {}
        with contextlib.closing(self.open(Old, self.old_scripts)) as old:
            old.install()
            Fleet(old).upgrade()
            with old.platform() as db:
                db.add(OldCountry(code="CH"))
                db.commit()
            old.publish()
            for isolation in isolations:
                self._make(old, isolation)
        self.job = {"url": url, "directory": str(directory), "migrations": self.scripts}
        (directory / "spool").mkdir()
        self.tenancy = self.open(New, self.scripts)
        assert Fleet(self.tenancy).upgrade().ok
        self.archive = Archive(self.tenancy, self.store, keys=RING)

    def open(self, models: Any, scripts: str | None) -> Tenancy:
        return Tenancy(self.url, models=models, config=Config(migrations=scripts, demote=True))

    def _make(self, old: Tenancy, isolation: str) -> None:
        tenant = old.tenants.create(isolation, isolation=isolation)
        with old.transaction(tenant) as db:
            fill_old(db, tenant.id)
        self.archives[isolation] = Archive(old, self.store, keys=RING).backup(tenant).name

    def dump(self, tenant: Tenant | str) -> list[Any]:
        with self.tenancy.session(tenant) as db:
            return dump_new(db, db.tenant.id)

    def unsettle(self, tenant: str) -> None:
        """Changes what the tenant has, and so what a restore must undo."""
        with self.tenancy.transaction(tenant) as db:
            db.execute(text("DELETE FROM notes"))
            db.execute(text("UPDATE tickets SET subject = 'changed'"))


@pytest.fixture(scope="module", params=list(PLACES))
def growth(request: Any, postgres: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Growth]:
    directory = tmp_path_factory.mktemp("older")
    with contextlib.ExitStack() as stack:
        url = f"sqlite:///{directory / 'data'}"
        if request.param == "postgresql":
            url = stack.enter_context(postgres.lend_database())
        growth = Growth(url, directory, PLACES[request.param])
        yield growth
        for tenant in list(growth.tenancy.every_tenant()):
            growth.tenancy.tenants.erase(tenant, confirm=tenant.slug)
        growth.tenancy.close()


def test_an_older_archive_is_migrated_on_its_way(growth: Growth) -> None:
    for number, (isolation, name) in enumerate(growth.archives.items()):
        upgraded = growth.dump(isolation)
        assert len(upgraded[2]) == 3
        growth.unsettle(isolation)
        assert {each.table for each in growth.archive.diff(isolation, name).tables} == {"notes", "tickets"}
        growth.archive.restore(isolation, name, in_place=True)
        assert growth.dump(isolation) == upgraded
        if number == 0:
            made = growth.archive.restore(isolation, name, into=f"n-{uuid.uuid4().hex[:12]}").tenant
            assert growth.dump(made) == upgraded
            assert growth.archive.verify(name).rows["drafts"] == 3
    check_no_scratch(growth)


def test_killed_while_it_is_migrated(growth: Growth) -> None:
    isolation = list(growth.archives)[-1]
    name, killer, wanted = growth.archives[isolation], Killer(growth.job), growth.dump(isolation)
    tenant = growth.tenancy.tenants.get(isolation)
    job = {"name": name, "options": {"in_place": True, "keep": False}}
    steps = killer.run(growth.archive, tenant, "restore", **job)
    # Half of them in each kind of database, the last when everything else is done.
    here = ("scratch", "drop") if growth.url.startswith("sqlite") else ("load", "migrate")
    for turn, step in enumerate(here):
        growth.unsettle(isolation)
        before = growth.dump(isolation)
        killer.run(growth.archive, tenant, "restore", step=steps.index(f"restore {step}"), **job)
        (left,) = growth.archive.status()
        assert left.detail["scratch"]
        if turn % 2:
            growth.archive.resume(left.id)
        else:
            growth.archive.rollback(left.id)
        assert growth.dump(isolation) == (wanted if turn % 2 else before)
        assert growth.archive.status() == []
        check_no_scratch(growth)
    killer.close()
    growth.archive.restore(isolation, name, in_place=True, keep=False)
    assert growth.dump(isolation) == wanted


def test_what_no_migration_leads_to_is_refused(growth: Growth) -> None:
    newer = growth.archive.backup("rows").name
    before = growth.dump("rows")
    with contextlib.closing(growth.open(New, growth.old_scripts)) as behind:
        archive = Archive(behind, growth.store, keys=RING)
        with pytest.raises(TablesUnlike, match="b2 up to a1"):
            archive.restore("rows", newer, into="too-new", isolation="database")
        with pytest.raises(TenantNotFound):
            behind.tenants.get("too-new")
    with contextlib.closing(growth.open(New, None)) as without:
        archive = Archive(without, growth.store, keys=RING)
        with pytest.raises(TablesUnlike, match="no migrations"):
            archive.restore("rows", growth.archives["rows"], in_place=True, keep=False)
    assert growth.dump("rows") == before
    assert growth.archive.status() == []
    check_no_scratch(growth)


def check_no_scratch(growth: Growth) -> None:
    known = {tenant.physical for tenant in growth.tenancy.every_tenant()} - {""}
    if growth.url.startswith("sqlite"):
        directory = growth.directory / "data"
        found = {str(path.relative_to(directory)) for path in directory.glob("??/*.sqlite3")}
    else:
        with growth.tenancy.servers.main.owner(action="testing") as connection:
            names = "select nspname from pg_namespace where nspname ~ '^t_' and nspname !~ 'alembic|sqitch'"
            found = {name for (name,) in connection.execute(names)} | {each for each in known if "t_" in each}
    assert found <= known
