"""Job engines that are there already: events handed to one are its affair from then on."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Protocol

from tenantry.outbox.events import Event

if TYPE_CHECKING:
    import procrastinate

TASK: Final = "tenantry.outbox.handle"


class Engine(Protocol):
    """Has an event handled, now or later, here or elsewhere; it may be handed the same one twice."""

    def submit(self, event: Event) -> None:
        """Returns once the event is safe with the engine.

        Raises: whatever says that it is not; it is then submitted again.
        """
        ...


class Procrastinate:
    """Defers a job for each event on procrastinate, whose workers call *worker*; both make it with the same app.

    The jobs of one tenant share a lock, so procrastinate runs them one after the other in the order of the stream.
    """

    def __init__(
        self, app: procrastinate.App, worker: Callable[[Event], object], *, queue: str = "tenantry_outbox"
    ) -> None:
        self._worker = worker
        self._task = app.task(name=TASK, queue=queue)(self._work)

    def submit(self, event: Event) -> None:
        """Puts one more job into the queue."""
        self._task.configure(lock=f"{TASK}:{event.tenant}").defer(event=event.to_dict())

    def _work(self, event: dict[str, Any]) -> None:
        self._worker(Event.from_dict(event))
