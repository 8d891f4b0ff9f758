"""The doctor says of an extension that it is missing, stands where nobody finds it, or is too old."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from sqlalchemy.orm import DeclarativeBase

from tenantry import Tenancy
from tenantry.doctor import examine
from tenantry.doctor.versions import judge_extension
from tenantry.settings import Config
from tenantry.types import Finding
from tenantry.vectors import Vectors


@pytest.fixture(scope="module")
def homes(module_database: str) -> Iterator[tuple[Tenancy, list[str]]]:
    """An installation, and the URLs of its common database and of a tenant's own."""

    class Base(DeclarativeBase):
        pass

    tenancy = Tenancy(module_database, models=Base, config=Config(extensions=("pg_trgm",), demote=True))
    Vectors(tenancy, "pages", dimensions=3)
    tenancy.install(create_tables=True)
    own = tenancy.tenants.create("acme", isolation="database").id
    yield tenancy, [module_database, module_database.rpartition("/")[0] + f"/t_{own.hex}"]
    tenancy.tenants.erase("acme", confirm="acme")
    tenancy.close()


def found(tenancy: Tenancy) -> list[Finding]:
    return [finding for finding in examine(tenancy).findings if "pg_trgm" in finding.object]


def run(url: str, statement: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement)


PLANTED = {
    "missing": ("DROP EXTENSION pg_trgm CASCADE", "missing"),
    "elsewhere": ("CREATE SCHEMA aside; ALTER EXTENSION pg_trgm SET SCHEMA aside", "stands in aside"),
}


@pytest.mark.parametrize("home", [0, 1], ids=["common", "own"])
@pytest.mark.parametrize("name", ["elsewhere", "missing"])
def test_an_extension_out_of_place_is_found_and_the_fix_cures_it(
    homes: tuple[Tenancy, list[str]], home: int, name: str
) -> None:
    tenancy, urls = homes
    statement, said = PLANTED[name]
    assert found(tenancy) == []
    run(urls[home], statement)
    (finding,) = found(tenancy)
    assert (finding.code, said in finding.message) == ("D508", True)
    run(urls[home], finding.fix)
    assert found(tenancy) == []


@pytest.mark.parametrize(("version", "codes"), [("0.7.4", ["D703"]), ("0.8.0", []), ("0.10.1", []), ("1.0", [])])
def test_an_old_pgvector_is_found(version: str, codes: list[str]) -> None:
    findings: list[Any] = list(judge_extension("vector", version, where="here"))
    assert [finding.code for finding in findings] == codes
    assert list(judge_extension("hstore", version, where="here")) == []
