"""Which tenants have events to deliver, as far as this process knows, so that a relay need not look for them."""

from __future__ import annotations

import threading
import time
import uuid
from typing import Final

# Not for ever: a signal's handler may stop a thread just before it begins to wait.
_LONGEST_WAIT: Final = 1.0


class Hints:
    """Each tenant once, from the moment on at which looking at it is worth while; threads may share it."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._due: dict[uuid.UUID, float] = {}

    def add(self, tenant: uuid.UUID, *, after: float = 0.0) -> None:
        """Notes a tenant, to be looked at after so many seconds or when it was to be before, if that is sooner."""
        due = time.monotonic() + after
        with self._condition:
            self._due[tenant] = min(due, self._due.get(tenant, due))
            self._condition.notify()

    def take(self, stopped: threading.Event) -> uuid.UUID | None:
        """Returns the next tenant that is due, waiting for one; None after ``wake``, and now and then."""
        with self._condition:
            if not stopped.is_set() and self._rest() > 0:
                self._condition.wait(min(self._rest(), _LONGEST_WAIT))
            if stopped.is_set() or self._rest() > 0:
                return None
            tenant = min(self._due, key=self._due.__getitem__)
            del self._due[tenant]
            return tenant

    def wake(self) -> None:
        """Has everybody who waits look up."""
        with self._condition:
            self._condition.notify_all()

    def _rest(self) -> float:
        return min(self._due.values(), default=time.monotonic() + _LONGEST_WAIT) - time.monotonic()
