"""Plain SQLAlchemy sessions for the models room: no walls, only a listener that stamps new rows."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Engine, MetaData, StaticPool, create_engine, event
from sqlalchemy.orm import Session

from tenantry.models import SHARED_SCHEMA, Walled, stamp


@pytest.fixture(scope="module")
def module_engine(postgres: Any) -> Iterator[Engine]:
    """An engine on a PostgreSQL database that the tests of one module use in turn."""
    with postgres.lend_database() as url:
        engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
        yield engine
        engine.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest, module_engine: Engine) -> Iterator[Engine]:
    """An engine on an empty database: SQLite in memory, then PostgreSQL."""
    if request.param == "sqlite":
        engine = sqlite_engine()
        yield engine
        engine.dispose()
        return
    with module_engine.begin() as connection:
        for schema in ("public", SHARED_SCHEMA):
            connection.exec_driver_sql(f"DROP SCHEMA IF EXISTS {schema} CASCADE")
            connection.exec_driver_sql(f"CREATE SCHEMA {schema}")
    yield module_engine


def sqlite_engine() -> Engine:
    """Returns an engine on an empty SQLite database that checks foreign keys and has a place for shared tables."""
    engine = create_engine("sqlite://", poolclass=StaticPool)

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: Any) -> None:
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute(f"ATTACH ':memory:' AS {SHARED_SCHEMA}")

    return engine


class StampedSession(Session):
    """A session that gives each new row to one tenant at flush."""

    def __init__(self, engine: Engine, tenant: uuid.UUID, **options: Any) -> None:
        super().__init__(engine, **options)
        self.tenant = tenant


@event.listens_for(StampedSession, "before_flush")
def _stamp_new(session: StampedSession, *_rest: Any) -> None:
    for row in session.new:
        if isinstance(row, Walled):
            assert stamp(row, session.tenant)


@event.listens_for(StampedSession, "before_attach")
def _stamp_record(session: StampedSession, row: object) -> None:
    if isinstance(row, Walled):
        stamp(row, session.tenant)


def created(metadata: MetaData, engine: Engine) -> Engine:
    """Returns *engine* with every table of *metadata* made."""
    metadata.create_all(engine)
    return engine
