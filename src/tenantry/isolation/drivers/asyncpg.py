"""asyncpg connections whose BEGIN carries the tenant and whose COMMIT and ROLLBACK sweep the connection."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import asyncpg

from tenantry.errors import ContextLost, TenantRequired
from tenantry.isolation.binding import SWEEP, Binding


class BoundConnection(asyncpg.Connection):  # type: ignore[misc]  # asyncpg is untyped
    """An asyncpg connection, made through the driver's public ``connection_class``.

    SQLAlchemy begins a transaction with the first statement; the tenant armed by then travels in that BEGIN.
    """

    armed: Binding | None = None
    binding: Binding | None = None
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

    def watch(self) -> None:
        """Lets a statement pass while its transaction stands.

        Raises: ContextLost when the transaction was ended by text.
        """
        if self.binding is not None and not self.is_in_transaction():
            raise ContextLost(tenant=self.binding.tenant)

    async def execute(self, query: str, *args: Any, timeout: float | None = None) -> str:
        status: str = await super().execute(query if args else self._extended(query), *args, timeout=timeout)
        return status

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
            self.binding = None
            return f"{query} {SWEEP}"
        if not query.startswith("BEGIN"):
            return query
        if self.armed is None:
            if not self.unbound_allowed:
                raise TenantRequired
            return query
        self.binding, self.armed = self.armed, None
        return f"{query} {self.binding.preamble}"


connect = asyncpg.connect
