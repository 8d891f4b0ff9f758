"""psycopg connections that notice a transaction ended behind their back and sweep what a statement left behind."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable
from typing import Any, Final, Self

import psycopg
from psycopg import generators
from psycopg.abc import Params, Query
from psycopg.pq import ExecStatus, TransactionStatus
from psycopg.pq.abc import PGresult

from tenantry.errors import ContextLost, TenantRequired
from tenantry.isolation.binding import Binding
from tenantry.isolation.residue import SWEEP, may_leave_residue, outlives_sweep

IDLE: Final = TransactionStatus.IDLE
INTRANS: Final = TransactionStatus.INTRANS


def _check(result: PGresult) -> None:
    """Lets the answer to a command pass.

    Raises: psycopg.Error as the server's answer says.
    """
    if result.status != ExecStatus.COMMAND_OK:
        raise psycopg.errors.error_from_result(result)


class _Watched:
    """What both doors' connections remember between BEGIN and the end of the transaction."""

    binding: Binding | None = None
    residue = False
    lasting = False
    # SQLAlchemy asks a new connection a few questions before it is ever checked out.
    unbound_allowed = True
    on_close: Callable[[], object] | None = None

    def watch(self, query: object) -> None:
        """Refuses a statement that nobody bound, and one that would run after its transaction was ended by text.

        Raises: TenantRequired, ContextLost.
        """
        if self.binding is None:
            if not self.unbound_allowed:
                raise TenantRequired
        elif self.pgconn.transaction_status == IDLE:  # type: ignore[attr-defined]  # a mix-in of psycopg connections
            self.residue = True
            raise ContextLost(tenant=self.binding.tenant)
        if not self.residue:
            self.residue = not isinstance(query, str) or may_leave_residue(query)
        if self.residue and not self.lasting:
            self.lasting = not isinstance(query, str) or outlives_sweep(query)

    def close_to_unbound(self) -> None:
        """Has every statement from now on need a binding."""
        self.binding = None
        self.unbound_allowed = False

    def bound_to(self, binding: Binding) -> None:
        """Notes the binding of the transaction that begins."""
        self.prepare_threshold = 5 if binding.prepared else None
        self.binding = binding

    def released(self) -> None:
        """Tells the connection budget, once, that this connection is gone."""
        if self.on_close is not None:
            callback, self.on_close = self.on_close, None
            callback()


class BoundCursor(psycopg.Cursor[Any]):
    """A cursor whose every statement is watched."""

    connection: BoundConnection

    def execute(self, query: Any, params: Params | None = None, **options: Any) -> Self:
        self.connection.watch(query)
        return super().execute(query, params, **options)

    def executemany(self, query: Query, params_seq: Iterable[Params], **options: Any) -> None:
        self.connection.watch(query)
        super().executemany(query, params_seq, **options)

    def stream(self, query: Query, params: Params | None = None, **options: Any) -> Any:
        self.connection.watch(query)
        return super().stream(query, params, **options)

    def copy(self, statement: Query, params: Params | None = None, **options: Any) -> Any:
        self.connection.watch(statement)
        return super().copy(statement, params, **options)


class BoundServerCursor(psycopg.ServerCursor[Any]):
    """A server-side cursor whose every statement is watched."""

    connection: BoundConnection

    def execute(self, query: Any, params: Params | None = None, **options: Any) -> Self:
        self.connection.watch(query)
        return super().execute(query, params, **options)


class BoundConnection(_Watched, psycopg.Connection[Any]):
    """A psycopg connection in AUTOCOMMIT whose transactions begin with a tenant."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.cursor_factory = BoundCursor
        self.server_cursor_factory = BoundServerCursor

    def enter(self, begin: str, binding: Binding) -> None:
        """Sends BEGIN and the binding as one message."""
        self.bound_to(binding)
        message = f"{begin}; {binding.preamble}"
        # Below the cursor: no result is read from this message, and a cursor would cost a tenth of a short read.
        _check(self.pgconn.exec_(message.encode()))

    def commit(self) -> None:
        self.binding = None
        if not self.residue:
            return super().commit()
        return self._end("COMMIT")

    def rollback(self) -> None:
        self.binding = None
        if self.residue:
            self._end("ROLLBACK")
        elif self.pgconn.transaction_status == INTRANS:
            # psycopg throws its prepared statements away here, for objects that the transaction may have made. Plain
            # DML makes none, so reads, which end like this, keep theirs; after an error they go as ever.
            _check(self.pgconn.exec_(b"ROLLBACK"))
        else:
            super().rollback()

    def close(self) -> None:
        super().close()
        self.released()

    def _end(self, statement: str) -> None:
        psycopg.Cursor(self).execute(f"{statement}; {SWEEP}")
        # What the sweep does not reach keeps the connection from being lent again.
        self.residue = self.lasting


class AsyncBoundCursor(psycopg.AsyncCursor[Any]):
    """A cursor whose every statement is watched."""

    connection: AsyncBoundConnection

    def execute(self, query: Any, params: Params | None = None, **options: Any) -> Coroutine[Any, Any, Self]:
        self.connection.watch(query)
        return super().execute(query, params, **options)

    async def executemany(self, query: Query, params_seq: Iterable[Params], **options: Any) -> None:
        self.connection.watch(query)
        await super().executemany(query, params_seq, **options)

    def stream(self, query: Query, params: Params | None = None, **options: Any) -> Any:
        self.connection.watch(query)
        return super().stream(query, params, **options)

    def copy(self, statement: Query, params: Params | None = None, **options: Any) -> Any:
        self.connection.watch(statement)
        return super().copy(statement, params, **options)


class AsyncBoundServerCursor(psycopg.AsyncServerCursor[Any]):
    """A server-side cursor whose every statement is watched."""

    connection: AsyncBoundConnection

    async def execute(self, query: Any, params: Params | None = None, **options: Any) -> Self:
        self.connection.watch(query)
        return await super().execute(query, params, **options)


class AsyncBoundConnection(_Watched, psycopg.AsyncConnection[Any]):
    """An async psycopg connection in AUTOCOMMIT whose transactions begin with a tenant."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.cursor_factory = AsyncBoundCursor
        self.server_cursor_factory = AsyncBoundServerCursor

    def enter(self, begin: str, binding: Binding) -> Coroutine[Any, Any, None]:
        """Sends BEGIN and the binding as one message."""
        self.bound_to(binding)
        return self._send(f"{begin}; {binding.preamble}")

    async def commit(self) -> None:
        self.binding = None
        if self.residue:
            await self._end("COMMIT")
        elif self.pgconn.transaction_status == INTRANS:
            await self._send("COMMIT")
        else:
            await super().commit()

    async def rollback(self) -> None:
        self.binding = None
        if self.residue:
            await self._end("ROLLBACK")
        elif self.pgconn.transaction_status == INTRANS:
            # As in the synchronous door.
            await self._send("ROLLBACK")
        else:
            await super().rollback()

    async def close(self) -> None:
        await super().close()
        self.released()

    async def _send(self, message: str) -> None:
        # Below the cursor, which has no result to read here and would cost a tenth of a short read. The loop hears of
        # interrupts by itself, so no timer wakes this wait.
        async with self.lock:
            self.pgconn.send_query(message.encode())
            results = await self.wait(generators.execute(self.pgconn), 0.0)
        _check(results[-1])

    async def _end(self, statement: str) -> None:
        await psycopg.AsyncCursor(self).execute(f"{statement}; {SWEEP}")
        # What the sweep does not reach keeps the connection from being lent again.
        self.residue = self.lasting
