"""Installations to migrate: on PostgreSQL as a managed server has it, where the owner is no superuser; on SQLite."""

from __future__ import annotations

import contextlib
import io
import secrets
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
from alembic.operations import Operations
from psycopg import sql
from sqlalchemy import Connection, text

from tenantry import Config, Tenancy
from tenantry.fleet import revisions
from tenantry.fleet.environment import migration_context, operations, owner_engine, script_directory
from tenantry.fleet.homes import Home, common_homes, home_of
from tenantry.fleet.owning import file_of
from tenantry.fleet.sites import Site

from . import models

LOGINS = ("app", "operator", "platform")


class Place(ABC):
    """One installation with two tenants in common tables and a scripts directory."""

    on_postgres: bool
    tenancy: Tenancy

    def __init__(self, directory: Path, *, create_tables: bool = True, **choices: Any) -> None:
        self._opened: list[Tenancy] = []
        self.models = models.declare()
        self.directory = directory
        self.scripts = directory / "migrations"
        revisions.init(self.scripts, app="shop:tenancy")
        self.prefix = f"o{secrets.token_hex(4)}"
        self.config = Config(migrations=str(self.scripts), role_prefix=self.prefix, **choices)
        self._install(create_tables=create_tables)

    @abstractmethod
    def _install(self, *, create_tables: bool) -> None:
        """Installs it and opens the first tenancy."""

    def close(self) -> None:
        """Leaves nothing behind."""
        for tenancy in self._opened:
            tenancy.close()

    def open(self, base: Any) -> Tenancy:
        """Returns a tenancy with other models on the same installation."""
        self._opened.append(self._open(base))
        return self._opened[-1]

    @abstractmethod
    def _open(self, base: Any) -> Tenancy:
        """Returns a tenancy with every login."""

    @abstractmethod
    def environment(self) -> dict[str, str]:
        """Returns the variables by which another process finds the installation."""

    @property
    def common(self) -> Home:
        """The home of the common tables."""
        return common_homes(self.tenancy.servers.main)[-1]

    def populate(self, *, tickets: int = 3) -> list[Any]:
        """Makes two tenants in the common tables, each with tickets, and returns them."""
        names = self.models
        made = [
            self.tenancy.tenants.create(slug, isolation="rows", record={"name": slug}) for slug in ("north", "south")
        ]
        for tenant in made:
            with self.tenancy.transaction(tenant) as db:
                db.add_all(names.Ticket(subject=f"{tenant.slug} {number}", rank=number) for number in range(tickets))
        return made

    def own_home(self, isolation: str = "database") -> Home:
        """Returns the home of a new tenant that has one."""
        tenant = self.tenancy.tenants.create(f"own-{secrets.token_hex(3)}", isolation=isolation)
        home = home_of(tenant, self.tenancy.servers.main)
        assert home is not None
        return home

    def site(self, home: Home | None = None) -> Site:
        """Returns the home as operations see it."""
        return Site(self.tenancy, home or self.common)

    @contextlib.contextmanager
    def owner(self, home: Home | None = None) -> Iterator[Connection]:
        """Lends the owner's connection to a home, in a transaction that is committed."""
        with owner_engine(self.site(home)).connect() as connection, connection.begin():
            yield connection

    @contextlib.contextmanager
    def working(self, home: Home | None = None) -> Iterator[Operations]:
        """Lends what a revision knows as ``op``."""
        with (
            self.owner(home) as connection,
            operations(migration_context(self.site(home), connection=connection)) as op,
        ):
            yield op

    def migrate(self, home: Home, target: str = "head") -> None:
        """Brings a home to a revision as Alembic does."""
        scripts = script_directory(self.tenancy)

        def steps(current: Any, _: Any) -> Any:
            go = scripts._downgrade_revs if target == "base" else scripts._upgrade_revs
            return go(target, current)

        with self.owner(home) as connection:
            context = migration_context(self.site(home), connection=connection, fn=steps, script=scripts)
            with operations(context):
                context.run_migrations()

    def migrate_by_itself(self) -> None:
        """Brings the common home to the head in transactions that Alembic begins, as its command does."""
        scripts = script_directory(self.tenancy)
        options: dict[str, Any] = {"fn": lambda current, _: scripts._upgrade_revs("head", current), "script": scripts}
        with owner_engine(self.site()).connect() as connection:
            context = migration_context(self.site(), connection=connection, **options)
            with context.begin_transaction(), operations(context):
                context.run_migrations()

    def written(self) -> str:
        """Returns the SQL that brings the common home from the beginning to the head."""
        scripts, output = script_directory(self.tenancy), io.StringIO()
        options: dict[str, Any] = {"fn": lambda current, _: scripts._upgrade_revs("head", current), "script": scripts}
        context = migration_context(self.site(), output=output, **options)
        with context.begin_transaction(), operations(context):
            context.run_migrations()
        return output.getvalue()

    def write(self, name: str, *, upgrade: str, head: str = "head") -> None:
        """Makes a revision and fills it in."""
        file = revisions.revision(self.tenancy, name, autogenerate=False, rev_id=name, head=head, splice=head != "head")
        written = file.read_text(encoding="utf-8")
        file.write_text(written.replace("    pass", f"    {upgrade}", 1), encoding="utf-8")

    def compare(self, *, home: Home | None = None, base: Any = None) -> str:
        """Returns what autogenerate would write, and leaves no file."""
        tenancy = self.tenancy if base is None else self.open(base)
        file = revisions.revision(tenancy, "compared", homes=[home] if home else [])
        written = file.read_text(encoding="utf-8")
        file.unlink()
        return written

    @abstractmethod
    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Returns what every tenant has, read past the walls; ``{tickets}`` stands for the stored table."""


class PostgresPlace(Place):
    """A database of its own, owned by a login that is no superuser, and a login for each role."""

    on_postgres = True

    def __init__(self, server: Any, directory: Path, **options: Any) -> None:
        self.server = server
        super().__init__(directory, **options)

    def _install(self, *, create_tables: bool) -> None:
        self.database = self.server.create_database()
        boss, password = f"{self.prefix}_boss", secrets.token_urlsafe(16).replace("-", "x")
        with self.server.admin() as connection:
            connection.execute(f"CREATE ROLE {boss} LOGIN CREATEROLE CREATEDB PASSWORD '{password}'")
            connection.execute(f"GRANT {boss} TO CURRENT_USER")
            connection.execute(f'ALTER DATABASE "{self.database}" OWNER TO {boss}')
        self.owner_url = self.server.url(self.database, login=boss, password=password)
        first = Tenancy(self.owner_url, models=self.models.Base, owner_url=self.owner_url, config=self.config)
        first.install(create_tables=create_tables)
        self.urls = {kind: first.create_login(f"{self.prefix}_{kind}_login", role=kind) for kind in LOGINS}
        first.close()
        with self.server.admin() as connection:
            # Else the embedded server's own mark would excuse whatever ails the app login.
            connection.execute(f"ALTER ROLE {self.prefix}_app_login SET tenantry.embedded = 'off'")
        self.tenancy = self.open(self.models.Base)

    def _open(self, base: Any) -> Tenancy:
        return Tenancy(
            self.urls["app"],
            models=base,
            owner_url=self.owner_url,
            operator_url=self.urls["operator"],
            platform_url=self.urls["platform"],
            config=self.config,
        )

    def environment(self) -> dict[str, str]:
        return {
            "TENANTRY_URL": self.urls["app"],
            "TENANTRY_OWNER_URL": self.owner_url,
            "TENANTRY_OPERATOR_URL": self.urls["operator"],
            "TENANTRY_PLATFORM_URL": self.urls["platform"],
        }

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        names = {name: name for name in self.models.Base.metadata.tables}
        with self.server.admin(self.database) as connection:
            return connection.execute(query.format(**names)).fetchall()

    def close(self) -> None:
        super().close()
        with self.server.admin() as connection:
            owned = connection.execute(
                "SELECT datname FROM pg_database WHERE datdba = %s::regrole", [f"{self.prefix}_boss"]
            )
            for (name,) in owned.fetchall():
                connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
            roles = connection.execute("SELECT rolname FROM pg_roles WHERE rolname LIKE %s", [f"{self.prefix}%"])
            for (role,) in sorted(roles.fetchall(), key=lambda row: row[0].endswith("_boss")):
                with contextlib.suppress(psycopg.Error):
                    connection.execute(sql.SQL("DROP OWNED BY {}").format(sql.Identifier(role)))
                connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(role)))


class SqlitePlace(Place):
    """A directory of files."""

    on_postgres = False

    def _install(self, *, create_tables: bool) -> None:
        self.tenancy = self.open(self.models.Base)
        self.tenancy.install(create_tables=True)
        if not create_tables:
            for home in common_homes(self.tenancy.servers.main):
                self._empty(home)

    def _empty(self, home: Home) -> None:
        path = file_of(home, self.tenancy.servers.main)
        self.tenancy.close()
        for suffix in ("", "-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        path.touch(mode=0o600)

    def _open(self, base: Any) -> Tenancy:
        return Tenancy(f"sqlite:///{self.directory / 'data'}", models=base, config=self.config)

    def environment(self) -> dict[str, str]:
        return {"TENANTRY_URL": f"sqlite:///{self.directory / 'data'}"}

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        names = {name: f"{name}__rows" for name in self.models.Base.metadata.tables}
        with self.owner() as connection:
            return [tuple(row) for row in connection.execute(text(query.format(**names)))]
