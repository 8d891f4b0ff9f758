"""A program: migrates one home in children of its own, each killed before one announced step.

Reads one job a line, answers one line each: the child's exit status and how many steps it was told of.
With --once it reads one job and does it itself, for who kills it from outside.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import uuid
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent.parent))

from fleet.applying.models import New

from tenantry import Config, Tenancy
from tenantry.events import Step, listen
from tenantry.fleet.history import Pace
from tenantry.fleet.homes import Home, HomeKind
from tenantry.fleet.scripts import AlembicHistory


def die_at(number: int, told: int) -> None:
    """Kills this process before the step of that number."""
    heard = 0

    def hear(step: Step) -> None:
        nonlocal heard
        if step.operation != "fleet":
            return
        heard += 1
        os.pwrite(told, f"{heard:8}".encode(), 0)
        if heard == number:
            os.kill(os.getpid(), signal.SIGKILL)

    listen(hear)


def migrate(job: dict[str, Any], told: int) -> None:
    config = Config(role_prefix=job["prefix"], migrations=job["migrations"])
    tenancy = Tenancy(job["url"], New, owner_url=job.get("owner_url"), config=config)
    tenant = uuid.UUID(job["tenant"]) if job["tenant"] else None
    home = Home("main", HomeKind(job["kind"]), job["physical"], tenant, job["slug"])
    die_at(job["at"], told)
    pace = Pace(lock_timeout=10.0, one_by_one=job["one_by_one"])
    AlembicHistory(tenancy).apply(home, job["target"], pace=pace)


def main() -> None:
    if "--once" in sys.argv:
        migrate(json.loads(sys.stdin.readline()), os.memfd_create("told"))
        return
    for line in sys.stdin:
        told = os.memfd_create("told")
        child = os.fork()
        if child == 0:
            migrate(json.loads(line), told)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        print(json.dumps([os.waitstatus_to_exitcode(status), int(os.pread(told, 8, 0) or 0)]), flush=True)
        os.close(told)


main()
