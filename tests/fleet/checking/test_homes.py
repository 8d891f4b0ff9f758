"""Drift in homes of every kind, told of each home by what is like it: the models, its fellows, its own rules."""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tenantry import Tenancy
from tenantry.fleet.checking import check
from tenantry.fleet.checking_codes import CODES
from tenantry.fleet.fingerprints_homes import shapes_of
from tenantry.fleet.history import Pace
from tenantry.fleet.homes import Home, HomeKind, homes_of
from tenantry.fleet.owning import file_of
from tenantry.fleet.scripts import AlembicHistory

from .growing import NAMES, write_history
from .installed import home_named, make_anew, on_postgres, on_sqlite
from .models import Base

SLUGS = ("one", "two", "three", "four", "five")


@pytest.fixture(scope="module")
def server(postgres: Any) -> Iterator[tuple[Tenancy, Any]]:
    """One home of each kind; a test takes back what it did."""
    with on_postgres(postgres, tenants={"in-rows": "rows", "schema": "schema", "database": "database"}) as tenancy:
        yield tenancy, postgres


@pytest.fixture(scope="module")
def many_schemas(postgres: Any) -> Iterator[Tenancy]:
    with on_postgres(postgres, tenants=dict.fromkeys(SLUGS, "schema")) as tenancy:
        yield tenancy


@pytest.fixture
def schemas(many_schemas: Tenancy, postgres: Any) -> Iterator[Tenancy]:
    """Five schemas, made anew after each test."""
    yield many_schemas
    for home in homes_of(many_schemas):
        if home.tenant:
            make_anew(postgres, many_schemas, home)


def run(postgres: Any, tenancy: Tenancy, home: Home, *statements: str) -> None:
    """Runs statements by hand where a home is; ``{s}`` is its schema."""
    own = home.kind is HomeKind.DATABASE
    schema = home.physical if home.kind is HomeKind.SCHEMA else tenancy.config.common_schema
    with postgres.admin(home.physical if own else tenancy.servers.main.database) as admin:
        for statement in statements:
            admin.execute(statement.format(s=schema))


def edit(tenancy: Tenancy, home: Home, statement: str) -> None:
    """Runs a statement by hand in a home's file."""
    with closing(sqlite3.connect(file_of(home, tenancy.servers.main))) as connection:
        connection.execute(statement)
        connection.commit()


def found(tenancy: Tenancy, **options: Any) -> list[tuple[str, str, str]]:
    """Returns the findings without their fixes, which every one must have."""
    findings = check(tenancy, **options)
    assert all(finding.fix and finding.code in CODES for finding in findings)
    return [(finding.code, finding.object, finding.message) for finding in findings]


@pytest.mark.parametrize("name", ["main/common", "schema", "database"])
def test_each_kind_of_home_on_postgresql(server: tuple[Tenancy, Any], name: str) -> None:
    tenancy, postgres = server
    home = home_named(tenancy, name)
    run(postgres, tenancy, home, "ALTER TABLE {s}.notes ALTER hours TYPE real")
    message = "notes.hours: real not null here, numeric(6,2) not null in the models."
    assert found(tenancy) == [("F201", name, message)]
    run(postgres, tenancy, home, "ALTER TABLE {s}.notes ALTER hours TYPE numeric(6,2)")
    assert found(tenancy) == []


@pytest.mark.parametrize("name", ["main/common", "database"])
def test_shared_tables_belong_to_their_home(server: tuple[Tenancy, Any], name: str) -> None:
    tenancy, postgres = server
    home = home_named(tenancy, name)
    run(postgres, tenancy, home, "ALTER TABLE tenantry_shared.countries ADD COLUMN name text")
    message = "tenantry_shared.countries.name: text null here, not in the models."
    assert found(tenancy) == [("F201", name, message)]
    run(postgres, tenancy, home, "ALTER TABLE tenantry_shared.countries DROP COLUMN name")


def test_platform_tables_belong_to_the_common_home_alone(server: tuple[Tenancy, Any]) -> None:
    tenancy, postgres = server
    home = home_named(tenancy, "main/common")
    run(postgres, tenancy, home, "ALTER TABLE {s}.vendors RENAME TO sellers")
    assert found(tenancy) == [("F201", "main/common", "table vendors: in the models, not here.")]
    run(postgres, tenancy, home, "ALTER TABLE {s}.sellers RENAME TO vendors")


def test_other_tables_beside_the_common_ones_are_no_drift_and_walled_ones_are(server: tuple[Tenancy, Any]) -> None:
    tenancy, postgres = server
    home, owner = home_named(tenancy, "main/common"), tenancy.config.role("owner")
    run(
        postgres,
        tenancy,
        home,
        "CREATE TABLE {s}.somebody_elses (id int)",
        "CREATE TABLE {s}.formerly_ours (tenant_id uuid)",
        "ALTER TABLE {s}.formerly_ours ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY",
        f"CREATE POLICY tenantry_isolation ON {{s}}.formerly_ours TO {owner} USING (true)",
    )
    assert found(tenancy) == [("F201", "main/common", "table formerly_ours: here, not in the models.")]
    run(postgres, tenancy, home, "DROP TABLE {s}.somebody_elses, {s}.formerly_ours")


@pytest.mark.parametrize(
    ("name", "statement", "message"),
    [
        (
            "main/common",
            "ALTER TABLE notes__rows ADD COLUMN x TEXT",
            "notes__rows.x: TEXT null here, not in the models.",
        ),
        ("main/platform", "ALTER TABLE vendors ADD COLUMN x TEXT", "vendors.x: TEXT null here, not in the models."),
        ("one", "DROP TABLE countries", "table countries: in the models, not here."),
    ],
)
def test_each_kind_of_home_on_sqlite(tmp_path: Path, name: str, statement: str, message: str) -> None:
    with on_sqlite(tmp_path, tenants=["one"]) as tenancy:
        edit(tenancy, home_named(tenancy, name), statement)
        assert ("F201", name, message) in found(tenancy)
        assert {finding[1] for finding in found(tenancy)} == {name}


def test_a_change_that_every_home_has_is_said_once_and_those_without_it_by_name(
    schemas: Tenancy, postgres: Any
) -> None:
    for slug in SLUGS[:4]:
        run(postgres, schemas, home_named(schemas, slug), "ALTER TABLE {s}.notes ADD COLUMN mood text")
    run(postgres, schemas, home_named(schemas, "two"), "ALTER TABLE {s}.notes DROP COLUMN mood, ALTER hours TYPE real")
    run(postgres, schemas, home_named(schemas, "five"), "ALTER TABLE {s}.notes ADD COLUMN mood int")
    assert found(schemas) == [
        ("F202", "five", "notes.mood: integer null here, text null in most others."),
        ("F202", "two", "notes.hours: real not null here, numeric(6,2) not null in most others."),
        ("F202", "two", "notes.mood: text null in most others, not here."),
        ("F203", "main/schema", "3 of 5 homes: notes.mood: text null here, not in the models."),
    ]


def test_homes_of_as_many_minds_as_homes_are_each_held_against_the_models(schemas: Tenancy, postgres: Any) -> None:
    for number, slug in enumerate(SLUGS):
        run(postgres, schemas, home_named(schemas, slug), f"ALTER TABLE {{s}}.notes ADD COLUMN mood{number} text")
    assert found(schemas) == sorted(
        ("F201", slug, f"notes.mood{number}: text null here, not in the models.") for number, slug in enumerate(SLUGS)
    )


def test_a_home_that_is_not_there_could_not_be_looked_at(server: tuple[Tenancy, Any], tmp_path: Path) -> None:
    tenancy, postgres = server
    schema = home_named(tenancy, "schema")
    run(postgres, tenancy, schema, "DROP SCHEMA {s} CASCADE")
    database = home_named(tenancy, "database")
    with postgres.admin() as admin:
        admin.execute(f"ALTER DATABASE {database.physical} RENAME TO elsewhere")
    assert [finding[:2] for finding in found(tenancy)] == [("F901", "database"), ("F901", "schema")]
    with postgres.admin() as admin:
        admin.execute(f"ALTER DATABASE elsewhere RENAME TO {database.physical}")
    make_anew(postgres, tenancy, schema)
    with on_sqlite(tmp_path, tenants=["one"]) as other:
        file_of(home_named(other, "one"), other.servers.main).unlink()
        assert [finding[:2] for finding in found(other)] == [("F901", "one")]


def test_a_home_that_was_erased_meanwhile_is_none_that_is_missing(schemas: Tenancy, postgres: Any) -> None:
    listed = [*homes_of(schemas), Home("main", HomeKind.SCHEMA, f"t_{uuid.uuid4().hex}", uuid.uuid4(), "erased")]
    assert found(schemas, homes=listed) == []


def test_a_check_beside_a_migration_takes_no_home_for_another_revisions(tmp_path: Path) -> None:
    """Homes are brought up revision by revision meanwhile, and none is found to be other than its revision left it."""
    migrations = write_history(tmp_path / "migrations")
    with (
        on_sqlite(tmp_path / "data", tenants=SLUGS, migrations=migrations) as tenancy,
        closing(AlembicHistory(tenancy)) as history,
    ):
        homes = list(homes_of(tenancy))
        for home in homes:
            history.apply(home, None, pace=Pace())

        def migrate() -> None:
            for revision in NAMES:
                for home in homes:
                    history.apply(home, revision, pace=Pace())

        codes = {finding[0] for finding in found(tenancy, history=history)}
        with ThreadPoolExecutor() as pool:
            migrating = pool.submit(migrate)
            while not migrating.done():
                codes |= {finding[0] for finding in found(tenancy, history=history, orphans=False)}
            migrating.result()
        assert "F101" in codes
        assert codes <= {"F101", "F901"}
        assert found(tenancy, history=history) == []


def test_homes_of_one_shape_share_one_fingerprint_and_shapes_have_digests(schemas: Tenancy, postgres: Any) -> None:
    run(postgres, schemas, home_named(schemas, "two"), "DROP INDEX {s}.ix_tickets_open")
    shapes = shapes_of(schemas, [home for home in homes_of(schemas) if home.tenant])
    digests = {home.slug: shape.digest for home, shape in shapes.items()}
    assert len({id(shape) for shape in shapes.values()}) == 2
    assert digests["one"] == digests["three"] == digests["five"] != digests["two"]


def test_columns_in_another_order_are_no_drift(schemas: Tenancy, postgres: Any) -> None:
    run(
        postgres,
        schemas,
        home_named(schemas, "one"),
        "ALTER TABLE {s}.notes DROP COLUMN hours",
        "ALTER TABLE {s}.notes ADD COLUMN hours numeric(6,2) NOT NULL",
    )
    assert found(schemas) == []


def test_only_our_own_tables_ask_for_a_revision(postgres: Any, tmp_path: Path) -> None:
    with on_postgres(postgres, models=Base, migrations=write_history(tmp_path / "migrations")) as tenancy:
        common = home_named(tenancy, "main/common")
        with closing(AlembicHistory(tenancy)) as history:
            run(postgres, tenancy, common, "DELETE FROM {s}.alembic_version")
            assert [finding[:2] for finding in found(tenancy, history=history)] == [("F103", "main/common")]
            history.stamp(common, "r6")
            history.apply(common, None, pace=Pace())
            run(postgres, tenancy, common, "CREATE TABLE {s}.somebody_elses (id int)")
            assert [finding[:2] for finding in found(tenancy, history=history)] == [("F101", "main/common")]
