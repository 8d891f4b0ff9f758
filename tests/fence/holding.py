"""A program that puts a fence up, says so, and is killed behind it."""

from __future__ import annotations

import json
import sys

from fence.models import Base

from tenantry import Tenancy
from tenantry.isolation import fencing


def hold(job: dict[str, str]) -> None:
    tenancy = Tenancy(
        job.pop("app_url"), models=Base, owner_url=job.get("owner_url"), operator_url=job.get("operator_url")
    )
    tenant = tenancy.tenants.get(job["slug"])
    with fencing.closed(tenancy.servers.main, tenant, departing=True):
        print("closed", flush=True)
        # For ever, unless the test is gone.
        sys.stdin.read()


hold(json.loads(sys.stdin.readline()))
