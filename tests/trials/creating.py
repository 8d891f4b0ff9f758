"""A program: creates tenants in children of its own, each killed at one announced step or one call of the library.

Answers with the child's exit status, the identifier of the tenant it had begun, and, where it came to its end, how many
calls that took.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from children import Count, Report, answer, die
from trials.models import Base

from tenantry import Tenancy
from tenantry.events import Step, listen


def die_at_step(job: dict[str, Any], report: Report) -> None:
    """Kills this process before the step of that name, and tells which tenant is being made."""

    def heard(step: Step) -> None:
        if step.operation == "create":
            report.write(begun=str(step.facts["tenant"]))
            if step.name == job.get("step"):
                die()

    listen(heard)


def create(job: dict[str, Any], report: Report) -> None:
    tenancy = Tenancy(job["url"], models=Base, owner_url=job.get("owner_url"))
    die_at_step(job, report)
    calls = Count(job.get("calls", 0))
    calls.hear_calls()
    tenancy.tenants.create(job["slug"], isolation=job["isolation"], record={"name": job["slug"]})
    sys.setprofile(None)
    report.write(calls=calls.made)


answer(create)
