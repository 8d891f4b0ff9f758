"""A new home stands at the head of the code that made it, and only its owner sees that."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DatabaseError

from tenantry import Config, Tenancy

from .models import Base, NewBase
from .places import (
    Place,
    PostgresPlace,
    SqlitePlace,
    postgres_revision,
    revision_of,
    sqlite_revision,
    write_revision,
)


def test_new_homes_stand_at_the_head(place: Place) -> None:
    with place.opened() as tenancy:
        for isolation in place.isolations:
            tenancy.tenants.create(isolation, isolation=isolation)
            assert revision_of(tenancy, isolation) == "0001"


def test_the_common_home_of_postgresql_stands_at_the_head(on_postgres: PostgresPlace) -> None:
    with on_postgres.opened() as tenancy:
        assert postgres_revision(tenancy.servers.main, "public") == "0001"


def test_both_files_of_sqlite_stand_at_the_head_and_stay_there(on_sqlite: SqlitePlace) -> None:
    write_revision(on_sqlite.scripts, "0002", "0001")
    with on_sqlite.opened() as tenancy:
        tenancy.install()
        for name in ("common.sqlite3", "platform.sqlite3"):
            assert sqlite_revision(tenancy.servers.main, name) == "0001"


def test_a_process_of_the_last_release_goes_on_with_its_own_head(place: Place) -> None:
    """What a rolling deployment looks like: each process stamps what its models made, whatever lies on the disk."""
    with place.opened() as old:
        write_revision(place.scripts, "0002", "0001")
        with place.opened(NewBase) as new:
            for isolation in place.isolations:
                new.tenants.create(f"new-{isolation}", isolation=isolation)
                old.tenants.create(f"old-{isolation}", isolation=isolation)
                assert revision_of(old, f"old-{isolation}") == "0001"
                assert revision_of(new, f"new-{isolation}") == "0002"
                assert columns_of_companies(new, f"new-{isolation}") - columns_of_companies(
                    new, f"old-{isolation}"
                ) == {"city"}


def columns_of_companies(tenancy: Tenancy, key: str) -> set[str]:
    with tenancy.session(key) as db:
        return set(db.execute(text("select * from companies")).keys())


@pytest.mark.parametrize("statement", ["select * from {}", "insert into {} values ('x')", "delete from {}"])
def test_tenants_sessions_neither_read_nor_write_it(place: Place, statement: str) -> None:
    with place.opened() as tenancy:
        for isolation in (*place.isolations, "rows"):
            tenancy.tenants.create(isolation, isolation=isolation)
            with tenancy.session(isolation) as db, pytest.raises(DatabaseError, match=r"denied|not authorized|prohib"):
                db.execute(text(statement.format("ALEMBIC_VERSION")))


def test_no_role_but_the_owner_has_rights_on_it(postgres: Any, tmp_path: Path) -> None:
    """Not even where the owner's default privileges give every new table away."""
    place = PostgresPlace(postgres, tmp_path / "migrations")
    roles = [place.config.role(name) for name in ("app", "operator", "platform")]
    with place.opened() as tenancy, postgres.admin(place.database) as admin:
        admin.execute("ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO PUBLIC")
        tenant = tenancy.tenants.create("acme", isolation="schema")
        table = f"{tenant.physical}.alembic_version"
        for role in roles:
            for right in ("SELECT", "INSERT", "UPDATE", "DELETE"):
                question = "select has_table_privilege(%s, %s, %s)"
                assert admin.execute(question, (role, table, right)).fetchone() == (False,), (role, right)
        admin.execute("ALTER DEFAULT PRIVILEGES REVOKE ALL ON TABLES FROM PUBLIC")
    place.close()


def test_without_migrations_nothing_is_stamped(tmp_path: Path) -> None:
    tenancy = Tenancy(f"sqlite:///{tmp_path}/data", models=Base, config=Config())
    tenancy.install()
    tenancy.tenants.create("acme")
    assert revision_of(tenancy, "acme") is None
    assert sqlite_revision(tenancy.servers.main, "common.sqlite3") is None
    tenancy.close()


def test_tables_from_elsewhere_keep_the_common_home_unstamped(postgres: Any, tmp_path: Path) -> None:
    with postgres.lend_database() as url:
        first = Tenancy(url, models=Base)
        first.install(create_tables=True)
        first.close()
        write_revision(tmp_path, "0001")
        second = Tenancy(url, models=Base, config=Config(migrations=str(tmp_path)))
        second.install(create_tables=True)
        assert postgres_revision(second.servers.main, "public") is None
        second.close()
