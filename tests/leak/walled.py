"""The cells under test: Tenancy itself, installed by an owner, entered by a login that may do nothing but work."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from tenantry import Config, Tenancy
from tenantry.ids import physical_name
from tenantry.models import Platform, Shared, TenantOwned, TenantRecord

from . import models as declared
from .outside import Outside, PostgresOutside, SQLiteOutside
from .planted import plant_in_postgres, plant_in_sqlite
from .sides import Side, new_sides, plant

ISOLATIONS = {
    "postgresql-rows": "rows",
    "postgresql-schema": "schema",
    "postgresql-database": "database",
    "sqlite-file": "database",
    "sqlite-rows": "rows",
}
# Few connections, so that the next borrower of one is never far.
POOL = {"pool_size": 2, "max_overflow": 12, "pool_timeout": 10.0}


class Ground:
    """Two tenants of one cell."""

    shares_one_key = False
    outside: Outside

    def __init__(self, cell: str, tenancies: dict[str, Tenancy], models: Any, runner: asyncio.Runner) -> None:
        self.cell = cell
        self.models = models
        self.tenancies = tenancies
        self.runner = runner
        self.a, self.b = new_sides()
        self.tenants = {}
        for side in (self.a, self.b):
            side.slug = f"{side.slug}-{cell}"
        for side, other in ((self.a, None), (self.b, self.a)):
            self._create(side, twin=other.tickets[0] if other else None)
        with self.tenancy.platform() as session:
            session.add(models.Vendor(id=1, secret=f"{self.b.canary} vendor"))
            session.commit()

    @property
    def tenancy(self) -> Tenancy:
        return next(iter(self.tenancies.values()))

    def session(self, side: Side, *, read_only: bool = False, **options: Any) -> Any:
        return self.tenancy.session(side.id, read_only=read_only, **options)

    def async_session(self, side: Side, door: str, *, read_only: bool = False, **options: Any) -> Any:
        tenancy = self.tenancies.get(door, self.tenancy)
        return tenancy.aio.session(side.id, read_only=read_only, **options)

    def discard(self) -> None:
        for tenancy in self.tenancies.values():
            tenancy.close()
        self.runner.run(self._discard_async())

    def close(self) -> None:
        self.discard()
        self.outside.close()

    async def _discard_async(self) -> None:
        for tenancy in self.tenancies.values():
            await tenancy.aio.close()

    def _create(self, side: Side, *, twin: Any) -> None:
        tenant = self.tenancy.tenants.create(
            side.slug,
            name=f"{side.canary} tenant",
            isolation=ISOLATIONS[self.cell],
            settings={"secret": f"{side.canary} setting"},
            # A's nickname reads like B's slug: only the kind of the key tells the two apart.
            identities={"slack_team": f"{side.canary} team", **({} if twin else {"nickname": self.b.slug})},
            record={"name": f"{side.canary} company"},
        )
        self.tenants[side.slug] = tenant
        side.id = tenant.id
        with self.tenancy.transaction(tenant) as session:
            plant(session, self.models, side, extra={}, twin=twin)


class PostgresInstallation:
    """One database with Tenancy installed in it by a plain CREATEROLE login."""

    def __init__(self, server: Any) -> None:
        self.server = server
        self.prefix = f"leak{secrets.token_hex(3)}"
        self.models = declared.declare(
            TenantOwned, TenantRecord, shared=Shared, platform=Platform, product_key="tenantry_shared.products.code"
        )
        self.owner = self._make_owner()
        self.database = server.create_database()
        with server.admin() as connection:
            connection.execute(f'ALTER DATABASE "{self.database}" OWNER TO {self.prefix}_maker')
        self.tenancies = self._install()
        with self.tenancies["sync"].platform() as session:
            session.add(self.models.Product(code="desk", title="Desk"))
            session.commit()

    def url(self, database: str) -> str:
        return self.server.url(database)

    def close(self) -> None:
        with self.server.admin() as connection:
            names = connection.execute(
                "SELECT datname FROM pg_database WHERE datdba = %s::regrole", [f"{self.prefix}_maker"]
            ).fetchall()
            for (name,) in names:
                connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
            roles = connection.execute("SELECT rolname FROM pg_roles WHERE rolname LIKE %s", [f"{self.prefix}%"])
            for (role,) in sorted(roles.fetchall(), key=lambda row: row[0].endswith("_maker")):
                with contextlib.suppress(psycopg.Error):
                    connection.execute(sql.SQL("DROP OWNED BY {}").format(sql.Identifier(role)))
                connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(role)))

    def _make_owner(self) -> tuple[str, str]:
        login, password = f"{self.prefix}_maker", secrets.token_urlsafe(24)
        with self.server.admin() as connection:
            statement = sql.SQL("CREATE ROLE {} LOGIN CREATEROLE CREATEDB PASSWORD {}")
            connection.execute(statement.format(sql.Identifier(login), sql.Literal(password)))
        return login, password

    def _install(self) -> dict[str, Tenancy]:
        login, password = self.owner
        owner = self.server.url(self.database, login=login, password=password)
        config = Config(role_prefix=self.prefix, **POOL)
        first = Tenancy(owner, self.models.Base, owner_url=owner, config=config)
        first.install(create_tables=True)
        urls = {
            role: first.create_login(f"{self.prefix}_{role}_login", role=role)
            for role in ("app", "platform", "operator")
        }
        first.close()
        return {
            door: Tenancy(
                _with_driver(urls["app"], driver),
                self.models.Base,
                owner_url=owner,
                platform_url=urls["platform"],
                operator_url=urls["operator"],
                config=config,
            )
            for door, driver in (("sync", "psycopg"), ("async-asyncpg", "asyncpg"))
        }


def _take_large_objects_away(url: str) -> None:
    """Does what the doctor asks of a DBA where the owner is no superuser: PUBLIC may keep no large objects."""
    with psycopg.connect(url, autocommit=True) as connection:
        functions = connection.execute(
            "SELECT oid::regprocedure::text FROM pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace"
            " AND (proname LIKE 'lo\\_%' OR proname IN ('loread', 'lowrite'))"
        ).fetchall()
        for (function,) in functions:
            connection.execute(f"REVOKE EXECUTE ON FUNCTION pg_catalog.{function} FROM PUBLIC")


def _with_driver(url: str, driver: str) -> str:
    return f"postgresql+{driver}://{url.partition('://')[2]}"


class PostgresGround(Ground):
    """Two tenants in an installation of their own."""

    def __init__(self, cell: str, server: Any, runner: asyncio.Runner) -> None:
        installation = self.installation = PostgresInstallation(server)
        super().__init__(cell, installation.tenancies, installation.models, runner)
        databases = [installation.database]
        if cell == "postgresql-database":
            # The Shared rows were written before the tenants' databases stood.
            databases += [tenant.physical for tenant in self.tenants.values()]
            installation.tenancies["sync"].publish()
        for database in databases:
            _take_large_objects_away(installation.url(database))
            schemas = self._schemas() if database == installation.database else ["public"]
            plant_in_postgres(installation.url(database), schemas)
        self.outside = PostgresOutside([installation.url(database) for database in databases], self.a.id)
        self.outside.remember()

    @property
    def roles(self) -> list[str]:
        kinds = ("owner", "operator", "platform", "maker", "operator_login", "platform_login")
        return [f"{self.installation.prefix}_{kind}" for kind in kinds]

    def close(self) -> None:
        super().close()
        self.installation.close()

    def spellings(self, table: str) -> list[str]:
        own = physical_name(self.b.id)
        return [f"public.{table}", f'"{own}".{table}', f'"{own}".public.{table}']

    def files(self) -> list[str]:
        return []

    def catalog_files(self) -> list[str]:
        return []

    def _schemas(self) -> list[str]:
        if self.cell == "postgresql-schema":
            return [tenant.physical for tenant in self.tenants.values()]
        return ["public"] if self.cell == "postgresql-rows" else []


class SQLiteGround(Ground):
    """Two tenants in a directory of SQLite files."""

    def __init__(self, cell: str, directory: Path, runner: asyncio.Runner) -> None:
        self.directory = directory
        models = declared.declare(
            TenantOwned, TenantRecord, shared=Shared, platform=Platform, product_key="tenantry_shared.products.code"
        )
        tenancy = Tenancy(f"sqlite:///{directory}", models.Base, config=Config(**POOL))
        tenancy.install(create_tables=True)
        with tenancy.platform() as session:
            session.add(models.Product(code="desk", title="Desk"))
            session.commit()
        tenancy.publish()
        super().__init__(cell, {"sync": tenancy}, models, runner)
        self.discard()
        for file in self._files_with_tickets():
            plant_in_sqlite(file)
        files = [directory / "common.sqlite3", directory / "platform.sqlite3", *self._tenant_files()]
        self.outside = SQLiteOutside(files, self.a.id)
        self.outside.remember()

    def spellings(self, table: str) -> list[str]:
        return [f"main.{table}__rows", f"{table}__rows", f"main.{table}", f"temp.{table}", f"bravo.{table}"]

    def files(self) -> list[str]:
        if self.cell == "sqlite-rows":
            return [str(self.directory / "common.sqlite3")]
        return [str(self.directory / self.tenants[self.b.slug].physical)]

    def catalog_files(self) -> list[str]:
        return [str(self.directory / "catalog.sqlite3")]

    def _tenant_files(self) -> list[Path]:
        if self.cell == "sqlite-rows":
            return []
        return [self.directory / tenant.physical for tenant in self.tenants.values()]

    def _files_with_tickets(self) -> list[Path]:
        return self._tenant_files() or [self.directory / "common.sqlite3"]
