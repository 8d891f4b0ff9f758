"""The asynchronous door of circuit breakers: the same methods, awaited."""

from __future__ import annotations

from tenantry.limits.breakers import Breakers
from tenantry.limits.circuits import Circuit, Permit
from tenantry.types import TenantKey


class AsyncBreakers:
    """The awaited face of ``Breakers``; make it through ``breakers.aio``."""

    def __init__(self, breakers: Breakers) -> None:
        self._tenancy = breakers.tenancy.aio
        self._circuits = breakers.circuits
        self._breakers = breakers

    def __repr__(self) -> str:
        return f"{self._breakers!r}.aio"

    async def allow(self, key: TenantKey, name: str) -> Permit:
        """Asks whether a call may be made now; a call that may must be reported.

        Raises: as ``Breakers.allow``.
        """
        async with self._tenancy.session(key, read_only=True) as session:
            permit = await session.run_sync(self._circuits.look, key, name)  # type: ignore[arg-type]  # it is a TenantSession
        if permit is not None:
            return permit
        async with self._tenancy.transaction(key) as session:
            return await session.run_sync(self._circuits.probe, key, name)  # type: ignore[arg-type]  # as above

    async def record_success(self, permit: Permit) -> None:
        """Reports that the call of *permit* succeeded."""
        if self._circuits.matters(permit):
            async with self._tenancy.transaction(permit.key) as session:
                await session.run_sync(self._circuits.succeed, permit)  # type: ignore[arg-type]  # as above

    async def record_failure(self, permit: Permit) -> None:
        """Reports that the call of *permit* failed."""
        async with self._tenancy.transaction(permit.key) as session:
            await session.run_sync(self._circuits.fail, permit)  # type: ignore[arg-type]  # as above

    async def release(self, permit: Permit) -> None:
        """Reports that nothing is known of the call of *permit*; another may be made in the place of a probe."""
        if permit.probe:
            async with self._tenancy.transaction(permit.key) as session:
                await session.run_sync(self._circuits.let_go, permit)  # type: ignore[arg-type]  # as above

    async def state(self, key: TenantKey, name: str) -> Circuit:
        """Returns how a breaker stands.

        Raises: as ``Breakers.allow``.
        """
        async with self._tenancy.session(key, read_only=True) as session:
            return await session.run_sync(self._circuits.standing, name)  # type: ignore[arg-type]  # as above

    async def reset(self, key: TenantKey, name: str) -> None:
        """Closes a breaker by hand.

        Raises: as ``Breakers.allow``.
        """
        async with self._tenancy.transaction(key) as session:
            await session.run_sync(self._circuits.close, name)  # type: ignore[arg-type]  # as above
