"""Tenants by key, kept for a short while, so that opening a session costs no statement."""

from __future__ import annotations

import threading
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")
Ticket = tuple[float, int]


class Kept(Generic[T]):
    """A bounded map whose answers are never older than *ttl* seconds.

    A suspended tenant is therefore served for at most *ttl* seconds by other processes, and not at all by the process
    that suspended it. The oldest answer makes way at the limit.
    """

    def __init__(self, *, ttl: float, limit: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._ttl = ttl
        self._limit = limit
        self._clock = clock
        self._lock = threading.Lock()
        self._generation = 0
        self._found: OrderedDict[tuple[str, str], tuple[float, uuid.UUID, T]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._found)

    def get(self, key: tuple[str, str]) -> T | None:
        """Returns what is kept under *key*, unless it is too old."""
        found = self._found.get(key)
        if found is None or self._clock() >= found[0]:
            return None
        return found[2]

    def ask(self) -> Ticket:
        """Returns what ``put`` wants back: an answer's age counts from before the question was sent."""
        return self._clock(), self._generation

    def put(self, key: tuple[str, str], tenant: uuid.UUID, value: T, *, asked: Ticket) -> None:
        """Keeps *value* under *key*, unless something was forgotten since it was asked for."""
        asked_at, generation = asked
        with self._lock:
            if generation != self._generation:
                return
            self._found[key] = (asked_at + self._ttl, tenant, value)
            self._found.move_to_end(key)
            while len(self._found) > self._limit:
                self._found.popitem(last=False)

    def forget(self, tenant: uuid.UUID) -> None:
        """Drops everything kept about one tenant."""
        with self._lock:
            self._generation += 1
            for key in [key for key, (_, owner, __) in self._found.items() if owner == tenant]:
                del self._found[key]

    def clear(self) -> None:
        """Drops everything."""
        with self._lock:
            self._generation += 1
            self._found.clear()
