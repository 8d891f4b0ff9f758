"""A program: moves tenants in children of its own, each killed at one announced step or one call of the library.

Answers with the child's exit status, the steps it came to, what it raised, and how many calls of the library it made.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from children import Count, Report, answer, die
from move.grounds import open_tenancy

from tenantry.events import Step, listen
from tenantry.move import Move


def die_at_step(job: dict[str, Any], report: Report) -> None:
    """Kills this process before the step of that name, at its *nth* time."""
    steps: list[str] = []

    def heard(step: Step) -> None:
        if step.operation != "move":
            return
        steps.append(step.name)
        report.write(steps=steps)
        if step.name == job.get("step") and steps.count(step.name) == job.get("nth", 1):
            die()

    listen(heard)
    report.write(steps=steps)


def move(job: dict[str, Any], report: Report) -> None:
    tenancy, _ = open_tenancy(job["urls"])
    die_at_step(job, report)
    work = getattr(Move(tenancy), job["verb"])
    calls = Count(job.get("calls", 0))
    calls.hear_calls()
    try:
        work(job["slug"], **job.get("options", {}))
    except Exception as error:  # the parent is told of it
        sys.setprofile(None)
        report.write(error=f"{type(error).__name__}: {error}", calls=calls.made)
        os._exit(1)
    sys.setprofile(None)
    report.write(calls=calls.made)


if __name__ == "__main__":
    answer(move)
