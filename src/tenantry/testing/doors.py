"""A tenancy's sync and awaited door behind one spelling, for tests that hold for both."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from tenantry.session.core import TenantSession
from tenantry.tenancy import Tenancy
from tenantry.testing.undoing import undone, undone_async
from tenantry.types import TenantKey

R = TypeVar("R")


class Door:
    """One door of a tenancy: ``run`` works in a session of it, and what it writes is undone with the test."""

    def __init__(self, name: str, tenancy: Tenancy, runner: asyncio.Runner | None) -> None:
        self.name = name
        self.tenancy = tenancy
        self._runner = runner

    def __repr__(self) -> str:
        return f"<Door {self.name!r}>"

    def run(self, key: TenantKey, work: Callable[[TenantSession], R]) -> R:
        """Returns what *work* gives with a session of one tenant; it is committed afterwards."""
        if self._runner is None:
            with self.tenancy.transaction(key) as session:
                return work(session)
        return self._runner.run(self._run_awaited(key, work))

    def wait_for(self, awaitable: Any) -> Any:
        """Returns what a coroutine of the code under test gives, on this door's event loop."""
        if self._runner is None:
            raise TypeError("The sync door has no event loop.")
        return self._runner.run(awaitable)

    async def _run_awaited(self, key: TenantKey, work: Callable[[TenantSession], R]) -> R:
        async with self.tenancy.aio.transaction(key) as session:
            return await session.run_sync(lambda _: work(session.sync_session))


@contextmanager
def door(name: str, tenancy: Tenancy) -> Iterator[Door]:
    """Lends the door ``sync`` or ``async``; what tenants' sessions write through it is undone when the block ends."""
    if name == "sync":
        with undone(tenancy):
            yield Door(name, tenancy, None)
        return
    with asyncio.Runner() as runner:
        undoing = undone_async(tenancy)
        runner.run(_enter(undoing))
        try:
            yield Door(name, tenancy, runner)
        finally:
            runner.run(_leave(undoing, tenancy))


async def _enter(undoing: Any) -> None:
    await undoing.__aenter__()


async def _leave(undoing: Any, tenancy: Tenancy) -> None:
    await undoing.__aexit__(None, None, None)
    await tenancy.aio.close()
