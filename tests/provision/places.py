"""Tenantry installed with migrations: on PostgreSQL with a login for each role, on SQLite in a directory."""

from __future__ import annotations

import dataclasses
import json
import signal
import subprocess
import sys
import uuid
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tenantry import Config, Tenancy
from tenantry.isolation.postgres import PostgresServer
from tenantry.isolation.sqlite import SqliteServer

from .models import Base

ROLES = ("app", "operator", "platform")


def write_revision(scripts: Path, name: str, down: object = None) -> None:
    """Writes a revision that changes nothing; who stands where is all that these tests ask."""
    versions = scripts / "versions"
    versions.mkdir(parents=True, exist_ok=True)
    body = "def upgrade() -> None:\n    pass\n\n\ndef downgrade() -> None:\n    pass\n"
    (versions / f"{name}.py").write_text(f"revision = {name!r}\ndown_revision = {down!r}\n\n\n{body}")


class Place(ABC):
    """One installation at revision ``0001``; every tenancy made of it is one more process' view of it."""

    kind: str
    isolations: tuple[str, ...]

    def __init__(self, scripts: Path) -> None:
        self.scripts = scripts
        self.config = Config(migrations=str(scripts))
        write_revision(scripts, "0001")

    @abstractmethod
    def tenancy(self, models: Any = Base, **choices: Any) -> Tenancy:
        """Returns a tenancy with every login; *choices* are those of Config, and ``seeds``."""

    @property
    @abstractmethod
    def addresses(self) -> dict[str, str]:
        """What another process needs to be at home here."""

    def run_killed(self, step: str, *, isolation: str, slug: str = "", size: int = 0) -> None:
        """Has another process create a tenant, or *size* placements, and be killed before that step."""
        job = {"step": step, "isolation": isolation, "slug": slug, "size": size, **self.addresses}
        job["config"] = {"migrations": str(self.scripts), "role_prefix": self.config.role_prefix}
        script = Path(__file__).with_name("creating.py")
        done = subprocess.run([sys.executable, script], input=json.dumps(job), text=True, timeout=120)
        assert done.returncode == -signal.SIGKILL

    @contextmanager
    def opened(self, models: Any = Base, **choices: Any) -> Iterator[Tenancy]:
        """Lends such a tenancy."""
        tenancy = self.tenancy(models, **choices)
        try:
            yield tenancy
        finally:
            tenancy.close()

    def chosen(self, choices: dict[str, Any]) -> dict[str, Any]:
        seeds = choices.pop("seeds", ())
        return {"config": dataclasses.replace(self.config, **choices), "seeds": seeds}


class PostgresPlace(Place):
    """Installed in a database of its own by the server's administrator, used by logins without other rights."""

    kind = "postgresql"
    isolations = ("schema", "database")

    def __init__(self, server: Any, scripts: Path, **choices: Any) -> None:
        super().__init__(scripts)
        self.config = dataclasses.replace(self.config, role_prefix=f"p{uuid.uuid4().hex[:8]}", **choices)
        self.server = server
        self.database = server.create_database()
        self.owner_url = server.url(self.database)
        owner = Tenancy(self.owner_url, models=Base, config=self.config)
        owner.install(create_tables=True)
        self.urls = {role: owner.create_login(f"{self.config.role_prefix}_{role}_1", role=role) for role in ROLES}
        owner.close()

    def tenancy(self, models: Any = Base, **choices: Any) -> Tenancy:
        owner_url = choices.pop("owner_url", self.owner_url)
        return Tenancy(
            self.urls["app"],
            models,
            owner_url=owner_url,
            operator_url=self.urls["operator"],
            platform_url=self.urls["platform"],
            **self.chosen(choices),
        )

    @property
    def addresses(self) -> dict[str, str]:
        return {"url": self.urls["app"], "owner_url": self.owner_url}

    def databases(self, pattern: str) -> list[str]:
        """Returns the databases of this installation whose names begin so."""
        question = (
            "select datname from pg_database where datname like %s and shobj_description(oid, 'pg_database') like %s"
        )
        with self.server.admin() as connection:
            return [name for (name,) in connection.execute(question, (f"{pattern}%", f"tenantry%: {self.database}%"))]

    def close(self) -> None:
        """Drops the databases and the roles."""
        for name in self.databases("t\\_"):
            self.server.drop_database(name)
        self.server.drop_database(self.database)
        with self.server.admin() as connection:
            roles = connection.execute(
                "select rolname from pg_roles where rolname like %s order by length(rolname) desc",
                (f"{self.config.role_prefix}\\_%",),
            ).fetchall()
            for (role,) in roles:
                connection.execute(f"DROP ROLE {role}")


class SqlitePlace(Place):
    """Installed in a directory."""

    kind = "sqlite"
    isolations = ("database",)

    def __init__(self, directory: Path, scripts: Path) -> None:
        super().__init__(scripts)
        self.directory = directory
        with self.opened() as tenancy:
            tenancy.install()

    def tenancy(self, models: Any = Base, **choices: Any) -> Tenancy:
        return Tenancy(self.addresses["url"], models, **self.chosen(choices))

    @property
    def addresses(self) -> dict[str, str]:
        return {"url": f"sqlite:///{self.directory}"}

    def close(self) -> None:
        """Removes nothing: the directory is the test run's own."""


def revision_of(tenancy: Tenancy, key: Any) -> str | None:
    """Returns at which revision a tenant's own home stands, as its owner reads it; None without a version table."""
    tenant = tenancy.tenants.get(key)
    return revision_in(tenancy.servers.get(tenant.server), tenant.isolation, tenant.physical)


def revision_in(server: PostgresServer | SqliteServer, isolation: str, physical: str) -> str | None:
    """Returns the same of a placement that may have no tenant."""
    if isinstance(server, SqliteServer):
        return sqlite_revision(server, physical)
    database = physical if isolation == "database" else None
    schema = physical if isolation == "schema" else server.config.common_schema
    return postgres_revision(server, schema, database)


def postgres_revision(server: PostgresServer, schema: str, database: str | None = None) -> str | None:
    with server.owner(action="Looking", database=database) as connection:
        if connection.execute("select to_regclass(%s)", (f"{schema}.alembic_version",)).fetchone()[0] is None:
            return None
        return str(connection.execute(f"select version_num from {schema}.alembic_version").fetchone()[0])


def sqlite_revision(server: SqliteServer, physical: str) -> str | None:
    with server.connection(physical) as connection:
        if not connection.exec_driver_sql("select 1 from sqlite_master where name = 'alembic_version'").first():
            return None
        return str(connection.exec_driver_sql("select version_num from alembic_version").scalar_one())
