"""A program: erases tenants and persons in children of its own, each killed at one announced step or call.

Reads one job a line and answers one line each: the child's exit status, and how many steps and calls there were where
it came to its end.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import uuid
from pathlib import Path
from types import FrameType
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from archive.erase.houses import Site

from tenantry.events import Step, listen

HEARD = ("erase", "backup")


class Count:
    """Counts something, and kills this process at the *last* one."""

    def __init__(self, last: int) -> None:
        self.last = last
        self.made = 0

    def one(self) -> None:
        self.made += 1
        if self.made == self.last:
            os.kill(os.getpid(), signal.SIGKILL)


def listen_to(steps: Count) -> None:
    def heard(step: Step) -> None:
        if step.operation in HEARD:
            steps.one()

    listen(heard)


def count_calls(calls: Count) -> None:
    def heard(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and frame.f_globals.get("__name__", "").startswith("tenantry."):
            calls.one()

    sys.setprofile(heard)


def erase(job: dict[str, Any], told: int) -> None:
    site = Site(Path(job["directory"]), job["url"], **job["logins"])
    tenant = site.tenancy.tenants.get(uuid.UUID(job["tenant"]))
    steps, calls = Count(job.get("steps", 0)), Count(job.get("calls", 0))
    listen_to(steps)
    count_calls(calls)
    if job["names"]:
        site.erasing.person(tenant, job["names"])
    else:
        site.erasing.tenant(tenant, confirm=tenant.slug)
    sys.setprofile(None)
    os.pwrite(told, json.dumps([steps.made, calls.made]).encode(), 0)


def main() -> None:
    for line in sys.stdin:
        told = os.memfd_create("told")
        child = os.fork()
        if child == 0:
            erase(json.loads(line), told)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        made = os.pread(told, 100, 0).decode() or "[0, 0]"
        print(json.dumps([os.waitstatus_to_exitcode(status), *json.loads(made)]), flush=True)
        os.close(told)


if __name__ == "__main__":
    main()
