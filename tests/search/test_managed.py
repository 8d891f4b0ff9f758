"""Where the owner is no superuser and nobody has BYPASSRLS, as on managed servers, searches stand and find the same."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import Any

import pytest
from cells import drop_roles

from tenantry import Config, Tenancy
from tenantry.doctor import examine

from .library import Base, Room, papers

PLACES = ("rows", "schema", "database")


@pytest.fixture
def managed(postgres: Any) -> Iterator[tuple[Tenancy, Room]]:
    """An installation of an owner that may create roles and databases, and of the app's own login."""
    name, password = f"s{secrets.token_hex(4)}", secrets.token_urlsafe(16)
    config = Config(extensions=("btree_gin", "pg_trgm"), role_prefix=name)
    database = postgres.create_database()
    with postgres.admin() as connection:
        connection.execute(f"CREATE ROLE {name}_boss LOGIN CREATEROLE CREATEDB PASSWORD '{password}'")
        connection.execute(f"GRANT {name}_boss TO CURRENT_USER")
        connection.execute(f"ALTER DATABASE {database} OWNER TO {name}_boss")
    owner = postgres.url(database, login=f"{name}_boss", password=password)
    installing = Tenancy(owner, models=Base, owner_url=owner, config=config)
    Room(installing)
    installing.install(create_tables=True)
    login = installing.create_login(f"{name}_app_login", role="app")
    installing.close()
    tenancy = Tenancy(login, models=Base, owner_url=owner, config=config)
    yield tenancy, Room(tenancy)
    own = tenancy.tenants.get("database").physical
    tenancy.close()
    for gone in (own, database):
        postgres.drop_database(gone)
    kinds = ("app_login", "operator", "platform", "app", "owner", "boss")
    drop_roles(postgres, [f"{name}_{kind}" for kind in kinds])


def test_a_search_stands_with_an_owner_that_is_no_superuser(managed: tuple[Tenancy, Room]) -> None:
    tenancy, room = managed
    for isolation in PLACES:
        tenancy.tenants.create(isolation, isolation=isolation)
        with tenancy.transaction(isolation) as session:
            session.add_all(papers(f"{isolation} "))
    tenancy.tenants.create("far", isolation="rows")
    with tenancy.transaction("far") as session:
        session.add_all(papers("far "))
    room.papers.install()
    for isolation in PLACES:
        with tenancy.session(isolation) as session:
            found = {hit.row.title for hit in room.papers.query(session, "paper")}
            assert found == {f"{isolation} A paper on owls", f"{isolation} Printer out of paper"}
            alike = [hit.row.title for hit in room.papers.similar(session, f"{isolation} nobody can log on")]
            assert alike[0] == f"{isolation} Nobody can log in"
    assert [found for found in examine(tenancy).findings if found.code in ("D503", "D504", "D509")] == []
