"""A program: forks children after its pools are full; all of them read as tenants at once; prints what they saw."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from sqlalchemy import select, text
from trials.models import Base, Ticket

from tenantry import Tenancy
from tenantry.isolation import engines
from tenantry.settings import Config


def read(tenancy: Tenancy, slugs: list[str], queries: int) -> dict[str, Any]:
    seen: dict[str, Any] = {"right": 0, "wrong": 0, "errors": []}
    for number in range(queries):
        slug = slugs[number % len(slugs)]
        try:
            with tenancy.session(slug) as db:
                raw = db.execute(text("select subject from tickets")).scalars().all()
                mapped = db.scalars(select(Ticket.subject)).all()
        except Exception as error:
            seen["errors"].append(repr(error)[:200])
        else:
            right = raw and all(subject.partition("/")[0] == slug for subject in [*raw, *mapped])
            seen["right" if right else "wrong"] += 1
    return seen


def limit_if_careless(task: dict[str, Any]) -> None:
    """Ends this process after a while where two may wait for each other's answers for ever."""
    if task.get("careless"):
        signal.alarm(10)


def in_child(tenancy: Tenancy, task: dict[str, Any]) -> tuple[int, int]:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        limit_if_careless(task)
        with os.fdopen(writing, "w") as answer:
            json.dump(read(tenancy, task["slugs"], task["queries"]), answer)
        os._exit(0)
    os.close(writing)
    return child, reading


def main() -> None:
    task = json.load(sys.stdin)
    limit_if_careless(task)
    if task.get("careless"):
        engines.Engines.after_fork = lambda self: None  # type: ignore[method-assign]  # the fault to be seen
    config = Config(pool_size=1, max_overflow=0, connection_budget=3, pool_timeout=10.0)
    tenancy = Tenancy(task["url"], models=Base, owner_url=task["owner_url"], config=config)
    read(tenancy, task["slugs"], len(task["slugs"]))
    children = [in_child(tenancy, task) for _ in range(task["children"])]
    reports = [read(tenancy, task["slugs"], task["queries"])]
    for child, reading in children:
        with os.fdopen(reading) as answer:
            text_of = answer.read()
        os.waitpid(child, 0)
        reports.append(json.loads(text_of) if text_of else {"right": 0, "wrong": 0, "errors": ["a child died"]})
    tenancy.close()
    total = {key: sum(report[key] for report in reports) for key in ("right", "wrong")}
    print(json.dumps({**total, "errors": [error for report in reports for error in report["errors"]]}))


main()
