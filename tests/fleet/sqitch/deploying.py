"""A program: deploys and reverts in children of its own, each killed before a statement it sends or a step it tells.

Reads one job a line, answers with the child's exit status and how many statements it came to.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from fleet.sqitch.models import Base

from tenantry import Config, Tenancy
from tenantry.events import Step, listen
from tenantry.fleet.history import Pace
from tenantry.fleet.homes import homes_of
from tenantry.fleet.sqitch import SqitchHistory


class Deaths:
    """Hears of every statement before it is sent, psycopg's and SQLite's, and ends this process at the *last* one."""

    def __init__(self, last: int, told: int) -> None:
        self._last = last
        self._told = told
        self._count = 0
        sys.setprofile(self.hear)

    def hear(self, frame: FrameType, event: str, function: Any) -> None:
        if event == "c_call":
            name = getattr(function, "__name__", "")
            sends = name == "execute" and "sqlite3" in repr(getattr(function, "__self__", ""))
        else:
            called = (frame.f_globals.get("__name__"), frame.f_code.co_name)
            sends = event == "call" and called == ("psycopg.connection", "execute")
        if sends:
            self._count += 1
            os.pwrite(self._told, f"{self._count:8}".encode(), 0)
            if self._count == self._last:
                os.kill(os.getpid(), signal.SIGKILL)


def die_at(name: str) -> None:
    """Ends this process before the step of that name."""

    def heard(step: Step) -> None:
        if step.operation == "fleet" and step.name == name:
            os.kill(os.getpid(), signal.SIGKILL)

    listen(heard)


def apply(job: dict[str, Any], told: int) -> None:
    config = Config(role_prefix=job["prefix"]) if job["prefix"] else None
    tenancy = Tenancy(job["url"], models=Base, owner_url=job["owner_url"], config=config)
    history = SqitchHistory(tenancy, job["folder"])
    home = next(home for home in homes_of(tenancy) if home.key == job["home"])
    target = history.resolve(job["target"])
    Deaths(job["last"], told)
    die_at(job["step"])
    history.apply(home, target, pace=Pace())
    sys.setprofile(None)
    tenancy.close()


def main() -> None:
    for line in sys.stdin:
        told = os.memfd_create("told")
        child = os.fork()
        if child == 0:
            apply(json.loads(line), told)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        print(json.dumps([os.waitstatus_to_exitcode(status), int(os.pread(told, 8, 0) or 0)]), flush=True)
        os.close(told)


main()
