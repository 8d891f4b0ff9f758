"""Pools that can close what is idle while other connections are out, and be retired without losing sight of any."""

from __future__ import annotations

import contextlib

from sqlalchemy.pool import AsyncAdaptedQueuePool, ConnectionPoolEntry, QueuePool
from sqlalchemy.util.queue import Empty


class Pool(QueuePool):
    """SQLAlchemy's pool; its own ``dispose`` forgets how many connections are out, these methods do not."""

    retired = False

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

    def _do_return_conn(self, record: ConnectionPoolEntry) -> None:
        super()._do_return_conn(record)
        if self.retired:
            self.close_idle()


class AsyncPool(Pool, AsyncAdaptedQueuePool):
    """The same for the event loop."""
