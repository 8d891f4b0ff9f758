"""Circuit breakers: calls of something that fails are held back for a while, then tried by a few, for each tenant."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING

from tenantry.errors import CircuitOpen
from tenantry.limits.circuits import Circuit, Circuits, Permit, Policy, breakers_table
from tenantry.tenancy import Tenancy
from tenantry.types import TenantKey

if TYPE_CHECKING:
    from tenantry.limits.breakers_aio import AsyncBreakers


class Breakers:
    """Circuit breakers by the tenant and a name, such as a vendor's; each report is a short transaction of its own.

    *policies* are those of single names. Exceptions that are *counted* are failures of the call; any other says that
    what was called answered.

    Raises: as ``Tenancy.table``.
    """

    def __init__(
        self,
        tenancy: Tenancy,
        *,
        policy: Policy | None = None,
        policies: Mapping[str, Policy] | None = None,
        counted: tuple[type[Exception], ...] = (Exception,),
        table: str = "circuit_breakers",
    ) -> None:
        self.tenancy = tenancy
        self.circuits = Circuits(breakers_table(tenancy, table), policy or Policy(), policies or {})
        self._counted = counted

    def __repr__(self) -> str:
        return f"<Breakers of {self.tenancy!r}>"

    def __call__(self, key: TenantKey, name: str) -> Guarded:
        """Returns a block, for ``with`` or ``async with``, around one call: it reports what becomes of it.

        Raises: on entering, CircuitOpen, and as ``Tenancy.session``.
        """
        return Guarded(self, key, name)

    @functools.cached_property
    def aio(self) -> AsyncBreakers:
        """The same, awaited.

        Raises: ExtraMissing without greenlet.
        """
        from tenantry.limits.breakers_aio import AsyncBreakers  # noqa: PLC0415  # needs greenlet

        return AsyncBreakers(self)

    def allow(self, key: TenantKey, name: str) -> Permit:
        """Asks whether a call may be made now; a call that may must be reported.

        Raises: ConfigurationError for a name that cannot be one, and as ``Tenancy.session``.
        """
        with self.tenancy.session(key, read_only=True) as session:
            permit = self.circuits.look(session, key, name)
        if permit is not None:
            return permit
        with self.tenancy.transaction(key) as session:
            return self.circuits.probe(session, key, name)

    def record_success(self, permit: Permit) -> None:
        """Reports that the call of *permit* succeeded.

        Raises: as ``Tenancy.transaction``, like the other reports.
        """
        if self.circuits.matters(permit):
            with self.tenancy.transaction(permit.key) as session:
                self.circuits.succeed(session, permit)

    def record_failure(self, permit: Permit) -> None:
        """Reports that the call of *permit* failed."""
        with self.tenancy.transaction(permit.key) as session:
            self.circuits.fail(session, permit)

    def release(self, permit: Permit) -> None:
        """Reports that nothing is known of the call of *permit*; another may be made in the place of a probe."""
        if permit.probe:
            with self.tenancy.transaction(permit.key) as session:
                self.circuits.let_go(session, permit)

    def state(self, key: TenantKey, name: str) -> Circuit:
        """Returns how a breaker stands.

        Raises: as ``allow``.
        """
        with self.tenancy.session(key, read_only=True) as session:
            return self.circuits.standing(session, name)

    def reset(self, key: TenantKey, name: str) -> None:
        """Closes a breaker by hand.

        Raises: as ``allow``.
        """
        with self.tenancy.transaction(key) as session:
            self.circuits.close(session, name)

    def fails(self, error: BaseException | None) -> bool:
        """Whether what a call raised counts as its failure."""
        return isinstance(error, self._counted)


class Guarded:
    """A block around one call."""

    def __init__(self, breakers: Breakers, key: TenantKey, name: str) -> None:
        self._breakers = breakers
        self._key = key
        self._name = name

    def __enter__(self) -> Permit:
        self._permit = _checked(self._breakers.allow(self._key, self._name))
        return self._permit

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if self._breakers.fails(error):
            self._breakers.record_failure(self._permit)
        elif error is None or isinstance(error, Exception):
            self._breakers.record_success(self._permit)
        else:
            self._breakers.release(self._permit)

    async def __aenter__(self) -> Permit:
        self._permit = _checked(await self._breakers.aio.allow(self._key, self._name))
        return self._permit

    async def __aexit__(self, _: object, error: BaseException | None, __: object) -> None:
        if self._breakers.fails(error):
            await self._breakers.aio.record_failure(self._permit)
        elif error is None or isinstance(error, Exception):
            await self._breakers.aio.record_success(self._permit)
        else:
            await self._breakers.aio.release(self._permit)


def _checked(permit: Permit) -> Permit:
    if not permit:
        raise CircuitOpen(name=permit.name, retry_after=round(permit.retry_after, 3))
    return permit
