"""What is done to a tenant's home by hand is found there, named in words, and nowhere else."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tenantry import Tenancy
from tenantry.fleet.checking import check
from tenantry.fleet.homes import Home, HomeKind, homes_of
from tenantry.fleet.owning import file_of
from tenantry.types import Finding

from .drifts import ON_POSTGRES, ON_SQLITE, Drift
from .installed import make_anew, on_postgres, on_sqlite

FEW, MANY = 30, 300


def words(drift: Drift, tenancy: Tenancy, home: Home) -> Drift:
    """Returns a drift with the names of one home in it."""
    roles = {kind: tenancy.config.role(kind) for kind in ("owner", "app", "platform", "operator")}
    schema = home.physical if home.kind is HomeKind.SCHEMA else tenancy.config.common_schema
    if home.kind is HomeKind.FILE:
        return drift
    return Drift(drift.done.format(s=schema, **roles), drift.code, drift.said.format(**roles))


def plant(server: Any, tenancy: Tenancy, home: Home, drift: Drift) -> Drift:
    """Changes a home by hand, and returns what must be found there."""
    planted = words(drift, tenancy, home)
    if home.kind is HomeKind.FILE:
        with closing(sqlite3.connect(file_of(home, tenancy.servers.main))) as connection:
            connection.execute("PRAGMA writable_schema = ON")
            connection.execute(planted.done)
            connection.commit()
        return planted
    with server.admin(home.physical if home.kind is HomeKind.DATABASE else tenancy.servers.main.database) as admin:
        admin.execute(planted.done)
    return planted


def own_homes(tenancy: Tenancy) -> list[Home]:
    return [home for home in homes_of(tenancy) if home.tenant]


def assert_found(found: Sequence[Finding], planted: dict[Home, Drift]) -> None:
    """Says that each home's drift was found in it, in the words that it must be told in, and nothing elsewhere."""
    assert {finding.object for finding in found} == {home.slug for home in planted}
    for home, drift in planted.items():
        told = [finding for finding in found if finding.object == home.slug]
        assert any(finding.code == drift.code and drift.said in finding.message for finding in told), (drift, told)
        assert all(finding.fix for finding in told)


def scatter(server: Any, tenancy: Tenancy, drifts: Sequence[Drift]) -> dict[Home, Drift]:
    """Plants each drift in a home of its own, anywhere among the others."""
    homes = random.Random(20240717).sample(own_homes(tenancy), len(drifts))
    return {home: plant(server, tenancy, home, drift) for home, drift in zip(homes, drifts, strict=True)}


@pytest.fixture(scope="module")
def schemas(postgres: Any) -> Iterator[Tenancy]:
    with on_postgres(postgres, tenants={f"schema-{number}": "schema" for number in range(3)}) as tenancy:
        yield tenancy


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tenancy]:
    with on_sqlite(tmp_path_factory.mktemp("files"), tenants=["first", "second", "third"]) as tenancy:
        yield tenancy


@pytest.mark.parametrize("drift", ON_POSTGRES, ids=lambda drift: drift.done[:60])
def test_each_drift_of_a_schema_is_found_there_in_words(schemas: Tenancy, postgres: Any, drift: Drift) -> None:
    home = own_homes(schemas)[0]
    planted = {home: plant(postgres, schemas, home, drift)}
    assert_found(check(schemas), planted)
    make_anew(postgres, schemas, home)


@pytest.mark.parametrize("drift", ON_SQLITE, ids=lambda drift: drift.done[:60])
def test_each_drift_of_a_file_is_found_there_in_words(files: Tenancy, drift: Drift) -> None:
    home = own_homes(files)[1]
    path = file_of(home, files.servers.main)
    before = path.read_bytes()
    planted = {home: plant(None, files, home, drift)}
    assert_found(check(files), planted)
    path.write_bytes(before)


def test_homes_of_every_kind_are_well_as_they_are_made(schemas: Tenancy, files: Tenancy, postgres: Any) -> None:
    kinds = {"in-rows": "rows", "in-a-schema": "schema", "in-a-database": "database"}
    with on_postgres(postgres, tenants=kinds) as tenancy:
        assert [home.kind for home in homes_of(tenancy)] == [HomeKind.COMMON, HomeKind.SCHEMA, HomeKind.DATABASE]
        assert check(tenancy) == ()
    assert check(schemas) == ()
    assert [home.kind for home in homes_of(files)][:2] == [HomeKind.PLATFORM, HomeKind.COMMON]
    assert check(files) == ()


def test_ten_kinds_of_drift_in_ten_of_thirty_schemas(postgres: Any) -> None:
    with on_postgres(postgres, tenants={f"schema-{number}": "schema" for number in range(FEW)}) as tenancy:
        planted = scatter(postgres, tenancy, ON_POSTGRES[:10])
        assert_found(check(tenancy), planted)


def test_ten_kinds_of_drift_in_ten_of_thirty_files(tmp_path: Path) -> None:
    with on_sqlite(tmp_path, tenants=[f"file-{number}" for number in range(FEW)]) as tenancy:
        planted = scatter(None, tenancy, ON_SQLITE[:10])
        assert_found(check(tenancy), planted)


@pytest.mark.soak
def test_ten_kinds_of_drift_in_ten_of_three_hundred_schemas(postgres: Any) -> None:
    with on_postgres(postgres, tenants={f"schema-{number}": "schema" for number in range(MANY)}) as tenancy:
        assert check(tenancy) == ()
        planted = scatter(postgres, tenancy, ON_POSTGRES[:10])
        assert_found(check(tenancy), planted)


@pytest.mark.soak
def test_ten_kinds_of_drift_in_ten_of_three_hundred_files(tmp_path: Path) -> None:
    with on_sqlite(tmp_path, tenants=[f"file-{number}" for number in range(MANY)]) as tenancy:
        assert check(tenancy) == ()
        planted = scatter(None, tenancy, ON_SQLITE[:10])
        assert_found(check(tenancy), planted)
