"""The engines of one server: shared ones that stay, and a bounded number for tenants' own databases and files."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from typing import Any, TypeVar

from sqlalchemy.engine import Engine
from sqlalchemy.util import greenlet_spawn

from tenantry.isolation.budget import Budget
from tenantry.isolation.queues import Pool
from tenantry.settings import Config

E = TypeVar("E")

# Called with each engine that is made; of an async one with its synchronous side.
Made = Callable[[Engine], None]

_every: weakref.WeakSet[Engines] = weakref.WeakSet()


class Engines:
    """Makes each engine once per door and event loop, and closes the least recently used of the bounded ones."""

    def __init__(self, server: str, config: Config) -> None:
        self.budget = Budget(server, limit=config.connection_budget, timeout=config.pool_timeout)
        # Whether anything was ever opened, and so what the models look like compiled into walls and templates.
        self.opened = False
        self._limit = config.engine_limit
        self._lock = threading.RLock()
        self._shared: dict[Hashable, Engine] = {}
        self._bounded: OrderedDict[Hashable, Engine] = OrderedDict()
        self._loops: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, AsyncEngines] = weakref.WeakKeyDictionary()
        self._told: list[Made] = []
        _every.add(self)

    def on_engine(self, listener: Made) -> None:
        """Has *listener* see every engine of both doors, those that stand and those to come, before its first use."""
        with self._lock:
            self._told.append(listener)
            for engine in self.standing():
                listener(engine)

    def standing(self) -> list[Engine]:
        """Returns every engine that is kept now, of an async one its synchronous side."""
        with self._lock:
            of_loops = [engine for kept in list(self._loops.values()) for engine in kept.standing()]
            return [*self._shared.values(), *self._bounded.values(), *of_loops]

    def shared(self, key: Hashable, make: Callable[[], Engine]) -> Engine:
        """Returns the engine that stays under *key* until the server is closed."""
        with self._lock:
            if key not in self._shared:
                self.opened = True
                self._shared[key] = _shown(make(), self._told)
            return self._shared[key]

    def bounded(self, key: Hashable, make: Callable[[], Engine]) -> Engine:
        """Returns the engine under *key*; the least recently used idle one makes way at the limit."""
        with self._lock:
            found = self._bounded.get(key)
            if found is None:
                self.opened = True
                self._retire()
                found = self._bounded[key] = _shown(make(), self._told)
            self._bounded.move_to_end(key)
            return found

    def forget(self, key: Hashable) -> None:
        """Closes the engines of both doors under *key*; the next use makes new ones, to which the database is new."""
        with self._lock:
            found = self._bounded.pop(key, None) or self._shared.pop(key, None)
            loops = list(self._loops.items())
        if found is not None:
            pool_of(found).retire()
        for loop, engines in loops:
            # A loop may have ended by now, and its connections with it.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(engines.begin_forgetting, key)

    def make_room(self) -> None:
        """Closes the idle connections of a bounded engine that was used longest ago, of either door."""
        if not self._close_idle():
            self._ask_loops()

    async def make_room_async(self) -> None:
        """Does the same from an event loop, beginning with its own engines."""
        if not await self.of_this_loop().make_room() and not self._close_idle():
            self._ask_loops()

    def of_this_loop(self) -> AsyncEngines:
        """Returns the async engines of the running event loop."""
        loop = asyncio.get_running_loop()
        found = self._loops.get(loop)
        return found or self._begin_loop(loop)

    def _begin_loop(self, loop: asyncio.AbstractEventLoop) -> AsyncEngines:
        self.opened = True
        with self._lock:
            if loop not in self._loops:
                # Their connections know their loop, so the garbage collector would never find them here.
                for closed in [known for known in self._loops if known.is_closed()]:
                    del self._loops[closed]
                self._loops[loop] = AsyncEngines(self._limit, self._told)
            return self._loops[loop]

    def close(self) -> None:
        """Closes every synchronous engine; connections that are out close on their return."""
        with self._lock:
            engines = [*self._shared.values(), *self._bounded.values()]
            self._shared.clear()
            self._bounded.clear()
        for engine in engines:
            pool_of(engine).retire()
        self.budget.close()

    def after_fork(self) -> None:
        """Leaves the parent's connections alone: a child that used or closed them would break the parent's (L08)."""
        self._lock = threading.RLock()
        self.budget.reset()
        for engine in [*self._shared.values(), *self._bounded.values()]:
            engine.dispose(close=False)
        self._loops = weakref.WeakKeyDictionary()

    def _retire(self) -> None:
        excess = len(self._bounded) + 1 - self._limit
        for key in _idle(self._bounded)[: max(excess, 0)]:
            pool_of(self._bounded.pop(key)).retire()

    def _close_idle(self) -> bool:
        with self._lock:
            return any(pool_of(engine).close_idle() for engine in self._bounded.values())

    def _ask_loops(self) -> None:
        with self._lock:
            busy = [(loop, engines) for loop, engines in self._loops.items() if engines.has_idle()]
        for loop, engines in busy:
            if loop.is_running():
                # A loop may end between the question and the call.
                with contextlib.suppress(RuntimeError):
                    loop.call_soon_threadsafe(engines.begin_making_room)


class AsyncEngines:
    """The async engines of one event loop."""

    def __init__(self, limit: int, told: Sequence[Made] = ()) -> None:
        self._limit = limit
        self._told = told
        self._shared: dict[Hashable, Any] = {}
        self._bounded: OrderedDict[Hashable, Any] = OrderedDict()
        self._excess: list[Any] = []
        self._tasks: set[asyncio.Task[bool]] = set()
        self._retiring: set[asyncio.Task[None]] = set()

    def shared(self, key: Hashable, make: Callable[[], E]) -> E:
        """Returns the engine that stays under *key* until the door is closed."""
        if key not in self._shared:
            self._shared[key] = _shown(make(), self._told)
        return self._shared[key]  # type: ignore[no-any-return]  # made by *make*

    def bounded(self, key: Hashable, make: Callable[[], E]) -> E:
        """Returns the engine under *key*; idle ones beyond the limit are closed by ``retire``, which is awaited."""
        if key not in self._bounded:
            self._mark_excess()
            self._bounded[key] = _shown(make(), self._told)
        self._bounded.move_to_end(key)
        return self._bounded[key]  # type: ignore[no-any-return]  # made by *make*

    def standing(self) -> list[Engine]:
        """Returns the synchronous side of every engine that is kept; may be asked from any thread."""
        return [engine.sync_engine for kept in (self._shared, self._bounded) for engine in tuple(kept.values())]

    async def retire(self) -> None:
        """Closes the engines that made way."""
        while self._excess:
            await greenlet_spawn(pool_of(self._excess.pop().sync_engine).retire)

    async def make_room(self) -> bool:
        """Closes the idle connections of the bounded engine that was used longest ago and has any."""
        for engine in list(self._bounded.values()):
            if checked_in(engine.sync_engine) and await greenlet_spawn(pool_of(engine.sync_engine).close_idle):
                return True
        return False

    def begin_making_room(self) -> None:
        """Has the loop make room in a task of its own, one at a time."""
        if not self._tasks:
            task = asyncio.ensure_future(self.make_room())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def begin_forgetting(self, key: Hashable) -> None:
        """Has the loop close the engine under *key* in a task of its own."""
        found = self._bounded.pop(key, None) or self._shared.pop(key, None)
        if found is not None:
            self._excess.append(found)
            task = asyncio.ensure_future(self.retire())
            self._retiring.add(task)
            task.add_done_callback(self._retiring.discard)

    def has_idle(self) -> bool:
        """Whether a bounded engine holds an idle connection; may be asked from any thread."""
        # A copy of the keys cannot change while it is walked through.
        engines = (self._bounded.get(key) for key in tuple(self._bounded))
        return any(engine is not None and checked_in(engine.sync_engine) for engine in engines)

    async def close(self) -> None:
        """Closes every engine of this loop; connections that are out close on their return."""
        engines = [*self._shared.values(), *self._bounded.values()]
        self._shared.clear()
        self._bounded.clear()
        await self.retire()
        for engine in engines:
            await greenlet_spawn(pool_of(engine.sync_engine).retire)

    def _mark_excess(self) -> None:
        excess = len(self._bounded) + 1 - self._limit
        for key in _idle(self._bounded)[: max(excess, 0)]:
            self._excess.append(self._bounded.pop(key))


def _shown(engine: E, told: Sequence[Made]) -> E:
    for listener in told:
        listener(engine if isinstance(engine, Engine) else engine.sync_engine)  # type: ignore[attr-defined]  # an AsyncEngine
    return engine


def pool_of(engine: Engine) -> Pool:
    """Returns the engine's pool, which is one of ours."""
    pool = engine.pool
    assert isinstance(pool, Pool)  # noqa: S101  # pools.py makes no other
    return pool


def checked_in(engine: Engine) -> int:
    """Returns how many idle connections the engine's pool holds."""
    return pool_of(engine).checkedin()


def checked_out(engine: Engine) -> int:
    """Returns how many of the engine's connections are in use."""
    return pool_of(engine).checkedout()


def _idle(engines: OrderedDict[Hashable, Any]) -> list[Hashable]:
    """Returns the keys of the engines of which nothing is in use, the one used longest ago first."""
    return [key for key, engine in engines.items() if not checked_out(getattr(engine, "sync_engine", engine))]


def _after_fork() -> None:
    for engines in list(_every):
        engines.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
