"""How many connections a server may give to tenants' own databases, counted across both doors."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
import weakref
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final

from tenantry.errors import ConnectionBudgetExhausted

_POLL_SECONDS: Final = 0.005
# Who has not heard of a connection's end by then counts it as ended: the network may have lost the message.
_LONGEST_ENDING: Final = 60.0


class Budget:
    """A ceiling on open connections; who comes at the limit waits until a deadline, then gets a typed error.

    A place is free again when the server has ended its side: a client that has closed its own is ahead of the server by
    some milliseconds, and reconnecting in them would put more backends on the server than the budget says.
    """

    def __init__(self, server: str, *, limit: int, timeout: float) -> None:
        self._server = server
        self._limit = limit
        self._timeout = timeout
        self.reset()

    def __repr__(self) -> str:
        return f"Budget({self._server!r}, {self._used} of {self._limit} used)"

    def acquire(self, make_room: Callable[[], None]) -> None:
        """Takes one place, closing idle connections through *make_room* where none is free.

        Raises: ConnectionBudgetExhausted after the timeout.
        """
        deadline = time.monotonic() + self._timeout
        while not self._take():
            self._give_up_closed_loops()
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
            self._give_up_closed_loops()
            await make_room()
            await asyncio.sleep(_POLL_SECONDS)
            self._check(deadline)

    def release(self) -> None:
        """Gives back a place that no connection came to hold."""
        with self._changed:
            self._used -= 1
            self._changed.notify()

    def hold(
        self, connection: object, descriptor: int, *, loop: asyncio.AbstractEventLoop | None = None
    ) -> Callable[[], object]:
        """Has *connection*, open on the socket *descriptor*, hold a place; what is returned is called at its close.

        A connection that nobody closed gives its place back when it is dropped, or when it is needed and its event
        *loop* has been closed.
        """
        # A second handle on the same socket: it outlives the driver's own and sees the server's end.
        ending = socket.fromfd(descriptor, -1, -1)
        held = weakref.finalize(connection, self._ended, ending, self._changed)
        held.atexit = False
        if loop is not None:
            self._awaited[ending] = (weakref.ref(loop), held)
        return held

    def reset(self) -> None:
        """Counts from zero again, as a forked child holds none of its parent's connections."""
        self._used = 0
        self._changed = threading.Condition()
        self._endings: deque[tuple[socket.socket, float]] = deque()
        self._awaited: dict[socket.socket, tuple[weakref.ref[asyncio.AbstractEventLoop], Callable[[], object]]] = {}

    def close(self) -> None:
        """Lets go of the connections whose end the server has not confirmed yet."""
        with self._changed:
            while self._endings:
                self._free(self._endings.popleft()[0])

    def _ended(self, ending: socket.socket, counted_by: threading.Condition) -> None:
        self._awaited.pop(ending, None)
        if counted_by is not self._changed:
            # The connection is the parent's: a word on its socket would end it there.
            ending.close()
            return
        with contextlib.suppress(OSError):
            ending.shutdown(socket.SHUT_WR)
        ending.setblocking(False)
        # No lock: the garbage collector may call this inside any other method.
        self._endings.append((ending, time.monotonic() + _LONGEST_ENDING))

    def _give_up_closed_loops(self) -> None:
        for reference, give_up in self._awaited.copy().values():
            loop = reference()
            if loop is None or loop.is_closed():
                give_up()

    def _take(self) -> bool:
        with self._changed:
            self._settle()
            if self._used >= self._limit:
                return False
            self._used += 1
            return True

    def _settle(self) -> None:
        for _ in range(len(self._endings)):
            ending, deadline = self._endings.popleft()
            if _is_over(ending) or time.monotonic() > deadline:
                self._free(ending)
            else:
                self._endings.append((ending, deadline))

    def _free(self, ending: socket.socket) -> None:
        ending.close()
        self._used -= 1
        self._changed.notify()

    def _check(self, deadline: float) -> None:
        if time.monotonic() > deadline:
            raise ConnectionBudgetExhausted(server=self._server, budget=self._limit, waited=self._timeout)


def _is_over(ending: socket.socket) -> bool:
    # PostgreSQL leaves the socket to the end of its process, so that a client can wait for it (pqcomm.c, socket_close).
    try:
        while ending.recv(4096):
            pass
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True
