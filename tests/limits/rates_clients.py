"""A process full of clients: threads that all want the same thing at once, told what by lines of JSON on its input."""

from __future__ import annotations

import json
import sys
import threading
from collections import Counter
from typing import Any

from sqlalchemy.orm import DeclarativeBase

from tenantry import Tenancy
from tenantry.limits import Limit, Rates, TokenBucket

# Neither a window's end nor a new token comes while the tests last.
LONG = 10**9


class Base(DeclarativeBase):
    pass


def rule_of(kind: str, count: int) -> Limit | TokenBucket:
    """Returns a limit that lets *count* through, however long the test takes."""
    return Limit(count, per=LONG) if kind == "window" else TokenBucket(1, burst=count, per=10**6)


def rates_of(url: str, redis: str | None = None, *, cluster: bool = False) -> Rates:
    """Returns rates that are counted in the database, or in Redis."""
    tenancy = Tenancy(url, models=Base)
    if redis is None:
        return Rates(tenancy)
    from tenantry.limits.redis import RedisStore

    return Rates(tenancy, store=RedisStore(redis, cluster=cluster, timeout=10))


def storm(rates: Rates, job: dict[str, Any]) -> Counter[str]:
    """Has every thread ask so many times, and returns what they were told."""
    told: Counter[str] = Counter()
    barrier, lock = threading.Barrier(job["threads"]), threading.Lock()

    def client() -> None:
        barrier.wait()
        for _ in range(job["asks"]):
            rule = rule_of(job["kind"], job["count"])
            answer = "granted" if rates.consume(job["key"], job["resource"], limit=rule) else "refused"
            with lock:
                told[answer] += 1

    threads = [threading.Thread(target=client) for _ in range(job["threads"])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return told


def main() -> None:
    places = {name: rates_of(**place) for name, place in json.loads(sys.stdin.readline()).items()}
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        job = json.loads(line)
        print(json.dumps(storm(places[job["place"]], job)), flush=True)
    for rates in places.values():
        rates.tenancy.close()


if __name__ == "__main__":
    main()
