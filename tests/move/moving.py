"""A program: moves tenants in children of its own, each killed at one announced step or one call of the library.

Reads one job a line, answers one line each: the child's exit status, the steps it came to, what it raised, and how many
calls of the library it made.
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

from move.grounds import open_tenancy

from tenantry.events import Step, listen
from tenantry.move import Move


class Report:
    """What the parent reads of a child, however it ends."""

    def __init__(self) -> None:
        self._file = os.memfd_create("report")
        self.steps: list[str] = []

    def write(self, **facts: Any) -> None:
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, json.dumps({"steps": self.steps, **facts}).encode(), 0)

    def read(self) -> dict[str, Any]:
        text = os.pread(self._file, 1 << 20, 0)
        os.close(self._file)
        return json.loads(text or "{}")


def die_at_step(job: dict[str, Any], report: Report) -> None:
    """Kills this process before the step of that name, at its *nth* time."""

    def heard(step: Step) -> None:
        if step.operation != "move":
            return
        report.steps.append(step.name)
        report.write()
        if step.name == job.get("step") and report.steps.count(step.name) == job.get("nth", 1):
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


def move(job: dict[str, Any], report: Report) -> None:
    tenancy, _ = open_tenancy(job["urls"])
    die_at_step(job, report)
    calls = Calls(job.get("calls", 0))
    work = getattr(Move(tenancy), job["verb"])
    try:
        work(job["slug"], **job.get("options", {}))
    except Exception as error:  # the parent is told of it
        sys.setprofile(None)
        report.write(error=f"{type(error).__name__}: {error}", calls=calls.made)
        os._exit(1)
    sys.setprofile(None)
    report.write(calls=calls.made)


def main() -> None:
    for line in sys.stdin:
        report = Report()
        child = os.fork()
        if child == 0:
            move(json.loads(line), report)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        print(json.dumps({"status": os.waitstatus_to_exitcode(status), **report.read()}), flush=True)


if __name__ == "__main__":
    main()
