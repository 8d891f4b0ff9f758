"""A program: migrates one home in children of its own, each killed before one announced step.

Answers with the child's exit status and how many steps it was told of.
With --once it reads one job and does it itself, for who kills it from outside.
"""

from __future__ import annotations

import json
import sys
import uuid
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent.parent))

from children import Report, answer, die
from fleet.applying.models import New

from tenantry import Config, Tenancy
from tenantry.events import Step, listen
from tenantry.fleet.history import Pace
from tenantry.fleet.homes import Home, HomeKind
from tenantry.fleet.scripts import AlembicHistory


def die_at(number: int, report: Report) -> None:
    """Kills this process before the step of that number."""
    heard = 0

    def hear(step: Step) -> None:
        nonlocal heard
        if step.operation != "fleet":
            return
        heard += 1
        report.write(heard=heard)
        if heard == number:
            die()

    listen(hear)


def migrate(job: dict[str, Any], report: Report) -> None:
    config = Config(role_prefix=job["prefix"], migrations=job["migrations"])
    tenancy = Tenancy(job["url"], New, owner_url=job.get("owner_url"), config=config)
    tenant = uuid.UUID(job["tenant"]) if job["tenant"] else None
    home = Home("main", HomeKind(job["kind"]), job["physical"], tenant, job["slug"])
    die_at(job["at"], report)
    pace = Pace(lock_timeout=10.0, one_by_one=job["one_by_one"])
    AlembicHistory(tenancy).apply(home, job["target"], pace=pace)


if "--once" in sys.argv:
    migrate(json.loads(sys.stdin.readline()), Report())
else:
    answer(migrate)
