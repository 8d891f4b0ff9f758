"""How many connections a server may give to tenants' own databases, counted across both doors."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable

from tenantry.errors import ConnectionBudgetExhausted

_POLL_SECONDS = 0.005


class Budget:
    """A ceiling on open connections; who comes at the limit waits until a deadline, then gets a typed error."""

    def __init__(self, server: str, *, limit: int, timeout: float) -> None:
        self._server = server
        self._limit = limit
        self._timeout = timeout
        self._used = 0
        self._changed = threading.Condition()

    def __repr__(self) -> str:
        return f"Budget({self._server!r}, {self._used} of {self._limit} used)"

    def acquire(self, make_room: Callable[[], None]) -> None:
        """Takes one place, closing idle connections through *make_room* where none is free.

        Raises: ConnectionBudgetExhausted after the timeout.
        """
        deadline = time.monotonic() + self._timeout
        while not self._take():
            make_room()
            with self._changed:
                if self._used >= self._limit and not self._changed.wait(_POLL_SECONDS):
                    self._check(deadline)

    async def acquire_async(self, make_room: Callable[[], Awaitable[None]]) -> None:
        """Takes one place without blocking the event loop.

        Raises: ConnectionBudgetExhausted after the timeout.
        """
        deadline = time.monotonic() + self._timeout
        while not self._take():
            await make_room()
            await asyncio.sleep(_POLL_SECONDS)
            self._check(deadline)

    def release(self) -> None:
        """Gives one place back."""
        with self._changed:
            self._used -= 1
            self._changed.notify()

    def reset(self) -> None:
        """Counts from zero again, as a forked child holds none of its parent's connections."""
        self._used = 0
        self._changed = threading.Condition()

    def _take(self) -> bool:
        with self._changed:
            if self._used >= self._limit:
                return False
            self._used += 1
            return True

    def _check(self, deadline: float) -> None:
        if time.monotonic() > deadline:
            raise ConnectionBudgetExhausted(server=self._server, budget=self._limit, waited=self._timeout)
