"""Installations whose homes stand at revision a1, on PostgreSQL by an owner who is no superuser, and on SQLite."""

from __future__ import annotations

import contextlib
import functools
import secrets
import shutil
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg

from tenantry import Config, Tenancy
from tenantry.fleet.fingerprints import differences
from tenantry.fleet.fingerprints_homes import shapes_of
from tenantry.fleet.homes import Home, HomeKind, home_of, homes_of
from tenantry.fleet.owning import file_of
from tenantry.fleet.scripts import AlembicHistory

from .models import New, Old, OldTicket

MIGRATIONS = Path(__file__).parent / "migrations"
TICKETS = 20
ISOLATIONS = {HomeKind.SCHEMA: "schema", HomeKind.DATABASE: "database", HomeKind.FILE: "database"}


class World(ABC):
    """An installation without tenants but one in the common tables; each test makes homes of its own."""

    kinds: tuple[HomeKind, ...]

    def __init__(self) -> None:
        self._open: list[Any] = []
        self._old.install(create_tables=True)
        self.common = self._old.tenants.create("common", isolation="rows")
        fill(self._old, "common")
        for home in homes_of(self._old):
            self._reader.stamp(home, "a1")

    @functools.cached_property
    def _old(self) -> Tenancy:
        """What makes homes as they were before the first of the migrations under test."""
        tenancy = self.tenancy(Old)
        self._open.append(tenancy)
        return tenancy

    @functools.cached_property
    def _reader(self) -> AlembicHistory:
        return self.history()

    @abstractmethod
    def tenancy(self, models: Any, migrations: Path | None = None) -> Tenancy:
        """Returns a process' view of the installation; one without migrations makes homes without a revision."""

    @property
    @abstractmethod
    def place(self) -> dict[str, str]:
        """What another process needs to open the same."""

    @abstractmethod
    def columns(self, home: Home, table: str) -> set[str]:
        """Returns the columns of a table, none where it does not stand."""

    @abstractmethod
    def count(self, home: Home, table: str) -> int:
        """Returns how many rows a table has, whoever's they are."""

    @abstractmethod
    def connect(self, home: Home) -> Any:
        """Opens a connection to a home that its owner might open by hand; it commits every statement."""

    def history(self, migrations: Path = MIGRATIONS) -> AlembicHistory:
        """Returns the history of a process with the newest models."""
        tenancy = self.tenancy(New, migrations)
        history = AlembicHistory(tenancy)
        self._open += [history, tenancy]
        return history

    def home(self, kind: HomeKind) -> Home:
        """Returns a home at a1: the one of that kind, or that of a new tenant with twenty tickets."""
        if kind not in ISOLATIONS:
            return next(home for home in homes_of(self._old) if home.kind is kind)
        tenant = self._old.tenants.create(f"t-{secrets.token_hex(4)}", isolation=ISOLATIONS[kind])
        fill(self._old, tenant)
        home = home_of(tenant, self._old.servers.main)
        assert home is not None
        self._reader.stamp(home, "a1")
        return home

    def new_home(self, kind: HomeKind) -> Home:
        """Returns the home of a new tenant as the newest models make it, at the head of the migrations."""
        with contextlib.closing(self.tenancy(New, MIGRATIONS)) as tenancy:
            tenant = tenancy.tenants.create(f"t-{secrets.token_hex(4)}", isolation=ISOLATIONS[kind])
            home = home_of(tenant, tenancy.servers.main)
            assert home is not None
            return home

    @abstractmethod
    def remove(self, home: Home) -> None:
        """Takes a tenant's home away behind everybody's back."""

    @abstractmethod
    def stands(self, home: Home) -> bool:
        """Whether there is anything of a tenant's home."""

    def differences(self, one: Home, other: Home) -> list[str]:
        """Returns how the shapes of two homes differ."""
        found = shapes_of(self._old, [one, other])
        return differences(found[one], found[other], here=str(one), there=str(other))

    def revision(self, home: Home) -> str | None:
        """Returns at which revision a home stands."""
        return self._reader.read([home])[home]

    def close(self) -> None:
        """Closes what was opened."""
        for one in self._open:
            one.close()


class PostgresWorld(World):
    """As a managed server has it: the owner may make roles and databases, and is bound by its own walls."""

    kinds = (HomeKind.COMMON, HomeKind.SCHEMA, HomeKind.DATABASE)

    def __init__(self, server: Any) -> None:
        self._server = server
        self._prefix = f"a{secrets.token_hex(4)}"
        self.database = server.create_database()
        self.boss, password = f"{self._prefix}_boss", secrets.token_urlsafe(16).replace("-", "x")
        with server.admin() as connection:
            connection.execute(f"CREATE ROLE {self.boss} LOGIN CREATEROLE CREATEDB PASSWORD '{password}'")
            connection.execute(f"GRANT {self.boss} TO CURRENT_USER")
            connection.execute(f"ALTER DATABASE {self.database} OWNER TO {self.boss}")
        self.owner = server.url(self.database, login=self.boss, password=password)
        self.urls: dict[str, str] = {}
        with contextlib.closing(Tenancy(self.owner, Old, owner_url=self.owner, config=self._config(None))) as first:
            first.install()
            for role in ("app", "operator", "platform"):
                self.urls[role] = first.create_login(f"{self._prefix}_{role}_login", role=role)
        super().__init__()

    def tenancy(self, models: Any, migrations: Path | None = None) -> Tenancy:
        return Tenancy(
            self.urls["app"],
            models,
            owner_url=self.owner,
            operator_url=self.urls["operator"],
            platform_url=self.urls["platform"],
            config=self._config(migrations),
        )

    @property
    def place(self) -> dict[str, str]:
        return {"url": self.urls["app"], "owner_url": self.owner, "prefix": self._prefix}

    def columns(self, home: Home, table: str) -> set[str]:
        standing = "attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped"
        with contextlib.closing(self.connect(home)) as connection:
            return {
                name for (name,) in connection.execute(f"SELECT attname FROM pg_attribute WHERE {standing}", [table])
            }

    def count(self, home: Home, table: str) -> int:
        with self.admin(home) as connection:
            (count,) = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
            return int(count)

    def connect(self, home: Home) -> Any:
        base, _, _ = self.owner.rpartition("/")
        url = f"{base}/{home.physical}" if home.kind is HomeKind.DATABASE else self.owner
        schema = home.physical if home.kind is HomeKind.SCHEMA else "public"
        return psycopg.connect(url, options=f"-csearch_path={schema}", autocommit=True)

    def remove(self, home: Home) -> None:
        if home.kind is HomeKind.DATABASE:
            self._server.drop_database(home.physical)
            return
        with self._server.admin(self.database) as connection:
            connection.execute(f"DROP SCHEMA {home.physical} CASCADE")

    def stands(self, home: Home) -> bool:
        question = "SELECT 1 FROM pg_namespace WHERE nspname = %s UNION SELECT 1 FROM pg_database WHERE datname = %s"
        with self._server.admin(self.database) as connection:
            return connection.execute(question, [home.physical] * 2).fetchone() is not None

    @contextlib.contextmanager
    def admin(self, home: Home) -> Iterator[Any]:
        """Lends the administrator's connection, which no wall holds, to a home."""
        with self._server.admin(home.physical if home.kind is HomeKind.DATABASE else self.database) as connection:
            connection.execute(f"SET search_path = {home.physical if home.kind is HomeKind.SCHEMA else 'public'}")
            yield connection

    def close(self) -> None:
        super().close()
        with self._server.admin() as connection:
            owned = "SELECT datname FROM pg_database WHERE datdba = %s::regrole"
            databases = [name for (name,) in connection.execute(owned, [self.boss]).fetchall()]
        for name in databases:
            self._server.drop_database(name)
        with self._server.admin() as connection:
            logins = [f"{self._prefix}_{role}_login" for role in self.urls]
            groups = [f"{self._prefix}_{role}" for role in ("operator", "platform", "app", "owner", "boss")]
            for role in [*logins, *groups]:
                connection.execute(f"DROP ROLE IF EXISTS {role}")

    def _config(self, migrations: Path | None) -> Config:
        return Config(role_prefix=self._prefix, migrations=str(migrations) if migrations else None)


class SqliteWorld(World):
    """A directory."""

    kinds = (HomeKind.PLATFORM, HomeKind.COMMON, HomeKind.FILE)

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        super().__init__()

    def tenancy(self, models: Any, migrations: Path | None = None) -> Tenancy:
        config = Config(migrations=str(migrations) if migrations else None)
        return Tenancy(f"sqlite:///{self.directory}", models, config=config)

    @property
    def place(self) -> dict[str, str]:
        return {"url": f"sqlite:///{self.directory}", "prefix": "tenantry"}

    def columns(self, home: Home, table: str) -> set[str]:
        with contextlib.closing(self.connect(home)) as connection:
            return {name for (name,) in connection.execute("SELECT name FROM pragma_table_info(?)", [table])}

    def count(self, home: Home, table: str) -> int:
        with contextlib.closing(self.connect(home)) as connection:
            return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])

    def connect(self, home: Home) -> sqlite3.Connection:
        return sqlite3.connect(self.file(home), isolation_level=None, timeout=5.0)

    def remove(self, home: Home) -> None:
        self.file(home).unlink()

    def stands(self, home: Home) -> bool:
        return self.file(home).exists()

    def let_go(self, home: Home) -> None:
        """Closes what filled a home's file."""
        self._old.servers.main.engines.forget(home.physical)

    def file(self, home: Home) -> Path:
        """Returns the file of a home."""
        server: Any = self._old.servers.main
        return file_of(home, server)


def fill(tenancy: Tenancy, tenant: Any) -> None:
    """Gives a tenant its tickets."""
    with tenancy.transaction(tenant) as db:
        db.add_all(OldTicket(subject=f"Ticket {number}", number=number) for number in range(TICKETS))


def own_kinds(world: World) -> list[HomeKind]:
    """Returns the kinds of homes that belong to one tenant."""
    return [kind for kind in world.kinds if kind in ISOLATIONS]


def migrations_with(directory: Path, *, before: str = "d4", **revisions: str) -> Path:
    """Returns a copy of the migrations with more revisions, by name, each after the one before; other heads are cut."""
    copied = Path(shutil.copytree(MIGRATIONS, directory, ignore=shutil.ignore_patterns("__pycache__")))
    for path in copied.glob("versions/*.py"):
        if path.name[:2] > before:
            path.unlink()
    for name, body in revisions.items():
        head = f"import sqlalchemy as sa\nfrom alembic import op\n\nrevision = {name!r}\ndown_revision = {before!r}\n\n"
        (copied / "versions" / f"{name}.py").write_text(head + body)
        before = name
    return copied
