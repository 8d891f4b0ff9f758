"""A program: advances adoptions in children of its own, each killed at one announced step or one call of the library.

Reads one job a line, answers one line each: the child's exit status, the names of the steps it came to, and how many
calls of the library's functions it made, where it came to its end.
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

from fleet.adopting import branches, handwritten, shop

from tenantry import Tenancy
from tenantry.events import Step, listen
from tenantry.fleet.adopting import Adoption
from tenantry.settings import Config

CASES: dict[str, Any] = {
    "shop": (shop.Base, shop.PLAN),
    "numbers": (handwritten.Base, handwritten.BY_NUMBER),
    "branch": (branches.Base, branches.plan("ulm")),
}


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_at_step(last: int | None, told: int) -> None:
    """Kills this process before the step of that number, and tells the names of those it came to."""
    names: list[str] = []

    def heard(step: Step) -> None:
        if step.operation == "adopt":
            if len(names) == last:
                die()
            names.append(step.name)
            os.pwrite(told, json.dumps(names).encode(), 16)

    listen(heard)


class Calls:
    """Counts the calls of the library's functions, and kills this process at the *last* one."""

    def __init__(self, last: int) -> None:
        self.last = last
        self.made = 0
        sys.setprofile(self.hear)

    def hear(self, frame: FrameType, event: str, _: object) -> None:
        if event == "call" and frame.f_globals.get("__name__", "").startswith("tenantry."):
            self.made += 1
            if self.made == self.last:
                die()


def advance(job: dict[str, Any], told: int) -> None:
    models, plan = CASES[job["case"]]
    tenancy = Tenancy(**job["urls"], models=models, config=Config(**job["config"]))
    adoption = Adoption(tenancy, plan, **job["options"])
    die_at_step(job.get("step"), told)
    calls = Calls(job.get("call", 0))
    adoption.advance()
    sys.setprofile(None)
    os.pwrite(told, f"{calls.made:16}".encode(), 0)


def main() -> None:
    for line in sys.stdin:
        told = os.memfd_create("told")
        child = os.fork()
        if child == 0:
            advance(json.loads(line), told)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        said = os.pread(told, 1 << 20, 0).replace(b"\0", b" ").decode()
        steps = json.loads(said[16:].strip() or "[]")
        print(json.dumps([os.waitstatus_to_exitcode(status), steps, int(said[:16].strip() or 0)]), flush=True)
        os.close(told)


if __name__ == "__main__":
    main()
