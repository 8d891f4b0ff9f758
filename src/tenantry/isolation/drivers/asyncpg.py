"""asyncpg connections whose BEGIN carries the tenant and whose COMMIT and ROLLBACK sweep what was left behind."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

import asyncpg

from tenantry.errors import ContextLost, TenantRequired
from tenantry.isolation.binding import Binding
from tenantry.isolation.residue import SWEEP, may_leave_residue, outlives_sweep


class BoundConnection(asyncpg.Connection):  # type: ignore[misc]  # asyncpg is untyped
    """An asyncpg connection, made through the driver's public ``connection_class``.

    SQLAlchemy begins a transaction with the first statement; the tenant armed by then travels in that BEGIN.
    """

    armed: Binding | None = None
    binding: Binding | None = None
    residue = False
    lasting = False
    # SQLAlchemy asks a new connection a few questions before it is ever checked out.
    unbound_allowed = True
    on_close: Callable[[], object] | None = None

    def __init__(self, protocol: Any, transport: Any, *args: Any) -> None:
        super().__init__(protocol, transport, *args)
        self._socket = transport.get_extra_info("socket")

    def fileno(self) -> int:
        """Returns the descriptor of the connection's socket."""
        descriptor: int = self._socket.fileno()
        return descriptor

    def arm(self, binding: Binding) -> None:
        """Has the next BEGIN carry *binding*, once."""
        self.armed = binding

    def close_to_unbound(self) -> None:
        """Has every transaction from now on need a binding."""
        self.armed = self.binding = None
        self.unbound_allowed = False

    def watch(self, query: str) -> None:
        """Lets a statement pass while its transaction stands.

        Raises: ContextLost when the transaction was ended by text.
        """
        if self.binding is not None and not self.is_in_transaction():
            self.residue = True
            raise ContextLost(tenant=self.binding.tenant)
        if not self.residue:
            self.residue = may_leave_residue(query)
        if self.residue and not self.lasting:
            self.lasting = outlives_sweep(query)

    # What a program can call on the driver itself passes no event of SQLAlchemy's.

    async def prepare(self, query: str, **options: Any) -> Any:
        self.watch(query)
        return await super().prepare(query, **options)

    async def _execute(self, query: str, *args: Any, **options: Any) -> Any:
        self.watch(query)
        return await super()._execute(query, *args, **options)

    async def _executemany(self, query: str, *args: Any, **options: Any) -> Any:
        self.watch(query)
        return await super()._executemany(query, *args, **options)

    async def add_listener(self, channel: str, callback: Any) -> None:
        # The driver keeps who is to be called, whatever the server forgets.
        self.residue = self.lasting = True
        await super().add_listener(channel, callback)

    def execute(self, query: str, *args: Any, timeout: float | None = None) -> Coroutine[Any, Any, str]:
        message = query if args else self._extended(query)
        running: Coroutine[Any, Any, str] = super().execute(message, *args, timeout=timeout)
        return self._swept(running) if message.endswith(SWEEP) else running

    async def _swept(self, running: Coroutine[Any, Any, str]) -> str:
        status = await running
        # What the sweep does not reach keeps the connection from being lent again.
        self.residue = self.lasting
        return status

    async def copy_from_query(self, query: str, *args: Any, **options: Any) -> Any:
        self.residue = True
        return await super().copy_from_query(query, *args, **options)

    async def close(self, *, timeout: float | None = None) -> None:
        await super().close(timeout=timeout)
        self.released()

    def terminate(self) -> None:
        super().terminate()
        self.released()

    def released(self) -> None:
        """Tells the connection budget, once, that this connection is gone."""
        if self.on_close is not None:
            callback, self.on_close = self.on_close, None
            callback()

    def _extended(self, query: str) -> str:
        if query in ("COMMIT;", "ROLLBACK;"):
            return self._ending(query)
        if not query.startswith("BEGIN"):
            self.watch(query)
            return query
        if self.armed is None:
            if not self.unbound_allowed:
                raise TenantRequired
            return query
        self.binding, self.armed = self.armed, None
        return f"{query} {self.binding.preamble}"

    def _ending(self, query: str) -> str:
        self.binding = None
        return f"{query} {SWEEP}" if self.residue else query


connect = asyncpg.connect
