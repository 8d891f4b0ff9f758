"""Restores in place in common tables, while eight neighbours write: none of them is hindered, and none is changed."""

from __future__ import annotations

import threading
import time
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import pytest
from sqlalchemy import func, select

from tenantry import Tenancy, Tenant

from .houses import House
from .models import Event, Ticket

NEIGHBOURS = 8


@dataclass
class Neighbour:
    """Somebody who writes all the time, and remembers what was acknowledged."""

    tenant: Tenant
    written: Counter[str] = field(default_factory=Counter)
    errors: list[Exception] = field(default_factory=list)

    def write_until(self, tenancy: Tenancy, over: threading.Event, pause: float) -> None:
        number = 0
        while not over.wait(pause):
            number += 1
            try:
                with tenancy.transaction(self.tenant) as db:
                    db.add(Event(what=f"live {number}"))
                    db.scalars(select(Ticket).order_by(Ticket.id).limit(1)).one().subject = f"live {number}"
                self.written[f"live {number}"] += 1
            except Exception as error:  # whatever it is, there should be none
                self.errors.append(error)


@dataclass
class Watcher:
    """Somebody who reads the restored tenant all the time, and may only ever see it as it was or as it became."""

    tenant: Tenant
    seen: Counter[tuple[int, int]] = field(default_factory=Counter)
    errors: list[Exception] = field(default_factory=list)

    def read_until(self, tenancy: Tenancy, over: threading.Event) -> None:
        asked = select(
            select(func.count()).select_from(Ticket).scalar_subquery(),
            select(func.count()).select_from(Event).scalar_subquery(),
        )
        while not over.wait(0.005):
            try:
                with tenancy.session(self.tenant, read_only=True) as db:
                    self.seen[tuple(db.execute(asked).one())] += 1
            except Exception as error:  # whatever it is, there should be none
                self.errors.append(error)


def restore_beside(house: House, place: str, *, restores: int, pause: float) -> dict[str, Any]:
    """Restores a tenant again and again; returns what the neighbours wrote and how long the restores took."""
    archive, near = house.archive(), house.make(place)
    backup = archive.backup(near)
    before = house.dump(near)
    neighbours = [Neighbour(house.make(place, rows=4)) for _ in range(NEIGHBOURS)]
    others = {one.tenant.id: house.dump(one.tenant) for one in neighbours}
    watcher, over, seconds = Watcher(near), threading.Event(), []
    writing, _ = house.open()
    with closing(writing):
        threads = [threading.Thread(target=one.write_until, args=(writing, over, pause)) for one in neighbours]
        threads.append(threading.Thread(target=watcher.read_until, args=(writing, over)))
        for thread in threads:
            thread.start()
        try:
            for _ in range(restores):
                house.fill(near, rows=3)
                begun = time.perf_counter()
                archive.restore(near, backup.name, in_place=True, keep=False)
                seconds.append(time.perf_counter() - begun)
        finally:
            over.set()
            for thread in threads:
                thread.join()
    assert house.dump(near) == before
    errors = [error for one in (*neighbours, watcher) for error in one.errors]
    changed = sum(not is_own(house, one, others[one.tenant.id]) for one in neighbours)
    sights = set(watcher.seen)
    house.drop(near, *(one.tenant for one in neighbours))
    written = [sum(one.written.values()) for one in neighbours]
    return {"errors": errors, "changed": changed, "seen": sights, "written": written, "seconds": seconds}


def is_own(house: House, neighbour: Neighbour, before: dict[str, list[Any]]) -> bool:
    """Whether a neighbour has exactly what it had before and what it was told that it wrote."""
    now = house.dump(neighbour.tenant)
    events = Counter(row[-1] for row in now["events"])
    tickets = now["tickets"]
    last = f"live {max((int(what.split()[1]) for what in neighbour.written), default=0)}"
    return (
        events == Counter(row[-1] for row in before["events"]) + neighbour.written
        and now["teams"] == before["teams"]
        and now["companies"] == before["companies"]
        and tickets[1:] == before["tickets"][1:]
        and (not neighbour.written or last in tickets[0])
    )


def check(found: dict[str, Any]) -> None:
    assert found["errors"] == []
    assert found["changed"] == 0
    # Ten tickets and three events as they were kept; thirteen and six after they were added to.
    assert found["seen"] <= {(10, 3), (13, 6)}
    assert min(found["written"]) > 0


@pytest.mark.parametrize("place", ["rows", "common file"])
def test_beside_eight_writers(house: House, place: str) -> None:
    check(restore_beside(house, place, restores=2, pause=0.05))


@pytest.mark.soak
@pytest.mark.parametrize("place", ["rows", "common file"])
def test_forty_times_beside_eight_writers(house: House, place: str) -> None:
    found = restore_beside(house, place, restores=40, pause=0.01)
    check(found)
    seconds = sorted(found["seconds"])
    print(
        f"\n{place}: 40 restores in place beside {NEIGHBOURS} neighbours, who wrote {sum(found['written'])} times: "
        f"{len(found['errors'])} errors, {found['changed']} changed; a restore took {seconds[20]:.2f} s, "
        f"at most {seconds[-1]:.2f} s"
    )
