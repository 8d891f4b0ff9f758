"""A process full of clients: threads that write rows, each in a way of its own, until nobody may write any more."""

from __future__ import annotations

import json
import sys
import threading
from collections import Counter
from typing import Any

from limits.quota_models import Base, Document, quotas_of
from sqlalchemy import insert

from tenantry import Tenancy
from tenantry.errors import QuotaExceeded
from tenantry.ids import uuid7
from tenantry.session.core import TenantSession


def write(session: TenantSession, turn: int) -> None:
    """Writes one row: as an object, by a bulk statement, or by text."""
    row = {"tenant_id": session.tenant.id, "id": uuid7(), "size": 1}
    if turn % 3 == 0:
        session.add(Document(**row))
    elif turn % 3 == 1:
        session.execute(insert(Document), [row])
    else:
        session.execute(insert(Document.__table__).values(**row))


def storm(tenancy: Tenancy, job: dict[str, Any]) -> Counter[str]:
    """Has every thread write so many times, and returns what became of it."""
    told: Counter[str] = Counter()
    barrier, lock = threading.Barrier(job["threads"]), threading.Lock()

    def client(number: int) -> None:
        barrier.wait()
        for turn in range(job["asks"]):
            answer = "written"
            try:
                with tenancy.transaction(job["key"]) as session:
                    write(session, number + turn)
            except QuotaExceeded:
                answer = "refused"
            with lock:
                told[answer] += 1

    threads = [threading.Thread(target=client, args=(number,)) for number in range(job["threads"])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return told


def main() -> None:
    places = {name: Tenancy(place["url"], models=Base) for name, place in json.loads(sys.stdin.readline()).items()}
    for tenancy in places.values():
        quotas_of(tenancy)
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        job = json.loads(line)
        print(json.dumps(storm(places[job["place"]], job)), flush=True)
    for tenancy in places.values():
        tenancy.close()


if __name__ == "__main__":
    main()
