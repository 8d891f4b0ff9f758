"""Places for so many at a time by tenant, within one process; threads and tasks wait in one line."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import uuid
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(slots=True, eq=False)
class _Waiter:
    wake: Callable[[], object]
    served: bool = False


@dataclass(slots=True)
class _Line:
    taken: int = 0
    waiting: deque[_Waiter] = field(default_factory=deque)


class Slots:
    """Gives each tenant *each* places; who leaves hands its place to whoever has waited longest."""

    def __init__(self, each: int) -> None:
        self._each = each
        self._lock = threading.Lock()
        self._lines: dict[uuid.UUID, _Line] = {}

    def __repr__(self) -> str:
        return f"<Slots {self._each} each, {len(self._lines)} tenants>"

    def take(self, tenant: uuid.UUID, *, seconds: float) -> bool:
        """Takes a place, and says whether there was one within so many seconds."""
        woken = threading.Event()
        waiter = self._enter(tenant, woken.set)
        if waiter is None:
            return True
        try:
            return woken.wait(seconds) or not self._give_up(tenant, waiter)
        except BaseException:
            self._forgo(tenant, waiter)
            raise

    async def take_async(self, tenant: uuid.UUID, *, seconds: float) -> bool:
        """Takes a place without blocking the event loop, and says whether there was one within so many seconds."""
        loop = asyncio.get_running_loop()
        woken: asyncio.Future[None] = loop.create_future()
        waiter = self._enter(tenant, lambda: loop.call_soon_threadsafe(_wake, woken))
        if waiter is None:
            return True
        try:
            await asyncio.wait_for(woken, seconds)
        except TimeoutError:
            return not self._give_up(tenant, waiter)
        except BaseException:
            self._forgo(tenant, waiter)
            raise
        return True

    def leave(self, tenant: uuid.UUID) -> None:
        """Hands a place on."""
        while (waiter := self._next(tenant)) is not None:
            # The event loop of one that waited may be closed by now: then it is the next one's turn.
            with contextlib.suppress(RuntimeError):
                waiter.wake()
                return

    def _enter(self, tenant: uuid.UUID, wake: Callable[[], object]) -> _Waiter | None:
        with self._lock:
            line = self._lines.setdefault(tenant, _Line())
            if line.taken < self._each:
                line.taken += 1
                return None
            waiter = _Waiter(wake)
            line.waiting.append(waiter)
            return waiter

    def _next(self, tenant: uuid.UUID) -> _Waiter | None:
        with self._lock:
            line = self._lines[tenant]
            if line.waiting:
                waiter = line.waiting.popleft()
                waiter.served = True
                return waiter
            line.taken -= 1
            if not line.taken:
                del self._lines[tenant]
            return None

    def _give_up(self, tenant: uuid.UUID, waiter: _Waiter) -> bool:
        """Leaves the line, and says whether that was before a place was handed over."""
        with self._lock:
            if not waiter.served:
                self._lines[tenant].waiting.remove(waiter)
            return not waiter.served

    def _forgo(self, tenant: uuid.UUID, waiter: _Waiter) -> None:
        if not self._give_up(tenant, waiter):
            self.leave(tenant)


def _wake(woken: asyncio.Future[None]) -> None:
    if not woken.done():
        woken.set_result(None)
