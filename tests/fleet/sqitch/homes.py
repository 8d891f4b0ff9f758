"""Installations with an empty home of each kind, and what stands in a home, for comparing."""

from __future__ import annotations

import contextlib
import secrets
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from tenantry import Config, Tenancy
from tenantry.fleet.homes import Home, HomeKind, homes_of
from tenantry.isolation.registries import registry_file

from .models import Base

LOGINS = ("app", "operator", "platform")
REGISTRY = ("releases", "projects", "changes", "tags", "dependencies", "events")
# What differs between two deployments of the same, and how to order the rows all the same.
_OWN = {"installed_at", "created_at", "committed_at"}


class Installation:
    """Tenantry on PostgreSQL as a managed server has it: the owner is no superuser, each login has its own role."""

    def __init__(self, server: Any) -> None:
        self._server = server
        self.prefix = f"q{secrets.token_hex(4)}"
        self.database = server.create_database()
        boss, password = f"{self.prefix}_boss", secrets.token_urlsafe(16).replace("-", "x")
        with server.admin() as connection:
            connection.execute(f"CREATE ROLE {boss} LOGIN CREATEROLE CREATEDB PASSWORD '{password}'")
            connection.execute(f"GRANT {boss} TO CURRENT_USER")
            connection.execute(f"ALTER DATABASE {self.database} OWNER TO {boss}")
        self.owner = server.url(self.database, login=boss, password=password)
        self.config = Config(role_prefix=self.prefix)
        first = Tenancy(self.owner, models=Base, owner_url=self.owner, config=self.config)
        first.install()
        self.urls = {kind: first.create_login(f"{self.prefix}_{kind}_login", role=kind) for kind in LOGINS}
        first.close()
        with server.admin() as connection:
            # Else the embedded server's own mark would excuse whatever ails the app login.
            connection.execute(f"ALTER ROLE {self.prefix}_app_login SET tenantry.embedded = 'off'")
        self.tenancy = self.open()

    def open(self) -> Tenancy:
        """Returns a tenancy on this installation."""
        return Tenancy(
            self.urls["app"],
            models=Base,
            owner_url=self.owner,
            operator_url=self.urls["operator"],
            platform_url=self.urls["platform"],
            config=self.config,
        )

    def home(self, kind: HomeKind) -> Home:
        """Returns the common home, or an empty one of a new tenant's own."""
        if kind is HomeKind.COMMON:
            return next(home for home in homes_of(self.tenancy) if home.kind is kind)
        tenant = self.tenancy.tenants.create(f"t-{secrets.token_hex(4)}", isolation=kind.value)
        home = next(home for home in homes_of(self.tenancy) if home.tenant == tenant.id)
        with psycopg.connect(self.url(home), autocommit=True) as connection:
            for (name,) in connection.execute(
                "SELECT tablename FROM pg_tables WHERE schemaname = %s", (self.schema(home),)
            ).fetchall():
                connection.execute(sql.SQL("DROP TABLE {} CASCADE").format(sql.Identifier(self.schema(home), name)))
        return home

    def schema(self, home: Home) -> str:
        """Returns the schema in which a home's own tables stand."""
        return home.physical if home.kind is HomeKind.SCHEMA else self.config.common_schema

    def url(self, home: Home) -> str:
        """Returns the owner's URL of the database that a home is in."""
        base, _, _ = self.owner.rpartition("/")
        return f"{base}/{home.physical}" if home.kind is HomeKind.DATABASE else self.owner

    def connect(self, home: Home) -> Any:
        """Opens the owner's connection to a home."""
        return psycopg.connect(self.url(home), options=f"-csearch_path={self.schema(home)}", autocommit=True)

    @contextlib.contextmanager
    def admin(self, home: Home) -> Iterator[Any]:
        """Opens the administrator's connection to a home."""
        with self._server.admin(home.physical if home.kind is HomeKind.DATABASE else self.database) as connection:
            connection.execute(f"SET search_path = {self.schema(home)}")
            yield connection

    def close(self) -> None:
        """Drops the databases, then the roles."""
        own = [home.physical for home in homes_of(self.tenancy) if home.kind is HomeKind.DATABASE]
        self.tenancy.close()
        for name in [*own, self.database]:
            self._server.drop_database(name)
        with self._server.admin() as connection:
            logins = [f"{self.prefix}_{kind}_login" for kind in LOGINS]
            groups = [f"{self.prefix}_{kind}" for kind in ("operator", "platform", "app", "owner", "boss")]
            for role in [*logins, *groups]:
                connection.execute(f"DROP ROLE IF EXISTS {role}")


class Directory:
    """Tenantry on SQLite."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.tenancy = Tenancy(f"sqlite:///{directory}", models=Base)
        self.tenancy.install()

    def home(self) -> Home:
        """Returns the home of a new tenant whose file is empty."""
        tenant = self.tenancy.tenants.create(f"t-{secrets.token_hex(4)}", isolation="database")
        home = next(home for home in homes_of(self.tenancy) if home.tenant == tenant.id)
        with self.connect(home) as connection:
            connection.execute("PRAGMA foreign_keys = OFF")
            for table in ("notes", "tickets", "companies"):
                connection.execute(f"DROP TABLE {table}")
        return home

    def file(self, home: Home) -> Path:
        """Returns a home's file."""
        return self.directory / home.physical

    @contextlib.contextmanager
    def connect(self, home: Home) -> Iterator[sqlite3.Connection]:
        """Opens a home's file."""
        with contextlib.closing(sqlite3.connect(self.file(home), isolation_level=None)) as connection:
            yield connection

    def close(self) -> None:
        """Closes what is open."""
        self.tenancy.close()


def postgres_registry(connection: Any, schema: str) -> dict[str, list[dict[str, Any]]]:
    """Returns what a registry holds, without its own times, in the order in which it was written."""
    found = {}
    for table in REGISTRY:
        order = {"releases": "installed_at", "projects": "created_at", "dependencies": "change_id, dependency"}
        question = f'SELECT * FROM "{schema}".{table} ORDER BY {order.get(table, "committed_at")}'
        cursor = connection.execute(question)
        found[table] = [_row(cursor.description, row) for row in cursor.fetchall()]
    return found


def sqlite_registry(file: Path) -> dict[str, list[dict[str, Any]]]:
    """Returns what the registry beside a file holds, in the same way."""
    found = {}
    with contextlib.closing(sqlite3.connect(registry_file(file))) as connection:
        for table in REGISTRY:
            order = {"releases": "installed_at", "projects": "created_at", "dependencies": "change_id, dependency"}
            cursor = connection.execute(f"SELECT * FROM {table} ORDER BY {order.get(table, 'committed_at')}")
            found[table] = [_row(cursor.description, row) for row in cursor.fetchall()]
    return found


def _row(description: Any, row: Any) -> dict[str, Any]:
    return {column[0]: value for column, value in zip(description, row, strict=True) if column[0] not in _OWN}


_COLUMNS = """
select c.relname, c.relkind, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
       pg_get_expr(d.adbin, d.adrelid)
from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum
where c.relnamespace = %s::regnamespace and c.relkind in ('r', 'v') order by c.relname, a.attnum
"""
_CONSTRAINTS = """
select conrelid::regclass::text, conname, contype, replace(pg_get_constraintdef(oid), %s || '.', '')
from pg_constraint where connamespace = %s::regnamespace and contype <> 'n' order by 1, 2
"""
_INDEXES = (
    "select tablename, indexname, replace(indexdef, %s || '.', '') from pg_indexes where schemaname = %s order by 2"
)
_VIEWS = "select viewname, replace(definition, %s || '.', '') from pg_views where schemaname = %s order by 1"


def postgres_schema(connection: Any, schema: str, *, without: tuple[str, ...] = ()) -> list[list[Any]]:
    """Returns all that a schema holds but for its walls and rights."""
    connection.execute(f'SET search_path = "{schema}"')
    questions = [(_COLUMNS, 1), (_CONSTRAINTS, 2), (_INDEXES, 2), (_VIEWS, 2)]
    answers = [connection.execute(question, [schema] * marks).fetchall() for question, marks in questions]
    return [[row for row in rows if row[0] not in without] for rows in answers]


def sqlite_schema(connection: sqlite3.Connection) -> list[Any]:
    """Returns all that a file's schema holds, with the blanks of its statements evened out."""
    rows = connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY 1, 2").fetchall()
    return [(*row[:3], " ".join((row[3] or "").split())) for row in rows]
