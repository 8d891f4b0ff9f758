"""The catalog of the version before serves sessions, older ones are upgraded with what they hold, newer ones stay."""

from __future__ import annotations

import contextlib
import sqlite3
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.exc import DBAPIError

from tenantry import Tenancy
from tenantry.catalog.tables import OLDEST_READABLE, VERSION, metadata
from tenantry.errors import CatalogMissing, CatalogVersionMismatch, LoginRequired
from tenantry.fleet import Fleet
from tenantry.ids import physical_file

from .models import Base, Ticket
from .plain import PlainHistory

TABLES = ("tenants", "placements", "identities", "servers", "journal", "operator_log")


class Old:
    """An installation whose catalog is of an older version, with one tenant and a row of its."""

    tenant = uuid.UUID("01990000-0000-7000-8000-000000000001")

    def __init__(self, open_one: Callable[[], Tenancy], run: Callable[[str], list[Any]], schema: str) -> None:
        self.open = open_one
        self.run = run
        self.schema = schema

    @contextlib.contextmanager
    def tenancy(self) -> Iterator[Tenancy]:
        with contextlib.closing(self.open()) as tenancy:
            yield tenancy

    def rows(self) -> dict[str, list[Any]]:
        """Returns what the tables hold that every version has."""
        return {table: sorted(self.run(f"SELECT * FROM {self.schema}{table}"), key=str) for table in TABLES}

    def version(self, version: int | None = None) -> str:
        """Returns the version that the catalog says it has, having changed it first where one is given."""
        if version is not None:
            self.run(f"UPDATE {self.schema}meta SET value = '{version}'")
        return str(self.run(f"SELECT value FROM {self.schema}meta WHERE name = 'version'")[0][0])

    def fill(self, isolation: str, physical: str, identifier: str) -> None:
        facts = "'acme', 'Acme', 'active', '{}', 1, '2026-01-01 00:00:00', '2026-01-01 00:00:00'"
        self.run(f"INSERT INTO {self.schema}tenants VALUES ('{identifier}', {facts})")
        self.run(f"INSERT INTO {self.schema}placements VALUES ('{identifier}', 1, 'main', '{isolation}', '{physical}')")
        self.run(f"INSERT INTO {self.schema}identities VALUES ('slack', 'T1', '{identifier}')")


@pytest.fixture(params=["postgresql", "sqlite"])
def old(request: pytest.FixtureRequest, postgres: Any, tmp_path: Path) -> Iterator[Old]:
    """Of the version that a test asks for, or of the one before this library's."""
    version = request.node.callspec.params.get("version", OLDEST_READABLE)
    if request.param == "sqlite":
        yield old_sqlite(tmp_path / "data", version)
        return
    with postgres.lend_database() as url:
        yield old_postgres(postgres, url, version)


def old_postgres(postgres: Any, url: str, version: int = OLDEST_READABLE) -> Old:
    with contextlib.closing(Tenancy(url, models=Base, owner_url=url)) as tenancy:
        tenancy.install(create_tables=True)
        app_url = tenancy.create_login(f"app_{uuid.uuid4().hex[:8]}")
    database = url.rsplit("/", 1)[1]

    def run(statement: str) -> list[Any]:
        with postgres.admin(database) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    run("DROP SCHEMA tenantry CASCADE")
    run(Path(__file__).with_name(f"catalog_{version}.sql").read_text())
    old = Old(lambda: Tenancy(app_url, models=Base, owner_url=url), run, "tenantry.")
    old.fill("rows", "", str(Old.tenant))
    return old


def old_sqlite(directory: Path, version: int) -> Old:
    with contextlib.closing(Tenancy(f"sqlite:///{directory}", models=Base)) as tenancy:
        tenancy.install(create_tables=True)
        tenancy.servers.main.create_file(physical_file(Old.tenant))
    for file in directory.glob("catalog.sqlite3*"):
        file.unlink()

    def run(statements: str) -> list[Any]:
        with contextlib.closing(sqlite3.connect(directory / "catalog.sqlite3")) as connection, connection:
            if statements.startswith("--"):
                connection.executescript(statements)
                return []
            return connection.execute(statements).fetchall()

    run(Path(__file__).with_name(f"catalog_{version}_sqlite.sql").read_text())
    old = Old(lambda: Tenancy(f"sqlite:///{directory}", models=Base), run, "")
    old.fill("database", physical_file(Old.tenant), Old.tenant.hex)
    return old


def test_an_older_catalog_serves_sessions(old: Old) -> None:
    with old.tenancy() as tenancy:
        for key in ("acme", old.tenant, ("slack", "T1")):
            with tenancy.transaction(key) as db:
                db.add(Ticket(subject="written before the upgrade"))
        with tenancy.session("acme") as db:
            assert len(db.scalars(select(Ticket)).all()) == 3
        with pytest.raises(CatalogVersionMismatch, match="tenantry install"):
            Fleet(tenancy, PlainHistory(tenancy)).upgrade()
    assert old.version() == str(OLDEST_READABLE)


@pytest.mark.parametrize("version", range(1, OLDEST_READABLE))
def test_a_catalog_from_long_ago_serves_nobody_before_its_upgrade(old: Old, version: int) -> None:
    with old.tenancy() as tenancy, pytest.raises(CatalogVersionMismatch, match="tenantry install"):
        tenancy.session("acme")
    assert old.version() == str(version)


@pytest.mark.parametrize("version", range(1, VERSION))
def test_an_older_catalog_is_upgraded_with_what_it_holds(old: Old, version: int) -> None:
    before = old.rows()
    with old.tenancy() as tenancy:
        tenancy.install()
        tenancy.install()
        assert old.version() == str(VERSION)
        after = old.rows()
        assert [row[0] for row in after.pop("servers")] == ["main"]
        assert before.pop("servers") == []
        assert after == before
        fleet = Fleet(tenancy, PlainHistory(tenancy))
        assert fleet.upgrade().ok
        assert tenancy.tenants.create("beta").slug == "beta"
        with tenancy.transaction("acme") as db:
            db.add(Ticket(subject="written after the upgrade"))
        with tenancy.catalog("Looking") as connection:
            for table in metadata.sorted_tables:
                connection.execute(select(table)).all()


def test_a_newer_catalog_is_refused_and_left_alone(old: Old) -> None:
    old.version(VERSION + 1)
    before = old.rows()
    with old.tenancy() as tenancy:
        with pytest.raises(CatalogVersionMismatch, match="upgrade the tenantry package"):
            tenancy.install()
        with pytest.raises(CatalogVersionMismatch), tenancy.session("acme"):
            pass
        with pytest.raises(CatalogVersionMismatch):
            Fleet(tenancy, PlainHistory(tenancy)).newest_run()
    assert old.version() == str(VERSION + 1)
    assert old.rows() == before


def test_no_catalog_is_said(postgres: Any, tmp_path: Path) -> None:
    with postgres.lend_database() as url:
        for tenancy in (Tenancy(url, models=Base, owner_url=url), Tenancy(f"sqlite:///{tmp_path}", models=Base)):
            with contextlib.closing(tenancy), pytest.raises(CatalogMissing):
                Fleet(tenancy, PlainHistory(tenancy)).upgrade()


def test_a_session_cannot_read_any_table_of_the_catalog(old: Old) -> None:
    refused = "permission denied" if old.schema else "no such table"
    with old.tenancy() as tenancy:
        tenancy.install()
        for table in metadata.sorted_tables:
            with tenancy.session("acme") as db, pytest.raises(DBAPIError, match=refused):
                db.connection().exec_driver_sql(f"SELECT * FROM {old.schema}{table.name}")


def test_the_run_time_login_alone_has_no_fleet(postgres: Any) -> None:
    with postgres.lend_database() as url, contextlib.closing(old_postgres(postgres, url).open()) as tenancy:
        app_url = tenancy.servers.main.url("app", action="Looking").render_as_string(hide_password=False)
        with contextlib.closing(Tenancy(app_url, models=Base)) as app, pytest.raises(LoginRequired):
            Fleet(app, PlainHistory(app)).newest_run()
