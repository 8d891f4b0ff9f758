"""A program: advances adoptions in children of its own, each killed at one announced step or one call of the library.

Answers with the child's exit status, the names of the steps it came to, and how many calls of the library's functions
it made, where it came to its end.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from children import Count, Report, answer, die
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


def die_at_step(last: int | None, report: Report) -> None:
    """Kills this process before the step of that number, and tells the names of those it came to."""
    names: list[str] = []

    def heard(step: Step) -> None:
        if step.operation == "adopt":
            if len(names) == last:
                die()
            names.append(step.name)
            report.write(steps=names)

    listen(heard)


def advance(job: dict[str, Any], report: Report) -> None:
    models, plan = CASES[job["case"]]
    tenancy = Tenancy(**job["urls"], models=models, config=Config(**job["config"]))
    adoption = Adoption(tenancy, plan, **job["options"])
    die_at_step(job.get("step"), report)
    calls = Count(job.get("call", 0))
    calls.hear_calls()
    adoption.advance()
    sys.setprofile(None)
    report.write(calls=calls.made)


if __name__ == "__main__":
    answer(advance)
