"""A properly installed PostgreSQL server with a tenant under each isolation, to be made ill and cured again."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import psycopg

from tenantry import Config, Tenancy
from tenantry.doctor import Report, examine

from .models import Base

ISOLATIONS = ("rows", "schema", "database")
LOGINS = ("app", "operator", "platform")


class Clinic:
    """One installation with roles of its own, real logins, and tenants in rows, a schema and a database."""

    def __init__(self, server: Any, *, owner: str, **choices: Any) -> None:
        self.server = server
        self.prefix = f"d{secrets.token_hex(4)}"
        self.database = server.create_database()
        self.config = Config(role_prefix=self.prefix, **choices)
        self.owner_url = server.url(self.database)
        self.roles = [f"{self.prefix}_{kind}" for kind in ("owner", "app", "platform", "operator")]
        if owner == "plain":
            self.owner_url = self._plain_owner()
        self.urls = self._install()
        if is_superuser(server.url()):
            # Else the embedded server's own mark would excuse whatever ails the app login.
            self.run(f"ALTER ROLE {self.app} SET tenantry.embedded = 'off'")
        self.well = True
        self.tenancy = self.open()
        self.tenants = {
            kind: self.tenancy.tenants.create(f"{kind}-{self.prefix}", isolation=kind, record={"name": kind})
            for kind in ISOLATIONS
        }

    @property
    def app(self) -> str:
        """The name of the app login."""
        return f"{self.prefix}_app_login"

    @property
    def schema(self) -> str:
        """The schema of the tenant that has one."""
        return self.tenants["schema"].physical

    @property
    def own_database(self) -> str:
        """The database of the tenant that has one."""
        return self.tenants["database"].physical

    def open(self, **urls: str | None) -> Tenancy:
        """Returns a tenancy with the logins of this installation, or those given in their place."""
        wanted = {
            "url": self.urls["app"],
            "owner_url": self.owner_url,
            "operator_url": self.urls["operator"],
            "platform_url": self.urls["platform"],
            **urls,
        }
        return Tenancy(wanted.pop("url"), models=Base, config=self.config, **wanted)

    def examine(self) -> Report:
        """Returns what the doctor says now."""
        return examine(self.tenancy)

    def findings(self) -> list[Any]:
        """Returns what is at fault now, but for the age of a given server, which no test can help."""
        return [finding for finding in self.examine().findings if finding.code != "D701"]

    def assert_well(self) -> None:
        """Says that nothing is left of what a test planted, so that the next may have this installation."""
        assert self.findings() == []
        self.well = True

    def run(self, *statements: str, database: str | None = None) -> None:
        """Runs statements as the administrator."""
        with self.server.admin(database or self.database) as connection:
            for statement in statements:
                connection.execute(statement)

    def fill(self, text: str) -> str:
        """Returns *text* with the names of this installation in place of ``{app}`` and its like."""
        names = {kind: f"{self.prefix}_{kind}" for kind in ("owner", "app", "platform", "operator")}
        names |= {"login": self.app, "database": self.database, "t": self.schema, "d": self.own_database}
        return text.format(**names)

    def close(self) -> None:
        """Drops the databases, then the roles."""
        self.tenancy.close()
        with self.server.admin() as connection:
            question = "SELECT datname FROM pg_database WHERE shobj_description(oid, 'pg_database') ~ %s"
            marked = connection.execute(question, (f"^tenantry.*: {self.database}",)).fetchall()
            for name in {self.own_database, self.database, *(name for (name,) in marked)}:
                self.server.drop_database(name)
            logins = [f"{self.prefix}_{kind}_login" for kind in LOGINS]
            for role in [*logins, *reversed(self.roles), f"{self.prefix}_boss"]:
                connection.execute(f"DROP ROLE IF EXISTS {role}")

    def _plain_owner(self) -> str:
        """Makes an owner as managed servers give it: it may create roles and databases, and is no superuser."""
        boss, password = f"{self.prefix}_boss", secrets.token_urlsafe(16)
        with self.server.admin() as connection:
            connection.execute(f"CREATE ROLE {boss} LOGIN CREATEROLE CREATEDB PASSWORD '{password}'")
            connection.execute(f"GRANT {boss} TO CURRENT_USER")
            connection.execute(f"ALTER DATABASE {self.database} OWNER TO {boss}")
        return self.server.url(self.database, login=boss, password=password)

    def _install(self) -> dict[str, str]:
        tenancy = Tenancy(self.owner_url, models=Base, owner_url=self.owner_url, config=self.config)
        try:
            tenancy.install(create_tables=True)
            return {kind: tenancy.create_login(f"{self.prefix}_{kind}_login", role=kind) for kind in LOGINS}
        finally:
            tenancy.close()


@contextmanager
def opened(server: Any, *, owner: str = "superuser", **choices: Any) -> Iterator[Clinic]:
    """Lends an installation and takes it down again; *choices* are its configuration's."""
    clinic = Clinic(server, owner=owner, **choices)
    try:
        yield clinic
    finally:
        clinic.close()


def is_superuser(url: str) -> bool:
    """Whether the login of a URL is a superuser."""
    with psycopg.connect(url) as connection:
        return connection.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user").fetchone() == (True,)


def secret_of(url: str) -> str:
    """Returns the password in a URL."""
    return urlsplit(url).password or ""
