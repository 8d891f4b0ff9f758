"""One way to write a trial for the sync door and for both async drivers: as code on a session, run inside each."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from sqlalchemy.orm import Session
from sqlalchemy.util import await_only

from tenantry import Tenancy
from tenantry.settings import Config

from .installations import Installation

T = TypeVar("T")

POSTGRES_DOORS = {"sync": "psycopg", "async-psycopg": "psycopg", "async-asyncpg": "asyncpg"}


class Opened:
    """One door of a tenancy; ``run`` gives a session to code that is itself synchronous."""

    def __init__(self, tenancy: Tenancy, door: str) -> None:
        self.tenancy = tenancy
        self.door = door
        self._runner = asyncio.Runner()

    def run(self, slug: str, work: Callable[[Session], T]) -> T:
        """Returns what *work* returns for a session of the tenant; it ends its transactions itself."""
        if self.door == "sync":
            with self.tenancy.session(slug) as db:
                return work(db)
        return self._runner.run(self._run(slug, work))

    def drive(self, session: Session, statement: str) -> None:
        """Sends a statement on the driver's own connection, under SQLAlchemy."""
        driver: Any = session.connection().connection.driver_connection
        sent = driver.execute(statement)
        if self.door != "sync":
            await_only(sent)

    def close(self) -> None:
        if self.door != "sync":
            self._runner.run(self.tenancy.aio.close())
        self._runner.close()
        self.tenancy.close()

    async def _run(self, slug: str, work: Callable[[Session], T]) -> T:
        async with self.tenancy.aio.session(slug) as db:
            return await db.run_sync(work)


@contextlib.contextmanager
def opened(installation: Installation, door: str, **choices: Any) -> Iterator[Opened]:
    """Lends a door whose sessions share one connection, unless *choices* say otherwise."""
    config = Config(**{"pool_size": 1, "max_overflow": 0, **choices})
    found = Opened(installation.tenancy(driver=POSTGRES_DOORS.get(door, ""), config=config), door)
    try:
        yield found
    finally:
        found.close()
