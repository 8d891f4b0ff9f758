"""A program: backs up, verifies and restores in children of its own, each killed before one announced step.

Answers with the child's exit status and the steps it was told of.
"""

from __future__ import annotations

import sys
import uuid
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent.parent))

from archive.restore.growing import New
from archive.restore.houses import RING, open_house
from children import Report, answer, die

from tenantry import Config, Tenancy
from tenantry.archive import Archive, DirectoryStore
from tenantry.events import Step, listen

OPERATIONS = ("backup", "verify", "restore")


def die_at(number: int, report: Report) -> None:
    """Kills this process before the step of that number; writes down which steps there were."""
    heard: list[str] = []

    def hear(step: Step) -> None:
        if step.operation not in OPERATIONS:
            return
        heard.append(f"{step.operation} {step.name}")
        report.write(steps=heard)
        if len(heard) - 1 == number:
            die()

    listen(hear)


def opened(house: dict[str, Any]) -> Tenancy:
    if "migrations" in house:
        return Tenancy(house["url"], models=New, config=Config(migrations=house["migrations"], demote=True))
    return open_house(house["url"], Path(house["directory"]), **house["logins"])


def work(job: dict[str, Any], report: Report) -> None:
    tenancy = opened(job["house"])
    archive = Archive(tenancy, DirectoryStore(job["store"]), keys=RING, spool=Path(job["house"]["directory"]) / "spool")
    tenant = uuid.UUID(job["tenant"])
    die_at(job.get("step", -1), report)
    if job["what"] == "backup":
        archive.backup(tenant)
    elif job["what"] == "verify":
        archive.verify(job["name"])
    else:
        archive.restore(tenant, job["name"], **job["options"])


if __name__ == "__main__":
    answer(work)
