"""Writers and readers who go on whatever happens, and note what they were told was done."""

from __future__ import annotations

import asyncio
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import func, select

from tenantry import Tenancy
from tenantry.errors import TenantMoved, TenantMoving

from .models import Ticket

# Between a writer's statement and its commit: whoever copies in that moment without a lock does not see the row.
PAUSE = 0.002


@dataclass
class Crowd:
    """What the writers and readers of one tenant saw."""

    tenancy: Tenancy
    tenant: uuid.UUID
    levels: tuple[str | None, ...]
    acknowledged: set[uuid.UUID] = field(default_factory=set)
    seen: Counter[str] = field(default_factory=Counter)
    strange: list[BaseException] = field(default_factory=list)
    stalls: list[float] = field(default_factory=list)
    over: bool = False

    def write(self, number: int) -> None:
        """Writes as one thread."""
        level = self.levels[number % len(self.levels)]
        while not self.over:
            with self._told() as begun, self.tenancy.session(self.tenant, isolation_level=level) as session:
                ticket = Ticket(subject="x")
                session.add(ticket)
                session.flush()
                time.sleep(PAUSE)
                session.commit()
                self._note(ticket.id, begun)

    def write_awaited(self, number: int) -> None:
        """Writes as three tasks of an event loop of its own."""
        with asyncio.Runner() as runner:
            runner.run(self._write_tasks(number))

    async def _write_tasks(self, number: int) -> None:
        async with asyncio.TaskGroup() as tasks:
            for task in range(3):
                tasks.create_task(self._write_task(number + task))
        await self.tenancy.aio.close()

    async def _write_task(self, number: int) -> None:
        level = self.levels[number % len(self.levels)]
        while not self.over:
            with self._told() as begun:
                async with self.tenancy.aio.session(self.tenant, isolation_level=level) as session:
                    ticket = Ticket(subject="x")
                    session.add(ticket)
                    await session.flush()
                    await asyncio.sleep(PAUSE)
                    await session.commit()
                    self._note(ticket.id, begun)
            await asyncio.sleep(0)

    def read(self, _: int) -> None:
        """Counts rows, of which there always are some."""
        while not self.over:
            with self._told(), self.tenancy.session(self.tenant, read_only=True) as session:
                found = session.scalar(select(func.count()).select_from(Ticket))
                self.seen["read" if found else "read as empty"] += 1
            time.sleep(PAUSE)

    def _note(self, ticket: uuid.UUID, begun: float) -> None:
        self.acknowledged.add(ticket)
        self.stalls.append(time.monotonic() - begun)

    @contextmanager
    def _told(self) -> Iterator[float]:
        try:
            yield time.monotonic()
        except (TenantMoved, TenantMoving) as error:
            self.seen[type(error).__name__] += 1
            time.sleep(PAUSE)
        except Exception as error:
            self.strange.append(error)
            self.over = True


@contextmanager
def crowd(tenancy: Tenancy, tenant: uuid.UUID, *, levels: tuple[str | None, ...], awaited: bool) -> Iterator[Crowd]:
    """Has three threads write, three tasks of a loop where that is wanted, and one thread read."""
    people = Crowd(tenancy, tenant, levels)
    work: list[Any] = [people.write, people.write, people.write, people.read]
    if awaited:
        work.append(people.write_awaited)
    threads = [threading.Thread(target=part, args=(number,)) for number, part in enumerate(work)]
    for thread in threads:
        thread.start()
    try:
        yield people
    finally:
        people.over = True
        for thread in threads:
            thread.join(timeout=60)
