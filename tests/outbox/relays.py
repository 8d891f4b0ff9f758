"""A program: producers that commit changes with events, relays that deliver them, all killed at random and begun again.

Reads one job as JSON. What a handler is given and what a relay has acknowledged is appended to the job's log, each line
on the disk before anything else is done. Ends when every event is delivered; prints one line of figures as JSON.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from outbox.models import Base, Effect, Note
from sqlalchemy import func, select

from tenantry import Tenancy
from tenantry.events import Step, listen
from tenantry.outbox import Backoff, Event, Outbox, Relay

# Room for the changes of one producer among the numbers of a tenant's notes.
SHARE = 1_000_000


def perhaps_die(chance: float) -> None:
    if random.random() < chance:
        os.kill(os.getpid(), signal.SIGKILL)


def opened(job: dict[str, Any], database: str) -> tuple[Tenancy, Outbox]:
    random.seed()
    tenancy = Tenancy(job[database]["url"], models=Base, **job[database]["logins"])
    return tenancy, Outbox(tenancy)


def produce(job: dict[str, Any], database: str, number: int) -> None:
    """Commits this producer's share of changes to every tenant, from where it was killed."""
    tenancy, outbox = opened(job, database)
    done = {}
    own = Note.number.between(number * SHARE, (number + 1) * SHARE - 1)
    for slug in job[database]["tenants"]:
        with tenancy.session(slug) as session:
            done[slug] = session.scalars(select(func.count()).select_from(Note).where(own)).one()
    while left := [slug for slug, count in done.items() if count < job["share"]]:
        slug = random.choice(left)
        topic = random.choice(["plain", "plain", "transactional"])
        with tenancy.session(slug) as session:
            session.add(Note(number=number * SHARE + done[slug]))
            outbox.add(session, topic, {"producer": number, "change": done[slug]})
            session.flush()
            # Others begin later and commit earlier.
            time.sleep(random.choice([0, 0, 0, 0.003]))
            perhaps_die(job["deaths"])
            if random.random() < 0.1:
                continue
            session.commit()
        done[slug] += 1
    tenancy.close()


def relay(job: dict[str, Any], database: str, _: int) -> None:
    """Delivers until it is told to end."""
    tenancy, outbox = opened(job, database)
    log = os.open(job["log"], os.O_WRONLY | os.O_APPEND)

    def write(what: str, event: Event) -> None:
        line = [
            what,
            str(event.tenant),
            event.number,
            str(event.id),
            event.payload["producer"],
            event.payload["change"],
        ]
        os.write(log, f"{json.dumps(line)}\n".encode())
        os.fsync(log)

    def work(event: Event) -> None:
        if random.random() < 0.02:
            raise ConnectionError("before anything was done")
        perhaps_die(job["deaths"])
        write("handled", event)
        perhaps_die(job["deaths"])
        if random.random() < 0.02:
            raise ConnectionError("after it was done")

    def heard(step: Step) -> None:
        if step.name == "acknowledged":
            write("acknowledged", step.facts["event"])

    @outbox.handler("transactional", transactional=True)
    def work_inside(event: Event, session: Any) -> None:
        session.add(Effect(event=event.id))
        session.flush()
        work(event)

    outbox.handler("plain")(work)
    listen(heard)
    chosen = Relay(
        outbox, attempts=1000, backoff=Backoff(first=0.01, longest=0.05), lease=job["lease"], batch=20, jobs=2
    )
    signal.signal(signal.SIGTERM, lambda *_: chosen.stop())
    chosen.run(every=0.5)
    tenancy.close()


def watch(job: dict[str, Any], database: str, _: int) -> None:
    """Ends when nothing waits any more."""
    tenancy, outbox = opened(job, database)
    for slug in job[database]["tenants"]:
        while True:
            with tenancy.session(slug, read_only=True) as session:
                if not outbox.pending(session, limit=1):
                    break
            time.sleep(0.1)
    tenancy.close()


class Child:
    """A process that does one thing, through all its lives."""

    def __init__(self, work: Callable[..., None], job: dict[str, Any], database: str, number: int = 0) -> None:
        self.work, self.arguments, self.lives, self.pid = work, (job, database, number), 0, 0
        self.begin()

    def begin(self) -> None:
        self.lives += 1
        self.pid = os.fork()
        if not self.pid:
            try:
                self.work(*self.arguments)
            finally:
                os._exit(0 if sys.exc_info()[0] is None else 1)

    def ended(self) -> bool:
        """Returns whether it came to its end; one that was killed begins again."""
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        if not pid:
            return False
        if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
            self.begin()
            return False
        # One that was told to end before it could listen has ended too.
        if status and not (os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGTERM):
            raise SystemExit(f"{self.work.__name__} ended with status {status}")
        return True


def run(children: list[Child], relays: list[Child], kills: int) -> int:
    """Waits for the children, killing anybody at random so many times, and returns how often that was."""
    killed = 0
    while children:
        children = [child for child in children if not child.ended()]
        for each in relays:
            each.ended()
        # Once for certain, however soon everybody is done.
        if killed < kills and children and (not killed or random.random() < 0.5):
            os.kill(random.choice([*children, *relays]).pid, signal.SIGKILL)
            killed += 1
        time.sleep(random.uniform(0.02, 0.3))
    return killed


def main() -> None:
    job = json.loads(sys.stdin.read())
    databases = [name for name in ("postgresql", "sqlite") if name in job]
    relays = [Child(relay, job, name) for name in databases for _ in range(job["relays"])]
    producers = [Child(produce, job, name, number) for name in databases for number in range(job["producers"])]
    everybody = [*relays, *producers]
    killed = run(producers, relays, job["kills"])
    run([Child(watch, job, name) for name in databases], relays, 0)
    for each in relays:
        os.kill(each.pid, signal.SIGTERM)
        while not each.ended():
            time.sleep(0.02)
            os.kill(each.pid, signal.SIGTERM)
    print(json.dumps({"killed": killed, "deaths": sum(each.lives for each in everybody) - len(everybody)}))


if __name__ == "__main__":
    main()
