"""Pools that can close what is idle while other connections are out, and be retired without losing sight of any."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import AsyncAdaptedQueuePool, ConnectionPoolEntry, QueuePool
from sqlalchemy.util.queue import Empty

from tenantry.errors import PoolExhausted


class _Exhausted(PoolExhausted, PoolTimeout):
    # Also what SQLAlchemy calls it: programs catch that.
    __doc__ = PoolExhausted.__doc__


def _unknown(_: Pool) -> str:
    return "tenantry.observe.Observer(tenancy) would say who has them."


class Pool(QueuePool):
    """SQLAlchemy's pool; its own ``dispose`` forgets how many connections are out, these methods do not."""

    retired = False
    # Who has the connections that are out, in a sentence.
    told: Callable[[Pool], str] = staticmethod(_unknown)

    def _do_get(self) -> ConnectionPoolEntry:
        try:
            return super()._do_get()
        except PoolTimeout as error:
            raise _Exhausted(waited=self._timeout, held=self.told(self)) from error

    def close_idle(self) -> int:
        """Closes every idle connection and returns how many there were."""
        closed = 0
        with contextlib.suppress(Empty):
            while True:
                entry = self._pool.get(False)
                closed += entry.dbapi_connection is not None
                try:
                    entry.close()
                finally:
                    self._dec_overflow()
        return closed

    def retire(self) -> None:
        """Closes what is idle now, and from now on what comes back: nobody looks into this pool any more."""
        self.retired = True
        self.close_idle()

    def lend(self) -> ConnectionPoolEntry:
        """Returns a connection for one message that leaves nothing behind, without what SQLAlchemy does for longer use.

        Whoever borrows gives it back whatever happens, by ``take_back`` or ``take_back_broken``.

        Raises: as checking a connection out does.
        """
        entry = self._do_get()
        try:
            entry.get_connection()  # type: ignore[attr-defined]  # of SQLAlchemy's own entries
        except BaseException as error:
            self.take_back_broken(entry, error)
            raise
        return entry

    def take_back(self, entry: ConnectionPoolEntry) -> None:
        """Takes a connection back that is as it was lent."""
        self._do_return_conn(entry)

    def take_back_broken(self, entry: ConnectionPoolEntry, error: BaseException) -> None:
        """Takes the place of a connection back of which nobody knows the state; the connection is closed."""
        entry._checkin_failed(error, _fairy_was_created=False)  # type: ignore[attr-defined]  # as above

    def _do_return_conn(self, record: ConnectionPoolEntry) -> None:
        super()._do_return_conn(record)
        if self.retired:
            self.close_idle()


class AsyncPool(Pool, AsyncAdaptedQueuePool):
    """The same for the event loop."""
