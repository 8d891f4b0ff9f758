"""Installations with many tenants' homes, made for one module of tests or one test and taken down again."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tenantry import Config, Tenancy
from tenantry.fleet.homes import Home, homes_of
from tenantry.types import Isolation

from .models import Base


@contextmanager
def on_postgres(
    server: Any, *, models: Any = Base, tenants: Mapping[str, str] | None = None, migrations: str | None = None
) -> Iterator[Tenancy]:
    """Lends an installation in a database of its own, with roles of its own, and *tenants* by slug and isolation."""
    prefix = f"c{secrets.token_hex(4)}"
    name = server.create_database()
    # The administrator's login stands for all: what is checked here are schemas, not logins.
    config = Config(role_prefix=prefix, demote=True, migrations=migrations)
    tenancy = Tenancy(server.url(name), models=models, config=config)
    try:
        tenancy.install(create_tables=True)
        for slug, isolation in (tenants or {}).items():
            tenancy.tenants.create(slug, isolation=isolation)
        yield tenancy
    finally:
        tenancy.close()
        with server.admin() as connection:
            marked = "SELECT datname FROM pg_database WHERE shobj_description(oid, 'pg_database') ~ %s"
            databases = connection.execute(marked, (f"^tenantry.*: {name}",)).fetchall()
            for (database,) in [*databases, (name,)]:
                server.drop_database(database)
            for role in ("operator", "platform", "app", "owner"):
                connection.execute(f"DROP ROLE IF EXISTS {prefix}_{role}")


@contextmanager
def on_sqlite(
    directory: Path, *, models: Any = Base, tenants: Iterable[str] = (), migrations: str | None = None
) -> Iterator[Tenancy]:
    """Lends an installation in a directory, with a file for each of *tenants*."""
    tenancy = Tenancy(f"sqlite:///{directory}", models=models, config=Config(migrations=migrations))
    tenancy.install(create_tables=True)
    for slug in tenants:
        tenancy.tenants.create(slug)
    try:
        yield tenancy
    finally:
        tenancy.close()


def make_anew(server: Any, tenancy: Tenancy, home: Home) -> None:
    """Drops a tenant's schema with all that was done to it, and makes it again as it was."""
    with server.admin(tenancy.servers.main.database) as admin:
        admin.execute(f"DROP SCHEMA IF EXISTS {home.physical} CASCADE")
    tenancy.servers.strategy(home.server, Isolation.SCHEMA).create(home.tenant)


def home_named(tenancy: Tenancy, name: str) -> Home:
    """Returns the home that findings call *name*."""
    return next(home for home in homes_of(tenancy) if str(home) == name)
