"""A program: writers of one tenant that note every write the database acknowledged, on the disk, before the next.

Each writer is a child of its own. A write adds a ticket, raises a counter and takes away the ticket of ten writes ago;
a line of its journal is the number, the epoch of the place that took it, and when it began, when its commit was sent,
and when that came back. A job begins a crew, an empty line ends it; either is answered by a line.
"""

from __future__ import annotations

import asyncio
import json
import os
import select as polling
import sys
import time
import traceback
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from move.grounds import open_tenancy
from move.models import Counter, Ticket
from sqlalchemy import delete, update

from tenantry import Tenancy, TenantSession, errors
from tenantry.settings import Config

KEPT = 10
# Between two writes: there are to be many writers, and one machine.
REST = 0.03
# What tells a writer to begin anew, and that nothing was written.
AGAIN = (errors.TenantMoved, errors.TenantMoving)

Wrote = tuple[int, float]


def change(session: TenantSession, writer: int, number: int) -> Wrote:
    """Writes once, up to the commit."""
    session.add(Ticket(subject="written", mark=f"{writer}-{number}"))
    session.execute(update(Counter).where(Counter.name == f"writer {writer}").values(n=number))
    session.execute(delete(Ticket).where(Ticket.mark == f"{writer}-{number - KEPT}"))
    session.flush()
    return session.tenant.epoch, time.monotonic()


def write(tenancy: Tenancy, slug: str, writer: int, number: int, *, level: str | None) -> Wrote:
    """Writes through the synchronous door."""
    with tenancy.session(slug, isolation_level=level) as session:
        told = change(session, writer, number)
        session.commit()
    return told


async def write_async(tenancy: Tenancy, slug: str, writer: int, number: int, *, level: str | None) -> Wrote:
    """Writes through the other."""
    async with tenancy.aio.session(slug, isolation_level=level) as session:
        told = await session.run_sync(lambda sync: change(sync, writer, number))
        await session.commit()
    return told


class Writer:
    """Writes until the pipe *until* is closed."""

    def __init__(self, job: dict[str, Any], number: int, until: int) -> None:
        self._slug, self._number, self._until = job["slug"], number, until
        self._door = ("", "psycopg", "", "asyncpg")[number % 4]
        self._level = "REPEATABLE READ" if number % 3 == 2 and not job["sqlite"] else None
        # Kept for so long that only a refusal tells of a move.
        driver = "asyncpg" if self._door == "asyncpg" else ""
        self._tenancy, _ = open_tenancy(job["urls"], config=Config(route_ttl=600), driver=driver)
        self._journal = os.open(f"{job['journal']}-{number}", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._runner = asyncio.Runner()

    def run(self) -> None:
        """Writes on and on."""
        number = 0
        while not polling.select([self._until], [], [], REST)[0]:
            number += 1
            self._turn(number)
        self._runner.run(self._tenancy.aio.close())
        self._runner.close()

    def _turn(self, number: int) -> None:
        begun = time.monotonic()
        while True:
            try:
                epoch, sent = self._write(number)
            except AGAIN:
                time.sleep(REST)
                continue
            self._note(f"{number} {epoch} {begun} {sent} {time.monotonic()}")
            return

    def _write(self, number: int) -> Wrote:
        given = (self._tenancy, self._slug, self._number, number)
        if self._door:
            return self._runner.run(write_async(*given, level=self._level))
        return write(*given, level=self._level)

    def _note(self, line: str) -> None:
        os.write(self._journal, f"{line}\n".encode())
        os.fsync(self._journal)


class Crew:
    """The writers of one job."""

    def __init__(self, job: dict[str, Any]) -> None:
        until, self._going = os.pipe()
        self._children = [self._begin(job, number, until) for number in range(job["writers"])]
        os.close(until)

    def _begin(self, job: dict[str, Any], number: int, until: int) -> int:
        child = os.fork()
        if child:
            return child
        os.close(self._going)
        try:
            Writer(job, number, until).run()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)

    def end(self) -> list[int]:
        """Returns how each writer ended."""
        os.close(self._going)
        return [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in self._children]


def main() -> None:
    crew = None
    for line in sys.stdin:
        if line.strip():
            crew = Crew(json.loads(line))
            print("begun", flush=True)
        elif crew is not None:
            print(json.dumps(crew.end()), flush=True)
            crew = None
    if crew is not None:
        crew.end()


if __name__ == "__main__":
    main()
