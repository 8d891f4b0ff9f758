"""Where old shops stand: databases of one PostgreSQL server with an owner who is no superuser, and SQLite files."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import secrets
import shutil
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import make_url

from tenantry import Tenancy, TenantSession
from tenantry.doctor import examine
from tenantry.fleet.adopting import Adoption, Plan
from tenantry.models import SHARED_SCHEMA
from tenantry.settings import Config

from . import shop

LOGINS = ("app", "operator", "platform")


class Office:
    """The logins of one installation on a PostgreSQL server, and the old databases that are copied for each test.

    The boss owns the databases and is the owner's login; the clerk is the login of the old application.
    """

    def __init__(self, server: Any) -> None:
        self.server = server
        self.prefix = f"a{secrets.token_hex(4)}"
        self.config = Config(role_prefix=self.prefix)
        self.boss, self.clerk = f"{self.prefix}_boss", f"{self.prefix}_clerk"
        self._password = secrets.token_urlsafe(16)
        self._made: list[str] = []
        self._numbers = itertools.count()
        with server.admin() as connection:
            connection.execute(f"CREATE ROLE {self.boss} LOGIN CREATEROLE CREATEDB PASSWORD '{self._password}'")
            connection.execute(f"GRANT {self.boss} TO CURRENT_USER")
            connection.execute(f"CREATE ROLE {self.clerk} LOGIN PASSWORD '{self._password}'")
        first = self.create()
        with contextlib.closing(self._owner(first, shop.Base)) as owner:
            owner.install()
            self.urls = {role: owner.create_login(f"{self.prefix}_{role}_login", role=role) for role in LOGINS}

    def create(self, template: str = "template0") -> str:
        """Returns the name of a new database of the boss's."""
        name = f"{self.prefix}-{next(self._numbers)}"
        with self.server.admin() as connection:
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}" OWNER {self.boss}')
        self._made.append(name)
        return name

    def load(self, fill: Callable[[str], None]) -> str:
        """Returns the name of an old database: *fill* gets its URL and makes it what it is."""
        name = self.create()
        with self.server.admin(name) as connection:
            connection.execute(f"GRANT CREATE ON SCHEMA public TO {self.boss}")
        fill(self.url(name, self.boss))
        with self.server.admin(name) as connection:
            connection.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {self.clerk}")
            connection.execute(f"GRANT USAGE ON SCHEMA public TO {self.clerk}")
            connection.execute(f'GRANT CONNECT ON DATABASE "{name}" TO {self.clerk}')
        return name

    def url(self, database: str, login: str) -> str:
        return self.server.url(database, login=login, password=self._password)

    def open(self, template: str, *, models: Any = shop.Base, **config: Any) -> PostgresShop:
        """Returns a copy of an old database in which Tenantry was installed just now."""
        name = self.create(template)
        with self.server.admin() as connection:
            connection.execute(f'GRANT CONNECT ON DATABASE "{name}" TO {self.clerk}')
        with contextlib.closing(self._owner(name, models)) as owner:
            owner.install()
        return PostgresShop(self, name, models, Config(role_prefix=self.prefix, **config))

    def close(self) -> None:
        for name in reversed(self._made):
            self.server.drop_database(name)
        with self.server.admin() as connection:
            kinds = ("owner", "app", "platform", "operator")
            logins = [f"{self.prefix}_{role}_login" for role in LOGINS]
            for role in [*logins, *(f"{self.prefix}_{kind}" for kind in kinds), self.clerk, self.boss]:
                connection.execute(f"DROP ROLE IF EXISTS {role}")

    def forget(self, name: str) -> None:
        self.server.drop_database(name)
        self._made.remove(name)

    def _owner(self, name: str, models: Any) -> Tenancy:
        url = self.url(name, self.boss)
        return Tenancy(url, models=models, owner_url=url, config=self.config)


class PostgresShop:
    """One old database on its way, with the old application beside it."""

    source: str | None = None
    isolation: str | None = None

    def __init__(self, office: Office, name: str, models: Any, config: Config) -> None:
        self.office = office
        self.name = name
        self.models = models
        self.config = config
        # The clerk's: what the old application goes on doing meanwhile.
        self.old = engine_of(office.url(name, office.clerk))

    def urls(self) -> dict[str, str]:
        """Returns the URLs by which a tenancy reaches the database."""
        kinds = {kind: make_url(url).set(database=self.name) for kind, url in self.office.urls.items()}
        urls = {f"{kind}_url": url.render_as_string(hide_password=False) for kind, url in kinds.items()}
        return {"url": urls.pop("app_url"), **urls, "owner_url": self.office.url(self.name, self.office.boss)}

    def tenancy(self, **choices: Any) -> Tenancy:
        return Tenancy(**self.urls(), models=self.models, config=dataclasses.replace(self.config, **choices))

    def run(self, *statements: str) -> None:
        """Runs statements as the boss, who is the old application's owner too."""
        with self.office.server.admin(self.name) as connection:
            connection.execute(f"SET ROLE {self.office.boss}")
            for statement in statements:
                connection.execute(statement)

    def rows(self, question: str) -> list[Any]:
        """Returns what is there, whatever policies say: as the administrator."""
        with self.office.server.admin(self.name) as connection:
            return connection.execute(question).fetchall()

    def shape(self) -> list[Any]:
        """Returns all that the system catalog says of the application's tables, to be compared."""
        columns = (
            "select table_name, column_name, data_type, is_nullable, column_default from information_schema.columns"
        )
        return [
            self.rows(f"{columns} where table_schema in ('public', '{SHARED_SCHEMA}') order by 1, 2"),
            self.rows(
                "select conrelid::regclass::text, conname, pg_get_constraintdef(oid) from pg_constraint "
                "where connamespace = 'public'::regnamespace order by 1, 2"
            ),
            self.rows("select schemaname, tablename, indexdef from pg_indexes where schemaname = 'public' order by 3"),
            self.rows(
                "select relname, relrowsecurity, relforcerowsecurity, relkind from pg_class "
                "where relnamespace = 'public'::regnamespace order by 1"
            ),
            self.rows("select tgrelid::regclass::text, tgname from pg_trigger where not tgisinternal order by 1, 2"),
            self.rows(
                "select polrelid::regclass::text, polname, pg_get_expr(polqual, polrelid) from pg_policy order by 1"
            ),
            self.rows("select nspname from pg_namespace where nspname like 'tenantry_adopting%'"),
        ]

    def close(self) -> None:
        self.old.dispose()
        self.office.forget(self.name)


class SqliteShop:
    """One old file on its way to files of the tenants' own, or to the common file."""

    def __init__(self, directory: Path, template: Path, *, isolation: str, models: Any = shop.Base) -> None:
        self.directory = directory
        self.isolation = isolation
        self.models = models
        self.path = directory / "old.db"
        shutil.copy(template, self.path)
        self.source = f"sqlite:///{self.path}"
        self.old = engine_of(self.source)
        with contextlib.closing(self.tenancy()) as tenancy:
            tenancy.install()

    def urls(self) -> dict[str, str]:
        return {"url": f"sqlite:///{self.directory / 'data'}"}

    def tenancy(self, **choices: Any) -> Tenancy:
        return Tenancy(**self.urls(), models=self.models, config=Config(**choices))

    def run(self, *statements: str) -> None:
        with self.old.begin() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)

    def rows(self, question: str) -> list[Any]:
        with self.old.connect() as connection:
            return list(map(tuple, connection.exec_driver_sql(question).fetchall()))

    def shape(self) -> list[Any]:
        return self.rows("select type, name, sql from sqlite_master order by 1, 2")

    def close(self) -> None:
        self.old.dispose()


AnyShop = PostgresShop | SqliteShop


def engine_of(url: str) -> sa.Engine:
    """Returns an engine on an old database that keeps no connection and holds to foreign keys."""
    engine = sa.create_engine(url.replace("postgresql:", "postgresql+psycopg:"), poolclass=sa.NullPool)
    if engine.dialect.name == "sqlite":
        sa.event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA foreign_keys = ON"))
    return engine


@contextlib.contextmanager
def adopting(place: AnyShop, plan: Plan = shop.PLAN, **options: Any) -> Iterator[tuple[Tenancy, Adoption]]:
    """Lends a tenancy and the adoption of a shop."""
    with contextlib.closing(place.tenancy()) as tenancy:
        given = {"source": place.source, "isolation": place.isolation, "batch": 40, **options}
        yield tenancy, Adoption(tenancy, plan, **given)


def check_adopted(tenancy: Tenancy, counted: dict[str, dict[str, int]], *, identity: str = "customer_id") -> None:
    """Says that each tenant sees its rows by raw SQL and no others, and that the doctor is content."""
    keys = sorted(counted)
    for key, other in zip(keys, [*keys[1:], keys[0]], strict=True):
        with tenancy.session((identity, key)) as session:
            found = {name: session.scalar(sa.text(f"select count(*) from {name}")) for name in counted[key]}
            assert found == counted[key], key
            if other != key:
                check_walled(session, tenancy.tenants.get((identity, other)).id, counted[key])
    report = examine(tenancy)
    assert [str(finding) for finding in report.findings if finding.code != "D701"] == []


def check_walled(session: TenantSession, other: uuid.UUID, tables: dict[str, int]) -> None:
    """Says that raw SQL of one tenant neither finds nor takes another's rows."""
    spelled = other.hex if session.get_bind().dialect.name == "sqlite" else str(other)
    for name, rows in tables.items():
        assert session.scalar(sa.text(f"select count(*) from {name} where tenant_id = :t"), {"t": spelled}) == 0
        if rows:
            with pytest.raises(sa.exc.DBAPIError), session.begin_nested():
                session.execute(sa.text(f"update {name} set tenant_id = :t"), {"t": spelled})


def as_tenant_of(tenancy: Tenancy, key: str) -> TenantSession:
    """Opens a session by the name under which the old application knew the customer."""
    return tenancy.session(("customer_id", key))
