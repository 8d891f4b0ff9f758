"""A program: clients that repeat calls with a few keys, each a process that is killed at random and begun again.

Reads one job as JSON, prints one line of figures as JSON. A client dies by its own hand inside an effect, or between a
commit and its answer, and by this program's while it is anywhere; its successor goes on with the first call that has no
answer.
"""

from __future__ import annotations

import json
import os
import random
import selectors
import signal
import sys
import uuid
from collections import Counter
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from idempotency.models import Base, Order

from tenantry import Tenancy
from tenantry.errors import IdempotencyInFlight
from tenantry.idempotency import Idempotency


def perhaps_die(chance: float) -> None:
    if random.random() < chance:
        os.kill(os.getpid(), signal.SIGKILL)


def client(job: dict[str, Any], first: int, told: int) -> None:
    """Makes the calls from *first* on, and tells each answer."""
    random.seed()
    tenancy = Tenancy(job["url"], models=Base, **job["logins"])
    idempotency = Idempotency(tenancy)

    def effect(session: Any) -> str:
        mark = uuid.uuid4().hex
        perhaps_die(0.3)
        session.add(Order(call=f"{key} {mark}"))
        session.flush()
        perhaps_die(0.3)
        return mark

    for number in range(first, job["calls"]):
        # The clients come to a new key at about the same time.
        key = f"key {number * job['keys'] // job['calls']}"
        waits, answer = 0, None
        while answer is None:
            try:
                with tenancy.transaction(job["slug"]) as session:
                    answer = idempotency.run(session, key, effect, wait=random.choice([0.0, 0.05]))
            except IdempotencyInFlight:
                waits += 1
        perhaps_die(0.002 if answer.replayed else 0.5)
        os.write(told, f"{json.dumps([number, key, answer.value, answer.replayed, waits])}\n".encode())
    tenancy.close()


class Client:
    """One client through all its lives."""

    def __init__(self, job: dict[str, Any], selector: selectors.BaseSelector) -> None:
        self.job, self.selector = job, selector
        self.next, self.lives = 0, 0
        self.begin()

    def begin(self) -> None:
        reading, writing = os.pipe()
        self.lives += 1
        self.rest = b""
        self.pid = os.fork()
        if not self.pid:
            os.close(reading)
            try:
                client(self.job, self.next, writing)
            finally:
                os._exit(0 if sys.exc_info()[0] is None else 1)
        os.close(writing)
        self.pipe = reading
        self.selector.register(reading, selectors.EVENT_READ, self)

    def read(self) -> list[list[Any]] | None:
        """Returns the answers that came, or None after the last one of all."""
        data = os.read(self.pipe, 65536)
        if not data:
            return self.bury()
        *lines, self.rest = (self.rest + data).split(b"\n")
        answers = [json.loads(line) for line in lines]
        self.next += len(answers)
        return answers

    def bury(self) -> list[list[Any]] | None:
        self.selector.unregister(self.pipe)
        os.close(self.pipe)
        _, status = os.waitpid(self.pid, 0)
        if status == 0 and self.next == self.job["calls"]:
            return None
        if not (os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL):
            raise SystemExit(f"a client ended with status {status} after {self.next} calls")
        self.begin()
        return []


def main() -> None:
    job = json.loads(sys.stdin.read())
    selector, seen, counts = selectors.DefaultSelector(), {}, Counter()
    alive = [Client(job, selector) for _ in range(job["clients"])]
    everybody = list(alive)
    while alive:
        for found, _ in selector.select():
            answers = found.data.read()
            if answers is None:
                alive.remove(found.data)
                continue
            for _, key, value, replayed, waits in answers:
                counts.update(answers=1, replayed=replayed, in_flight=waits)
                assert seen.setdefault(key, value) == value, (key, value, seen[key])
                if alive and random.random() < job["kills"]:
                    os.kill(random.choice(alive).pid, signal.SIGKILL)
                    counts["killed"] += 1
    lives = sum(each.lives for each in everybody)
    print(json.dumps({"seen": seen, "lives": lives, "deaths": lives - len(everybody), **counts}))


if __name__ == "__main__":
    main()
