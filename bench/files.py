"""Reads in SQLite files: common tables behind their wall and a tenant's own file, beside plain SQLAlchemy."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, event, insert
from sqlalchemy.engine import Engine
from sqlalchemy.orm import Session

from bench.models import Base, PlainBase, PlainTicket, rows
from bench.samples import table
from bench.sessions import Turn, timed
from bench.stage import fill
from bench.work import WORK, Work
from tenantry import Config, Isolation, Tenancy, Tenant

_NEIGHBOURS = 20


def reads(rounds: int) -> None:
    """Prints reads of a tenant's rows by each way of keeping them apart."""
    with tempfile.TemporaryDirectory() as directory, _tenancy(Path(directory)) as tenancy:
        common = [tenancy.tenants.create(f"common-{n}", isolation=Isolation.ROWS) for n in range(_NEIGHBOURS)]
        own = tenancy.tenants.create("own", isolation=Isolation.DATABASE)
        for tenant in (*common, own):
            fill(tenancy, tenant)
        engine = _plain_engine(Path(directory), common)
        for name, (plain, walled) in WORK.items():
            if "insert" not in name:
                contestants = _contestants(tenancy, engine, common[0], own, plain, walled)
                print(table(f"SQLite, {name}", timed(contestants, rounds)), flush=True)
        engine.dispose()


def _contestants(
    tenancy: Tenancy, engine: Engine, common: Tenant, own: Tenant, plain: Work, walled: Work
) -> dict[str, Turn]:
    def unwalled(number: int) -> None:
        with Session(engine) as session:
            plain(session, common.id, number)

    def of(tenant: Tenant) -> Turn:
        def turn(number: int) -> None:
            with tenancy.session(tenant.slug, read_only=True) as session:
                walled(session, tenant.id, number)

        return turn

    return {
        "plain SQLAlchemy, filter by hand": unwalled,
        "tenancy.session, rows": of(common),
        "tenancy.session, own file": of(own),
    }


@contextmanager
def _tenancy(directory: Path) -> Iterator[Tenancy]:
    tenancy = Tenancy(f"sqlite:///{directory / 'ours'}", models=Base, config=Config(route_ttl=300.0))
    tenancy.install(create_tables=True)
    yield tenancy
    tenancy.close()


def _plain_engine(directory: Path, tenants: list[Tenant]) -> Engine:
    """Returns an engine with the same settings of the file and real transactions, as SQLAlchemy's manual has it."""
    engine = create_engine(f"sqlite:///{directory / 'plain.sqlite3'}")

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _: object) -> None:
        connection.isolation_level = None
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", "temp_store = MEMORY"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN")

    with engine.begin() as connection:
        PlainBase.metadata.create_all(connection)
        for tenant in tenants:
            connection.execute(insert(PlainTicket), rows(tenant.id))
    return engine
