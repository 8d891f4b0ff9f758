"""A program: an application whose router never learns that its tenant has moved, and that goes on with what it knows.

It opens the tenant once. Then for each line it is sent it writes and reads in every way it can, and answers how many
writes were accepted, how many reads found nothing, how many found rows, and what was raised instead.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from move.grounds import open_tenancy
from move.models import Folder, Ticket
from sqlalchemy import delete, insert, select, text, update

from tenantry import TenantSession

Use = Callable[[TenantSession], Any]


def add(session: TenantSession) -> None:
    session.add(Folder(name="late"))
    session.flush()


def bulk(session: TenantSession) -> None:
    session.execute(insert(Folder), [{"name": "late 1"}, {"name": "late 2"}])


def change(session: TenantSession) -> Any:
    return session.execute(update(Ticket).values(subject="late")).rowcount


def remove(session: TenantSession) -> Any:
    return session.execute(delete(Ticket).where(Ticket.subject == "late")).rowcount


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

    def __init__(self, job: dict[str, Any]) -> None:
        self._slug, self._door = job["slug"], job["door"]
        self._levels = (None, "REPEATABLE READ")
        self.tenancy, _ = open_tenancy(job["urls"], driver="asyncpg" if self._door == "asyncpg" else "")
        self.runner = asyncio.Runner()
        self._try(read, None)
        # From here on nothing is forgotten, and nothing is too old.
        self.tenancy.router._kept.forget = lambda *_: None  # type: ignore[method-assign]  # what a frozen cache is
        self.tenancy.router._kept._clock = lambda: 0.0

    def go(self) -> dict[str, Any]:
        """Tries everything."""
        told: Counter[str] = Counter()
        for level in self._levels:
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


def main() -> None:
    stale = Stale(json.loads(sys.argv[1]))
    print("ready", flush=True)
    for _ in sys.stdin:
        print(json.dumps(stale.go()), flush=True)
    stale.runner.run(stale.tenancy.aio.close())


if __name__ == "__main__":
    main()
