"""What stands in the place of an async session where each call is to be a unit of work of its own."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy.ext.asyncio import AsyncScalarResult
from sqlalchemy.orm import Session

from tenantry.types import TenantKey

if TYPE_CHECKING:
    from tenantry.doors.core import Door

P = ParamSpec("P")
R = TypeVar("R")


class Units:
    """Gives an async repository a session for each of its calls, and commits when the call is over.

    Nothing is opened before the first call. What a call returns has left its session: what was not loaded stays so.
    """

    def __init__(self, door: Door[Any], key: TenantKey | None = None) -> None:
        self._door = door
        self._key = key

    def __repr__(self) -> str:
        return f"<Units of {self._door!r}>"

    async def run_sync(self, work: Callable[Concatenate[Session, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Returns what *work* comes to in a transaction of its own.

        Raises: as ``Door.transaction``.
        """
        async with self._door.aio.transaction(self._key) as session:
            return await session.run_sync(work, *args, **kwargs)

    async def stream_scalars(self, statement: Any, **options: Any) -> Streamed:
        """Returns rows that are fetched while they are read; their transaction lasts until they are closed.

        Raises: as ``Door.session``.
        """
        async with contextlib.AsyncExitStack() as stack:
            session = await stack.enter_async_context(self._door.aio.session(self._key))
            found = await session.stream_scalars(statement, **options)
            return Streamed(found, stack.pop_all())


class Streamed:
    """Rows under way, and what must be closed behind them."""

    def __init__(self, rows: AsyncScalarResult[Any], stack: contextlib.AsyncExitStack) -> None:
        self._rows = rows
        self._stack = stack

    def __aiter__(self) -> AsyncIterator[Any]:
        return aiter(self._rows)

    async def close(self) -> None:
        """Ends the transaction."""
        async with self._stack:
            await self._rows.close()
