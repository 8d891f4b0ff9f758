"""A program: creates tenants in children of its own, each killed at one announced step or one call of the library.

Reads one job a line, answers one line each: the child's exit status, the identifier of the tenant it had begun, and,
where it came to its end, how many calls that took.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from trials.models import Base

from tenantry import Tenancy
from tenantry.events import Step, listen


def die_at_step(job: dict[str, Any], begun: int) -> None:
    """Kills this process before the step of that name, and tells which tenant is being made."""

    def heard(step: Step) -> None:
        if step.operation == "create":
            os.pwrite(begun, str(step.facts["tenant"]).encode(), 0)
            if step.name == job.get("step"):
                os.kill(os.getpid(), signal.SIGKILL)

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
                os.kill(os.getpid(), signal.SIGKILL)


def create(job: dict[str, Any], begun: int) -> None:
    tenancy = Tenancy(job["url"], models=Base, owner_url=job.get("owner_url"))
    die_at_step(job, begun)
    calls = Calls(job.get("calls", 0))
    tenancy.tenants.create(job["slug"], isolation=job["isolation"], record={"name": job["slug"]})
    os.pwrite(begun, f"{calls.made:8}".encode(), 36)


def main() -> None:
    for line in sys.stdin:
        begun = os.memfd_create("begun")
        child = os.fork()
        if child == 0:
            create(json.loads(line), begun)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        told = os.pread(begun, 44, 0).decode()
        print(json.dumps([os.waitstatus_to_exitcode(status), told[:36], int(told[36:] or 0)]), flush=True)
        os.close(begun)


main()
