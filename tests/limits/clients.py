"""A process full of clients: threads that all want the same thing at once, told what by lines of JSON on its input."""

from __future__ import annotations

import json
import sys
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

from limits.models import Base, Document, Limited
from sqlalchemy import insert

from tenantry import Tenancy
from tenantry.errors import QuotaExceeded
from tenantry.ids import uuid7
from tenantry.limits import Limit, Rates, TokenBucket
from tenantry.session.core import TenantSession

# Neither a window's end nor a new token comes while the tests last.
LONG = 10**9

Ask = Callable[[int], bool]


def rule_of(kind: str, count: int) -> Limit | TokenBucket:
    """Returns a limit that lets *count* through, however long the test takes."""
    return Limit(count, per=LONG) if kind == "window" else TokenBucket(1, burst=count, per=10**6)


def limited(url: str, redis: str | None = None, *, cluster: bool = False) -> Limited:
    """Returns rates that are counted in the database or in Redis, and quotas."""
    tenancy = Tenancy(url, models=Base)
    made = Limited(tenancy)
    if redis is not None:
        from tenantry.limits.redis import RedisStore

        made.rates = Rates(tenancy, store=RedisStore(redis, cluster=cluster, timeout=10))
    return made


def asking(made: Limited, job: dict[str, Any]) -> Ask:
    """Returns what asks for one more of a resource, or for one more row."""
    if job["kind"] == "rows":
        return lambda turn: written(made.tenancy, job["key"], turn)
    rule = rule_of(job["kind"], job["count"])
    return lambda _: bool(made.rates.consume(job["key"], job["resource"], limit=rule))


def written(tenancy: Tenancy, key: str, turn: int) -> bool:
    """Returns whether a transaction with one row was committed."""
    try:
        with tenancy.transaction(key) as session:
            write(session, turn)
    except QuotaExceeded:
        return False
    return True


def write(session: TenantSession, turn: int) -> None:
    """Writes one row: as an object, by a bulk statement, or past the models."""
    row = {"tenant_id": session.tenant.id, "id": uuid7(), "size": 1}
    if turn % 3 == 0:
        session.add(Document(**row))
    elif turn % 3 == 1:
        session.execute(insert(Document), [row])
    else:
        session.execute(insert(Document.__table__).values(**row))


def storm(ask: Ask, job: dict[str, Any]) -> Counter[str]:
    """Has every thread ask so many times, and returns what they were told."""
    told: Counter[str] = Counter()
    barrier, lock = threading.Barrier(job["threads"]), threading.Lock()

    def client(number: int) -> None:
        barrier.wait()
        for turn in range(job["asks"]):
            answer = "granted" if ask(number + turn) else "refused"
            with lock:
                told[answer] += 1

    threads = [threading.Thread(target=client, args=(number,)) for number in range(job["threads"])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return told


def main() -> None:
    places = {name: limited(**place) for name, place in json.loads(sys.stdin.readline()).items()}
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        job = json.loads(line)
        print(json.dumps(storm(asking(places[job["place"]], job), job)), flush=True)
    for made in places.values():
        made.tenancy.close()


if __name__ == "__main__":
    main()
