"""A program: deploys and reverts in children of its own, each killed before a statement it sends or a step it tells.

Answers with the child's exit status and how many statements it came to.
"""

from __future__ import annotations

import sys
from pathlib import Path
from types import FrameType
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from children import Count, Report, answer, die
from fleet.sqitch.models import Base

from tenantry import Config, Tenancy
from tenantry.events import Step, listen
from tenantry.fleet.history import Pace
from tenantry.fleet.homes import homes_of
from tenantry.fleet.sqitch import SqitchHistory


class Deaths(Count):
    """Hears of every statement before it is sent, psycopg's and SQLite's, and ends this process at the *last* one."""

    def __init__(self, last: int, report: Report) -> None:
        super().__init__(last)
        self._report = report
        sys.setprofile(self.hear)

    def hear(self, frame: FrameType, event: str, function: Any) -> None:
        if event == "c_call":
            name = getattr(function, "__name__", "")
            sends = name == "execute" and "sqlite3" in repr(getattr(function, "__self__", ""))
        else:
            called = (frame.f_globals.get("__name__"), frame.f_code.co_name)
            sends = event == "call" and called == ("psycopg.connection", "execute")
        if sends:
            self._report.write(statements=self.made + 1)
            self.one()


def die_at(name: str) -> None:
    """Ends this process before the step of that name."""

    def heard(step: Step) -> None:
        if step.operation == "fleet" and step.name == name:
            die()

    listen(heard)


def apply(job: dict[str, Any], report: Report) -> None:
    config = Config(role_prefix=job["prefix"]) if job["prefix"] else None
    tenancy = Tenancy(job["url"], models=Base, owner_url=job["owner_url"], config=config)
    history = SqitchHistory(tenancy, job["folder"])
    home = next(home for home in homes_of(tenancy) if home.key == job["home"])
    target = history.resolve(job["target"])
    Deaths(job["last"], report)
    die_at(job["step"])
    history.apply(home, target, pace=Pace())
    sys.setprofile(None)
    tenancy.close()


answer(apply)
