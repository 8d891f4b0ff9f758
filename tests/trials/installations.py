"""Tenantry installed for a trial: on PostgreSQL with a login for each role, on SQLite in a directory."""

from __future__ import annotations

import uuid
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

from sqlalchemy.engine import make_url

from tenantry import Tenancy
from tenantry.settings import Config

from .models import Base, Ticket

ROLES = ("app", "operator", "platform")


class Installation(ABC):
    """One catalog with common tables; every tenancy made of it is one more process' view of it."""

    @abstractmethod
    def tenancy(self, *, driver: str = "", config: Config | None = None) -> Tenancy:
        """Returns a tenancy whose sessions hold to the walls."""

    @abstractmethod
    def close(self) -> None:
        """Removes what would outlive the trial."""

    def fill(self, *slugs: str, isolation: str = "rows", rows: int = 2) -> None:
        """Creates tenants; the subject of each of their tickets begins with their slug."""
        tenancy = self.tenancy()
        for slug in slugs:
            tenancy.tenants.create(slug, isolation=isolation, record={"name": slug})
            with tenancy.transaction(slug) as db:
                db.add_all(Ticket(subject=f"{slug}/{number}") for number in range(rows))
        tenancy.close()


class PostgresInstallation(Installation):
    """Installed in a database of its own by the server's administrator, used by logins without other rights."""

    def __init__(self, server: Any) -> None:
        self.server = server
        self.database = server.create_database()
        self.owner_url = server.url(self.database)
        self._mark = uuid.uuid4().hex[:10]
        owner = Tenancy(self.owner_url, models=Base, owner_url=self.owner_url)
        owner.install(create_tables=True)
        self.urls = {role: owner.create_login(f"trial_{role}_{self._mark}", role=role) for role in ROLES}
        owner.close()

    def tenancy(
        self, *, driver: str = "", config: Config | None = None, address: tuple[str, int] | None = None
    ) -> Tenancy:
        """Returns a tenancy on its logins; *address* is that of a proxy or a pooler in front of the server."""
        urls = {role: make_url(url) for role, url in self.urls.items()}
        if address:
            urls = {role: url.set(host=address[0], port=address[1]) for role, url in urls.items()}
        if driver:
            urls = {role: url.set(drivername=f"postgresql+{driver}") for role, url in urls.items()}
        text = {role: url.render_as_string(hide_password=False) for role, url in urls.items()}
        return Tenancy(
            text["app"],
            models=Base,
            owner_url=self.owner_url,
            operator_url=text["operator"],
            platform_url=text["platform"],
            config=config,
        )

    def close(self) -> None:
        """Drops the database, the tenants' own ones, and the logins."""
        with self.server.admin(self.database) as connection:
            own = connection.execute("select physical from tenantry.placements where isolation = 'database'").fetchall()
        for (name,) in own:
            self.server.drop_database(name)
        self.server.drop_database(self.database)
        with self.server.admin() as connection:
            for role in ROLES:
                connection.execute(f"DROP ROLE trial_{role}_{self._mark}")


class SqliteInstallation(Installation):
    """Installed in a directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        tenancy = self.tenancy()
        tenancy.install(create_tables=True)
        tenancy.close()

    def tenancy(self, *, driver: str = "", config: Config | None = None) -> Tenancy:
        return Tenancy(f"sqlite:///{self.directory}", models=Base, config=config)

    def close(self) -> None:
        """Removes nothing: the directory is the test run's own."""
