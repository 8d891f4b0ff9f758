"""New tenants timed: a schema beside its bare DDL, a file beside a copy of its template, and what is kept ready."""

from __future__ import annotations

import datetime
import os
import shutil
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import psycopg
from sqlalchemy import ForeignKey
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from bench.samples import table
from tenantry import Config, Tenancy
from tenantry.embedded import PostgresServer
from tenantry.ids import uuid7
from tenantry.models import TenantOwned
from tenantry.types import Isolation

TABLES: Final = 20
# As on a server whose data is worth something.
_DURABLE: Final = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}
_REVISION: Final = 'revision = "0001"\ndown_revision = None\n'

Turn = Callable[[int], object]


class Base(DeclarativeBase):
    """Twenty tables, each with an index, each but the first with a foreign key."""


def _table(number: int) -> None:
    kinds: dict[str, Any] = {"subject": Mapped[str], "n": Mapped[int], "at": Mapped[datetime.datetime]}
    columns: dict[str, Any] = {"n": mapped_column(index=True)}
    if number:
        kinds["parent_id"] = Mapped[uuid.UUID | None]
        columns["parent_id"] = mapped_column(ForeignKey(f"table_{number - 1:02}.id"))
    body = {"__tablename__": f"table_{number:02}", "__module__": __name__, "__annotations__": kinds, **columns}
    type(f"Table{number:02}", (TenantOwned, Base), body)


for _number in range(TABLES):
    _table(_number)


def report(rounds: int) -> None:
    """Prints everything, *rounds* of each contestant."""
    with _on_postgres() as (tenancy, owner_url):
        _schemas(tenancy, owner_url, rounds)
        _databases(tenancy, owner_url, max(5, rounds // 5))
        for isolation in ("schema", "database"):
            _claims(tenancy, isolation, rounds=max(5, rounds // 5))
    with _on_sqlite() as (tenancy, directory):
        _files(tenancy, directory, rounds)
        _claims(tenancy, "database", rounds=rounds)


@contextmanager
def _on_postgres() -> Iterator[tuple[Tenancy, str]]:
    with _scripts() as scripts, PostgresServer(settings=_DURABLE) as server:
        owner_url, config = server.url("bench"), Config(migrations=scripts)
        first = Tenancy(owner_url, models=Base, config=config)
        first.install(create_tables=True)
        app_url = first.create_login("bench_app")
        first.close()
        tenancy = Tenancy(app_url, models=Base, owner_url=owner_url, config=config)
        try:
            yield tenancy, owner_url
        finally:
            tenancy.close()


@contextmanager
def _on_sqlite() -> Iterator[tuple[Tenancy, Path]]:
    with _scripts() as scripts, tempfile.TemporaryDirectory() as directory:
        tenancy = Tenancy(f"sqlite:///{directory}/data", models=Base, config=Config(migrations=scripts))
        tenancy.install()
        try:
            yield tenancy, Path(directory) / "data"
        finally:
            tenancy.close()


@contextmanager
def _scripts() -> Iterator[str]:
    with tempfile.TemporaryDirectory() as directory:
        versions = Path(directory) / "versions"
        versions.mkdir()
        (versions / "0001.py").write_text(_REVISION)
        yield directory


def _schemas(tenancy: Tenancy, owner_url: str, rounds: int) -> None:
    """A schema with walls and grants, in one message of one connection, without the stamp of a revision."""
    blueprint = tenancy.servers.main.blueprint(None)  # type: ignore[union-attr]  # a PostgreSQL server
    strategy = tenancy.servers.strategy("main", Isolation.SCHEMA)
    head = tenancy.scripts.head()
    with psycopg.connect(owner_url, autocommit=True) as owner:

        def bare(turn: int) -> None:
            owner.execute(f"SET LOCAL search_path = bare_{turn}; {blueprint.schema(f'bare_{turn}')}")

        contestants: dict[str, Turn] = {
            "bare DDL, one message": bare,
            "the placement alone": lambda _: strategy.create(uuid7(), head=head),
            "tenants.create, whole": lambda turn: tenancy.tenants.create(f"schema-{turn}", isolation="schema"),
        }
        print(table(f"PostgreSQL, a schema of {TABLES} tables", _timed(contestants, rounds)), flush=True)


def _databases(tenancy: Tenancy, owner_url: str, rounds: int) -> None:
    tenancy.tenants.create("first-database", isolation="database")
    with psycopg.connect(owner_url, autocommit=True) as owner:
        found = owner.execute("select datname from pg_database where datname like 'tenantry_template_%'").fetchone()
        assert found

        def bare(turn: int) -> None:
            owner.execute(f"CREATE DATABASE bare_{turn} TEMPLATE {found[0]} STRATEGY wal_log")

        contestants: dict[str, Turn] = {
            "bare CREATE DATABASE from the template": bare,
            "tenants.create, whole": lambda turn: tenancy.tenants.create(f"database-{turn}", isolation="database"),
        }
        print(table(f"PostgreSQL, a database of {TABLES} tables", _timed(contestants, rounds)), flush=True)


def _files(tenancy: Tenancy, directory: Path, rounds: int) -> None:
    strategy = tenancy.servers.strategy("main", Isolation.DATABASE)
    head = tenancy.scripts.head()
    tenancy.tenants.create("first-file")
    (template,) = directory.glob("template*.sqlite3")
    copies = directory.parent / "copies"
    copies.mkdir()
    for fold in range(256):
        # A server with some hundred tenants has them all: making one is paid once.
        (directory / f"{fold:02x}").mkdir(mode=0o700, exist_ok=True)

    def bare(turn: int) -> None:
        path = copies / f"{turn}.sqlite3"
        shutil.copyfile(template, path)
        descriptor = os.open(path, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)

    contestants: dict[str, Turn] = {
        "copy and fsync of the template": bare,
        "the placement alone": lambda _: strategy.create(uuid7(), head=head),
        "tenants.create, whole": lambda turn: tenancy.tenants.create(f"file-{turn}"),
    }
    print(table(f"SQLite, a file of {TABLES} tables", _timed(contestants, rounds)), flush=True)


def _claims(tenancy: Tenancy, isolation: str, *, rounds: int) -> None:
    tenancy.tenants.warm(isolation, size=rounds + 1)
    contestants: dict[str, Turn] = {
        "tenants.create, a placement kept ready": lambda turn: tenancy.tenants.create(
            f"warm-{isolation}-{turn}", isolation=isolation
        )
    }
    where = tenancy.servers.main.kind
    print(table(f"A claim, {isolation}, {where}", _timed(contestants, rounds, warm_up=1)), flush=True)


def _timed(contestants: dict[str, Turn], rounds: int, *, warm_up: int = 2) -> dict[str, list[float]]:
    """Times each contestant in every round; who goes first changes, as one round's writes are the next one's wait."""
    samples: dict[str, list[float]] = {name: [] for name in contestants}
    names = list(contestants)
    for turn in range(-warm_up, rounds):
        names.append(names.pop(0))
        for name in names:
            begun = time.perf_counter()
            contestants[name](turn + warm_up)
            if turn >= 0:
                samples[name].append(time.perf_counter() - begun)
    return samples
