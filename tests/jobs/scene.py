"""Tenants for whom jobs are sent, brokers, and workers in processes of their own."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import delete, select

from tenantry import Tenancy

from .models import Ran

TESTS = Path(__file__).parents[1]
SECONDS = 60


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a body, as it was written down, and whose row it became."""

    owner: uuid.UUID
    number: int
    meant: uuid.UUID
    bound: uuid.UUID
    wall: uuid.UUID
    actor: str | None

    @property
    def wrong(self) -> bool:
        """Whether anybody says another tenant than the one it was meant for."""
        return {self.owner, self.bound, self.wall} != {self.meant}


@dataclass
class Scene:
    """Several tenants in common tables, and what ran for them."""

    tenancy: Tenancy
    tenants: list[Any] = field(default_factory=list)

    @classmethod
    def of(cls, tenancy: Tenancy, count: int) -> Scene:
        """Makes so many tenants."""
        name = uuid.uuid4().hex[:8]
        return cls(tenancy, [tenancy.tenants.create(f"{name}-{number}") for number in range(count)])

    def runs(self) -> list[Run]:
        """Returns every run, as each tenant sees its own."""
        found = []
        for tenant in self.tenants:
            with self.tenancy.session(tenant) as session:
                found += [
                    Run(row.tenant_id, row.number, row.meant, row.bound, row.wall, row.actor)
                    for row in session.scalars(select(Ran))
                ]
        return found

    def clear(self) -> None:
        """Forgets what ran."""
        for tenant in self.tenants:
            with self.tenancy.transaction(tenant) as session:
                session.execute(delete(Ran))

    def await_runs(self, wanted: Iterable[tuple[uuid.UUID, int]], seconds: float = SECONDS) -> list[Run]:
        """Returns every run, once each of *wanted*, a tenant and a number, was run at least once."""
        deadline, rest = time.monotonic() + seconds, set(wanted)
        while True:
            runs = self.runs()
            missing = rest - {(run.owner, run.number) for run in runs}
            if not missing:
                return runs
            assert time.monotonic() < deadline, f"{len(missing)} jobs did not run, such as {sorted(missing)[:3]}"
            time.sleep(0.1)


@contextlib.contextmanager
def process(program: list[str], log: Path, **variables: str) -> Iterator[subprocess.Popen[bytes]]:
    """Runs a worker, and ends it."""
    here = {name: value for name, value in os.environ.items() if not name.startswith(("TENANTRY_", "PG"))}
    environment = {**here, "PYTHONPATH": str(TESTS), **variables}
    with log.open("ab") as output:
        running = subprocess.Popen(
            [sys.executable, *program], stdout=output, stderr=output, env=environment, cwd=log.parent
        )
    try:
        yield running
    finally:
        running.terminate()
        try:
            running.wait(20)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait(20)


def children(pid: int) -> list[int]:
    """Returns the processes that a process of ours has started."""
    with contextlib.suppress(OSError):
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []
