"""The engines of one server: shared ones that stay, and a bounded number for tenants' own databases and files."""

from __future__ import annotations

import asyncio
import os
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

from sqlalchemy.engine import Engine
from sqlalchemy.util import greenlet_spawn

from tenantry.isolation.budget import Budget
from tenantry.settings import Config

E = TypeVar("E")

_every: weakref.WeakSet[Engines] = weakref.WeakSet()


class Engines:
    """Makes each engine once per door and event loop, and closes the least recently used of the bounded ones."""

    def __init__(self, server: str, config: Config) -> None:
        self.budget = Budget(server, limit=config.connection_budget, timeout=config.pool_timeout)
        self._limit = config.engine_limit
        self._lock = threading.RLock()
        self._shared: dict[Hashable, Engine] = {}
        self._bounded: OrderedDict[Hashable, Engine] = OrderedDict()
        self._loops: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, AsyncEngines] = weakref.WeakKeyDictionary()
        _every.add(self)

    def shared(self, key: Hashable, make: Callable[[], Engine]) -> Engine:
        """Returns the engine that stays under *key* until the server is closed."""
        with self._lock:
            if key not in self._shared:
                self._shared[key] = make()
            return self._shared[key]

    def bounded(self, key: Hashable, make: Callable[[], Engine]) -> Engine:
        """Returns the engine under *key*; the least recently used idle one makes way at the limit."""
        with self._lock:
            found = self._bounded.get(key)
            if found is None:
                self._retire()
                found = self._bounded[key] = make()
            self._bounded.move_to_end(key)
            return found

    def forget(self, key: Hashable) -> None:
        """Closes the bounded engine under *key*, as its database is about to go."""
        with self._lock:
            found = self._bounded.pop(key, None)
        if found is not None:
            found.dispose()

    def make_room(self) -> None:
        """Closes the idle connections of the bounded engine that was used longest ago and has any."""
        with self._lock:
            for engine in self._bounded.values():
                if checked_in(engine):
                    # Only idle connections are closed; the pool stays usable for those that are out.
                    engine.pool.dispose()
                    return

    def of_this_loop(self) -> AsyncEngines:
        """Returns the async engines of the running event loop."""
        loop = asyncio.get_running_loop()
        with self._lock:
            if loop not in self._loops:
                self._loops[loop] = AsyncEngines(self._limit)
            return self._loops[loop]

    def close(self) -> None:
        """Closes every synchronous engine; connections that are out close on their return."""
        with self._lock:
            engines = [*self._shared.values(), *self._bounded.values()]
            self._shared.clear()
            self._bounded.clear()
        for engine in engines:
            engine.dispose()

    def after_fork(self) -> None:
        """Leaves the parent's connections alone: a child that used or closed them would break the parent's (L08)."""
        self._lock = threading.RLock()
        self.budget.reset()
        for engine in [*self._shared.values(), *self._bounded.values()]:
            engine.dispose(close=False)
        self._loops = weakref.WeakKeyDictionary()

    def _retire(self) -> None:
        excess = len(self._bounded) + 1 - self._limit
        idle = [key for key, engine in self._bounded.items() if not checked_out(engine)]
        for key in idle[: max(excess, 0)]:
            self._bounded.pop(key).dispose()


class AsyncEngines:
    """The async engines of one event loop."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._shared: dict[Hashable, Any] = {}
        self._bounded: OrderedDict[Hashable, Any] = OrderedDict()

    def shared(self, key: Hashable, make: Callable[[], E]) -> E:
        """Returns the engine that stays under *key* until the door is closed."""
        if key not in self._shared:
            self._shared[key] = make()
        return self._shared[key]  # type: ignore[no-any-return]  # made by *make*

    def bounded(self, key: Hashable, make: Callable[[], E]) -> E:
        """Returns the engine under *key*; callers trim the excess with ``retire``."""
        if key not in self._bounded:
            self._bounded[key] = make()
        self._bounded.move_to_end(key)
        return self._bounded[key]  # type: ignore[no-any-return]  # made by *make*

    async def retire(self) -> None:
        """Closes the least recently used idle engines beyond the limit."""
        excess = len(self._bounded) - self._limit
        idle = [key for key, engine in self._bounded.items() if not checked_out(engine.sync_engine)]
        for key in idle[: max(excess, 0)]:
            await self._bounded.pop(key).dispose()

    async def make_room(self) -> None:
        """Closes the idle connections of the bounded engine that was used longest ago and has any."""
        for engine in list(self._bounded.values()):
            if checked_in(engine.sync_engine):
                # Not engine.dispose(): that would replace the pool under connections that are out.
                await greenlet_spawn(engine.sync_engine.pool.dispose)
                return

    async def forget(self, key: Hashable) -> None:
        """Closes the bounded engine under *key*."""
        engine = self._bounded.pop(key, None)
        if engine is not None:
            await engine.dispose()

    async def close(self) -> None:
        """Closes every engine of this loop."""
        engines = [*self._shared.values(), *self._bounded.values()]
        self._shared.clear()
        self._bounded.clear()
        for engine in engines:
            await engine.dispose()


def checked_in(engine: Engine) -> int:
    """Returns how many idle connections the engine's pool holds."""
    return engine.pool.checkedin()  # type: ignore[attr-defined,no-any-return]  # every pool of ours is a QueuePool


def checked_out(engine: Engine) -> int:
    """Returns how many of the engine's connections are in use."""
    return engine.pool.checkedout()  # type: ignore[attr-defined,no-any-return]  # every pool of ours is a QueuePool


def _after_fork() -> None:
    for engines in list(_every):
        engines.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
