"""The Sqitch history of the documents: forwards and back in every home, and what it makes is what the models say."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tenantry import Config, Tenancy
from tenantry.fleet import Fleet
from tenantry.fleet.homes import homes_of
from tenantry.packs.documents import MIGRATIONS, Documents, DocumentsBase, User

NAME = re.compile(r"\d{8}_\d{4}_[a-z0-9_]+")


@pytest.fixture
def on_postgres(postgres: Any) -> Iterator[Tenancy]:
    """A tenancy whose common tables are still to come, with roles of its own."""
    prefix, name = f"d{secrets.token_hex(4)}", postgres.create_database()
    tenancy = Tenancy(postgres.url(name), models=DocumentsBase, config=Config(role_prefix=prefix, demote=True))
    Documents(tenancy)
    tenancy.install()
    yield tenancy
    tenancy.close()
    postgres.drop_database(name)
    with postgres.admin() as connection:
        for role in ("operator", "platform", "app", "owner"):
            connection.execute(f"DROP ROLE IF EXISTS {prefix}_{role}")


def assert_goes(tenancy: Tenancy, isolations: list[str], *, first: bool) -> None:
    """Says that the history makes what the models say, from nothing and again after all was taken back."""
    history = Documents(tenancy).history()
    fleet = Fleet(tenancy, history)
    assert not first or fleet.upgrade().ok
    for isolation in isolations:
        tenancy.tenants.create(isolation, isolation=isolation, record={"name": isolation})
    assert fleet.upgrade().ok
    with tenancy.transaction(isolations[0]) as session:
        session.add(User(email="ann@example.com"))
    served = [home for home in homes_of(tenancy) if history.serves(home)]
    assert [finding for home in served for finding in history.verify(home)] == []
    assert fleet.downgrade("base").ok
    assert fleet.upgrade("@v1").ok
    assert fleet.check() == ()
    with tenancy.session(isolations[0]) as session:
        assert session.query(User).count() == 0


@pytest.mark.ledger("S2-059", "S2-060")
def test_on_postgresql(on_postgres: Tenancy) -> None:
    assert_goes(on_postgres, ["rows", "schema"], first=True)


@pytest.mark.ledger("S2-059")
def test_on_sqlite(tmp_path: Path) -> None:
    tenancy = Tenancy(f"sqlite:///{tmp_path}/data", models=DocumentsBase)
    Documents(tenancy)
    tenancy.install()
    assert_goes(tenancy, ["database"], first=False)
    tenancy.close()


@pytest.mark.ledger("S2-057", "S2-058", "S2-061", "S2-060")
def test_its_files(tmp_path: Path) -> None:
    """Each change can be taken back and verified, is named by date and number, and no number is there twice."""
    plan = Documents(Tenancy(f"sqlite:///{tmp_path}", models=DocumentsBase)).history().plan
    names = [change.name for change in plan.changes]
    assert names
    assert all(NAME.fullmatch(name) for name in names)
    assert sorted(names) == names
    numbers = [name[:13] for name in names]
    assert len(set(numbers)) == len(numbers)
    for engine in (MIGRATIONS, MIGRATIONS / "sqlite"):
        for kind in ("deploy", "revert", "verify"):
            assert sorted(file.stem for file in (engine / kind).glob("*.sql")) == names
    for name in names:
        assert "-- Impact: " in (MIGRATIONS / "deploy" / f"{name}.sql").read_text(encoding="utf-8")


@pytest.mark.ledger("S2-011")
def test_its_scripts_are_plain_sql(fresh_database: str) -> None:
    """Whatever runs SQL can deploy, verify and revert them, one after the other."""
    names = sorted(file.name for file in (MIGRATIONS / "deploy").glob("*.sql"))
    with psycopg.connect(fresh_database, autocommit=True) as connection:
        for kind, order in (("deploy", names), ("verify", names), ("revert", names[::-1])):
            for name in order:
                connection.execute((MIGRATIONS / kind / name).read_text(encoding="utf-8").encode())
        assert connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone() == (0,)
