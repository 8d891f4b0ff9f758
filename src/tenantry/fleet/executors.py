"""Who works on a run: threads of this process, or jobs of an engine that is there already; claims stay the truth."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    import procrastinate

TASK: Final = "tenantry.fleet.work"

# What a worker does, such as Fleet.work: takes part in the run until nothing is left to claim.
Worker = Callable[[uuid.UUID], object]


class Executor(Protocol):
    """Finds somebody to work on a run. To be asked too often, or twice for the same, does no harm."""

    def submit(self, run_id: uuid.UUID) -> None:
        """Has one more worker take part in a run, now or later, here or elsewhere."""
        ...


class Threads:
    """Works in threads of this process; ``join`` waits for them."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._threads: list[threading.Thread] = []

    def submit(self, run_id: uuid.UUID) -> None:
        """Begins one more thread; its process does not end before it."""
        thread = threading.Thread(target=self._worker, args=(run_id,), name=f"tenantry-fleet-{run_id}")
        thread.start()
        self._threads.append(thread)

    def join(self) -> None:
        """Waits until every thread has come to its end."""
        for thread in self._threads:
            thread.join()


class Procrastinate:
    """Defers a job on procrastinate, whose workers call *worker*; both make it with the same app.

    A job that is lost or runs twice changes nothing: it only asks somebody to take part.
    """

    def __init__(self, app: procrastinate.App, worker: Worker, *, queue: str = "tenantry_fleet") -> None:
        self._worker = worker
        self._task = app.task(name=TASK, queue=queue)(self._work)

    def submit(self, run_id: uuid.UUID) -> None:
        """Puts one more job into the queue."""
        self._task.defer(run_id=str(run_id))

    def _work(self, run_id: str) -> None:
        self._worker(uuid.UUID(run_id))
