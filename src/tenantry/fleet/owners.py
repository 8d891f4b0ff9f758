"""The owner's connections to PostgreSQL while a run lasts: one for each thread and server, new ones to databases."""

from __future__ import annotations

import contextlib
import os
import threading
import weakref
from collections.abc import Iterator
from typing import Any, Final

from tenantry.isolation.postgres import PostgresServer

try:
    import psycopg
    from psycopg.pq import TransactionStatus
except ImportError:  # said in one sentence by ``open_owner``
    psycopg = None  # type: ignore[assignment]

_ACTION: Final = "Migrating"
# What a backend learns of a table it keeps, and a fleet has many tables.
_USES: Final = 200


class Owners:
    """Lends each thread the same connection again, until the thread ends, or this object does."""

    def __init__(self) -> None:
        self._of_thread = threading.local()

    @contextlib.contextmanager
    def lend(self, server: PostgresServer, *, database: str | None = None) -> Iterator[Any]:
        """Lends a connection in autocommit; a transaction left open on it is rolled back.

        Raises: LoginRequired, ExtraMissing.
        """
        if database is not None:
            with contextlib.closing(server.open_owner(action=_ACTION, database=database)) as connection:
                yield connection
            return
        connection = self._kept(server)
        try:
            yield connection
        finally:
            if not _is_clean(connection):
                self._forget(server)

    def close(self) -> None:
        """Closes the connections of this thread."""
        for connection in self._connections().values():
            connection.close()
        self._connections().clear()

    def _kept(self, server: PostgresServer) -> Any:
        found = self._connections()
        if server.name in found and found[server.name].worn_out:
            self._forget(server)
        if server.name not in found:
            found[server.name] = _Kept(server.open_owner(action=_ACTION))
        return found[server.name].use()

    def _forget(self, server: PostgresServer) -> None:
        self._connections().pop(server.name).close()

    def _connections(self) -> dict[str, _Kept]:
        # A forked child must not speak on its parent's connections.
        if getattr(self._of_thread, "process", None) != os.getpid():
            self._of_thread.process, self._of_thread.kept = os.getpid(), {}
        kept: dict[str, _Kept] = self._of_thread.kept
        return kept


class _Kept:
    """A connection that is closed when nobody keeps it any more: when its thread has ended."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._uses = 0
        self.close = weakref.finalize(self, _close, connection, os.getpid())

    @property
    def worn_out(self) -> bool:
        """Whether another should take its place."""
        return bool(self._connection.closed) or self._uses >= _USES

    def use(self) -> Any:
        """Returns the connection for one home."""
        self._uses += 1
        return self._connection


def _close(connection: Any, process: int) -> None:
    if os.getpid() == process:
        connection.close()


def _is_clean(connection: Any) -> bool:
    """Ends what is left of a transaction and returns whether the connection can serve the next home."""
    if connection.closed:
        return False
    if connection.info.transaction_status != TransactionStatus.IDLE:
        with contextlib.suppress(psycopg.Error):
            connection.execute("ROLLBACK")
    return bool(connection.info.transaction_status == TransactionStatus.IDLE)
