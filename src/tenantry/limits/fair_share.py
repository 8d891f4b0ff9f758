"""Fair share: so many transactions of a tenant at once, each within a budget, so that no tenant starves the others."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import random
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from tenantry.errors import ConfigurationError, TenantBusy
from tenantry.limits.metering import Metered, TransactionBudget
from tenantry.limits.obeying import ask_at_begin
from tenantry.limits.slots import Slots
from tenantry.session.core import TenantSession
from tenantry.tenancy import Tenancy
from tenantry.types import TenantKey

if TYPE_CHECKING:
    from tenantry.limits.fair_share_aio import AsyncFairShare

_LOCK_NOT_AVAILABLE: Final = "55P03"


class FairShare:
    """Opens sessions of which a tenant may have so many at once; the next waits, in line, for so many seconds.

    The line is that of this process, both doors together. With *everywhere*, so many transactions of a tenant are open
    at once in all processes together; that is PostgreSQL's to say. Every transaction keeps to the *budget*.

    Raises: ConfigurationError for a number that cannot be.
    """

    def __init__(
        self,
        tenancy: Tenancy,
        *,
        concurrency: int = 4,
        wait: float = 5.0,
        budget: TransactionBudget | None = None,
        everywhere: bool = False,
    ) -> None:
        if concurrency < 1 or wait < 0:
            raise ConfigurationError(
                what=f"concurrency={concurrency}, wait={wait} leaves a tenant nothing.",
                fix="Give a concurrency of at least 1 and a wait of nought or more.",
            )
        self.tenancy = tenancy
        self.slots = Slots(concurrency)
        self.wait = wait
        self._concurrency = concurrency
        self._budget = budget
        self._everywhere = everywhere

    def __repr__(self) -> str:
        return f"<FairShare {self._concurrency} each, of {self.tenancy!r}>"

    @functools.cached_property
    def aio(self) -> AsyncFairShare:
        """The same, awaited.

        Raises: ExtraMissing without greenlet.
        """
        from tenantry.limits.fair_share_aio import AsyncFairShare  # noqa: PLC0415  # needs greenlet

        return AsyncFairShare(self)

    @contextlib.contextmanager
    def session(
        self, key: TenantKey, *, budget: TransactionBudget | None = None, **options: Any
    ) -> Iterator[TenantSession]:
        """Opens a session in the tenant's share; a *budget* takes the place of the usual one.

        Raises: TenantBusy, TransactionBudgetExceeded, and as ``Tenancy.session``.
        """
        with self.tenancy.session(key, **options) as session:
            if not self.slots.take(session.tenant.id, seconds=self.wait):
                raise self.busy()
            try:
                with self.kept(session, budget):
                    yield session
            finally:
                # What is open must not outlive the place.
                try:
                    session.close()
                finally:
                    self.slots.leave(session.tenant.id)

    @contextlib.contextmanager
    def transaction(
        self, key: TenantKey, *, budget: TransactionBudget | None = None, **options: Any
    ) -> Iterator[TenantSession]:
        """Opens such a session, commits on leaving, and rolls back on an error.

        Raises: as ``session``, and OutcomeUnknown.
        """
        with self.session(key, budget=budget, **options) as session:
            yield session
            session.commit()

    @contextlib.contextmanager
    def kept(self, session: TenantSession, budget: TransactionBudget | None) -> Iterator[None]:
        """Keeps the transactions of a session that has a place within their share.

        Raises: TransactionBudgetExceeded for what the database stopped at its limit.
        """
        if self._everywhere:
            ask_at_begin(session, functools.partial(self._take_everywhere, session))
        allowed = budget or self._budget
        metered = allowed and Metered(session, allowed, longest=self.tenancy.config.statement_timeout)
        try:
            yield
        except Exception as error:
            exceeded = metered.reading(error) if metered else None
            if exceeded is None:
                raise
            raise exceeded from error

    def busy(self) -> TenantBusy:
        """Returns the error of who waited in vain."""
        return TenantBusy(limit=self._concurrency, waited=self.wait, retry_after=max(self.wait, 1.0))

    def _take_everywhere(self, session: TenantSession, connection: Connection) -> None:
        """Takes one of the places that all processes share, for the transaction that begins."""
        if connection.dialect.name != "postgresql":
            return
        digest = hashlib.blake2b(session.tenant.id.bytes, digest_size=4, person=b"fair share")
        tenant = int.from_bytes(digest.digest(), signed=True)
        if connection.execute(_ANY_PLACE, {"tenant": tenant, "places": self._concurrency}).first() is not None:
            return
        # None is free: wait for one of them, whichever, so that the waiting spreads over all.
        place = random.randrange(self._concurrency)  # noqa: S311  # nobody gains by guessing it
        connection.execute(text(f"SET LOCAL lock_timeout = {max(1, int(self.wait * 1000))}"))
        try:
            connection.execute(_ONE_PLACE, {"tenant": tenant, "place": place})
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) != _LOCK_NOT_AVAILABLE:
                raise
            raise self.busy() from error
        connection.execute(text("SET LOCAL lock_timeout TO DEFAULT"))


_ANY_PLACE: Final = text(
    "SELECT place FROM generate_series(0, CAST(:places AS integer) - 1) AS place"
    " WHERE pg_try_advisory_xact_lock(CAST(:tenant AS integer), place) LIMIT 1"
)
_ONE_PLACE: Final = text("SELECT pg_advisory_xact_lock(CAST(:tenant AS integer), CAST(:place AS integer))")
