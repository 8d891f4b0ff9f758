"""A program: an application whose router never learns that its tenant has moved, and that goes on with what it knows.

Each of its processes opens the tenant once. Then, whenever it is told to go, it writes and reads in every way it can,
and answers how many writes were accepted, how many reads found nothing, how many found rows, and what was raised.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import uuid
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

sys.path.insert(0, str(Path(__file__).parent.parent))

from move.grounds import open_tenancy
from move.models import Folder, Page, Ticket
from sqlalchemy import delete, insert, select, text, update

from tenantry import TenantSession

Use = Callable[[TenantSession], Any]


def add(session: TenantSession) -> None:
    session.add(Folder(name=f"late {uuid.uuid4()}"))
    session.flush()


def bulk(session: TenantSession) -> None:
    own = session.tenant.id
    session.execute(insert(Page), [{"tenant_id": own, "title": "late"} for _ in range(2)])


def change(session: TenantSession) -> Any:
    return session.execute(update(Ticket).values(subject="late")).rowcount


def remove(session: TenantSession) -> Any:
    return session.execute(delete(Page).where(Page.title == "late")).rowcount


def raw(session: TenantSession) -> Any:
    return session.execute(text("UPDATE tickets SET subject = 'late'")).rowcount


def read(session: TenantSession) -> Any:
    return len(session.scalars(select(Ticket)).all())


def read_none(session: TenantSession) -> Any:
    """Asks for what no row fits: what is empty anyhow must not look empty at the old place either."""
    return 1 + len(session.scalars(select(Ticket).where(Ticket.subject == "there is none")).all())


def count(session: TenantSession) -> Any:
    return session.execute(text("SELECT count(*) FROM tickets")).scalar_one()


def lock(session: TenantSession) -> Any:
    return len(session.scalars(select(Ticket).with_for_update()).all())


WRITES: tuple[Use, ...] = (add, bulk, change, remove, raw)
READS: tuple[Use, ...] = (read, read_none, count, lock)


class Stale:
    """What goes on with what it knew."""

    def __init__(self, urls: dict[str, str], slug: str, door: str) -> None:
        self._slug, self._door = slug, door
        self.tenancy, _ = open_tenancy(urls, driver="asyncpg" if self._door == "asyncpg" else "")
        self.runner = asyncio.Runner()
        self._try(read, None)
        # From here on nothing is forgotten, and nothing is too old.
        self._lives = self.tenancy.router.route(slug)
        self.tenancy.router.kept = lambda _: self._lives  # type: ignore[method-assign]  # what a frozen cache is

    def go(self) -> dict[str, Any]:
        """Tries everything."""
        told: Counter[str] = Counter()
        postgresql = self.tenancy.servers.get(self._lives.tenant.server).kind == "postgresql"
        for level in (None, "REPEATABLE READ") if postgresql else (None,):
            for use in WRITES:
                told[self._told(use, level, "accepted", "accepted")] += 1
            for use in READS:
                told[self._told(use, level, "found", "empty")] += 1
        return dict(told)

    def _told(self, use: Use, level: str | None, well: str, empty: str) -> str:
        try:
            return well if self._try(use, level) != 0 else empty
        except Exception as error:  # whatever is raised is what was refused
            return type(error).__name__

    def _try(self, use: Use, level: str | None) -> Any:
        if self._door:
            return self.runner.run(self._try_async(use, level))
        with self.tenancy.session(self._slug, isolation_level=level) as session:
            found = use(session)
            session.commit()
        return found

    async def _try_async(self, use: Use, level: str | None) -> Any:
        async with self.tenancy.aio.session(self._slug, isolation_level=level) as session:
            found = await session.run_sync(use)
            await session.commit()
        return found


class Process:
    """A child that is asked and answers by a line."""

    def __init__(self, urls: dict[str, str], slug: str, door: str) -> None:
        asked, self._ask = os.pipe()
        self._answer, answered = os.pipe()
        self._pid = os.fork()
        if self._pid == 0:
            os.close(self._ask)
            _serve(Stale(urls, slug, door), asked, answered)
        os.close(asked)
        os.close(answered)

    def ask(self) -> dict[str, int]:
        """Returns what came of one try of everything."""
        os.write(self._ask, b"?")
        found: dict[str, int] = json.loads(os.read(self._answer, 1 << 16))
        return found

    def end(self) -> None:
        # Those forked later hold this pipe too, so its end would not be noticed.
        os.write(self._ask, b".")
        os.waitpid(self._pid, 0)
        os.close(self._ask)
        os.close(self._answer)


def _serve(stale: Stale, asked: int, answered: int) -> NoReturn:
    while os.read(asked, 1) == b"?":
        os.write(answered, json.dumps(stale.go()).encode())
    os._exit(0)


def main() -> None:
    crew: list[Process] = []
    for line in sys.stdin:
        if not line.strip():
            for process in crew:
                process.end()
            print("ended", flush=True)
        elif line.strip() == "go":
            told = Counter[str]()
            for process in crew:
                told.update(process.ask())
            print(json.dumps(told), flush=True)
        else:
            job = json.loads(line)
            crew = [Process(job["urls"], job["slug"], door) for door in job["doors"]]
            print("ready", flush=True)


if __name__ == "__main__":
    main()
