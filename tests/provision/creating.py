"""A program: does one thing to an installation and kills itself before the announced step of that name."""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from tenantry import Config, Tenancy
from tenantry.events import Step, listen


def die_at(wanted: str) -> None:
    """Kills this process before the step whose operation is so and whose name ends so: ``create place``."""
    operation, _, ending = wanted.partition(" ")

    def heard(step: Step) -> None:
        if step.operation == operation and step.name.endswith(ending):
            os.kill(os.getpid(), signal.SIGKILL)

    listen(heard)


def main() -> None:
    job = json.loads(sys.stdin.read())
    models, seeds = (importlib.import_module(f"provision.{name}") for name in ("models", "seeds"))
    config = Config(**job["config"])
    tenancy = Tenancy(job["url"], models.Base, owner_url=job.get("owner_url"), config=config, seeds=seeds.ALL)
    die_at(job["step"])
    if job["size"]:
        tenancy.tenants.warm(job["isolation"], size=job["size"])
    else:
        tenancy.tenants.create(job["slug"], isolation=job["isolation"], record={"name": job["slug"]})
    tenancy.close()


main()
