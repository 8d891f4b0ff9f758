"""A program: erases tenants and persons in children of its own, each killed at one announced step or call.

Answers with the child's exit status, and how many steps and calls there were where it came to its end.
"""

from __future__ import annotations

import sys
import uuid
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from archive.erase.houses import Site
from children import Count, Report, answer

from tenantry.events import Step, listen

HEARD = ("erase", "backup")


def listen_to(steps: Count) -> None:
    def heard(step: Step) -> None:
        if step.operation in HEARD:
            steps.one()

    listen(heard)


def erase(job: dict[str, Any], report: Report) -> None:
    site = Site(Path(job["directory"]), job["url"], **job["logins"])
    tenant = site.tenancy.tenants.get(uuid.UUID(job["tenant"]))
    steps, calls = Count(job.get("steps", 0)), Count(job.get("calls", 0))
    listen_to(steps)
    calls.hear_calls()
    if job["names"]:
        site.erasing.person(tenant, job["names"])
    else:
        site.erasing.tenant(tenant, confirm=tenant.slug)
    sys.setprofile(None)
    report.write(steps=steps.made, calls=calls.made)


if __name__ == "__main__":
    answer(erase)
