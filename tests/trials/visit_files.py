"""A program: visits every tenant of a directory by both doors, with few open files allowed; prints what it saw."""

from __future__ import annotations

import asyncio
import json
import resource
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from sqlalchemy import select
from trials.models import Base, Ticket

from tenantry import Tenancy
from tenantry.settings import Config

seen: dict[str, Any] = {"right": 0, "errors": [], "most files": 0}


def judge(slug: str, subjects: list[str]) -> None:
    seen["right"] += all(subject == slug for subject in subjects) and bool(subjects)
    seen["most files"] = max(seen["most files"], len(list(Path("/proc/self/fd").iterdir())))


def visit(tenancy: Tenancy, slug: str) -> None:
    try:
        with tenancy.transaction(slug) as db:
            db.add(Ticket(subject=slug))
            db.flush()
            judge(slug, list(db.scalars(select(Ticket.subject))))
    except Exception as error:
        seen["errors"].append(repr(error)[:200])


async def visit_async(tenancy: Tenancy, slug: str, places: asyncio.Semaphore) -> None:
    try:
        async with places, tenancy.aio.transaction(slug) as db:
            db.add(Ticket(subject=slug))
            await db.flush()
            judge(slug, list(await db.scalars(select(Ticket.subject))))
    except Exception as error:
        seen["errors"].append(repr(error)[:200])


async def visit_all(tenancy: Tenancy, slugs: list[str]) -> None:
    places = asyncio.Semaphore(8)
    await asyncio.gather(*(visit_async(tenancy, slug, places) for slug in slugs))
    await tenancy.aio.close()


def main() -> None:
    task = json.load(sys.stdin)
    resource.setrlimit(resource.RLIMIT_NOFILE, (task["files"], task["files"]))
    tenancy = Tenancy(
        f"sqlite:///{task['directory']}", models=Base, config=Config(engine_limit=task["engine_limit"], pool_size=1)
    )
    slugs = [f"t{number}" for number in range(task["tenants"])]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda slug: visit(tenancy, slug), slugs))
    try:
        asyncio.run(visit_all(tenancy, slugs))
    except OSError as error:
        seen["errors"].append(repr(error))
    tenancy.close()
    print(json.dumps(seen))


main()
