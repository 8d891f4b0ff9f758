"""A program: writers that record for one tenant, each a thread; some of what they do rolls back.

Reads one job as JSON, prints how many entries must be there afterwards; with --tell also each commit.
"""

from __future__ import annotations

import json
import os
import sys
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from audit.models import Base, Person, audited

from tenantry import Tenancy
from tenantry.audit import Audit

TELLS = "--tell" in sys.argv


def write(tenancy: Tenancy, audit: Audit, slug: str, turns: int) -> int:
    """Returns how many entries this writer has left."""
    left = 0
    for turn in range(turns):
        rolls_back, mark = turn % 5 == 4, uuid.uuid4().hex
        with tenancy.session(slug) as session:
            session.add(Person(name=mark))
            for status in ("success", "failure"):
                audit.record(session, event_type="turn.taken", category="race", description=mark, status=status)
            if not rolls_back:
                session.commit()
                if TELLS:
                    os.write(1, b"committed\n")
        # Of what rolls back the failure stays.
        left += 1 if rolls_back else 3
    return left


def write_all(tenancy: Tenancy, audit: Audit, slug: str, *, threads: int, turns: int) -> int:
    """Returns how many entries all writers have left."""
    with ThreadPoolExecutor(threads) as pool:
        return sum(pool.map(lambda _: write(tenancy, audit, slug, turns), range(threads)))


def run(job: dict[str, Any]) -> int:
    tenancy = Tenancy(job["url"], models=Base, **job["logins"])
    audit = audited(tenancy)
    try:
        return write_all(tenancy, audit, job["slug"], threads=job["threads"], turns=job["turns"])
    finally:
        tenancy.close()


if __name__ == "__main__":
    print(run(json.load(sys.stdin)))
