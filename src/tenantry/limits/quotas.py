"""Quotas: how many rows, how much storage, how many seats a tenant may have."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import BigInteger, Column, String

from tenantry.errors import ConfigurationError
from tenantry.limits.quota_accounts import Counted, Quota, account_of, book_of, tables_of
from tenantry.models import is_walled
from tenantry.session.core import TenantSession
from tenantry.tenancy import Tenancy
from tenantry.types import TenantKey

if TYPE_CHECKING:
    from tenantry.limits.quotas_aio import AsyncQuotas

NAME_LENGTH = 63


@dataclass(frozen=True, slots=True)
class QuotaUsage:
    """How far a quota is used; without a limit as much is left as anybody likes, which is None."""

    name: str
    used: int
    limit: int | None

    @property
    def remaining(self) -> int | None:
        """What may still come."""
        return None if self.limit is None else max(self.limit - self.used, 0)


@dataclass(frozen=True, slots=True)
class Recount:
    """A counter that did not say what is there."""

    name: str
    noted: int
    counted: int


class Quotas:
    """Keeps every tenant's sessions within its quotas: a transaction that goes beyond one is not committed.

    Every tenancy with the same models keeps to them, in each process that declares them.

    Args:
        table: the name of the counters' table.

    Raises: ConfigurationError for a name that is too long or given twice, and a model whose rows are not tenants'.
    """

    def __init__(self, tenancy: Tenancy, *quotas: Quota, table: str = "quotas") -> None:
        self.tenancy = tenancy
        self._names = [quota.name for quota in quotas]
        for quota in quotas:
            _check(quota, self._names)
        counters = tenancy.table(
            table,
            Column("name", String(NAME_LENGTH), primary_key=True),
            Column("used", BigInteger),
            Column("allowed", BigInteger),
            behaviour="Quotas",
        )
        for quota in quotas:
            book_of(tenancy.metadata).declare(quota, counters)

    def __repr__(self) -> str:
        return f"Quotas({', '.join(self._names)})"

    @functools.cached_property
    def aio(self) -> AsyncQuotas:
        """The same, awaited.

        Raises: ExtraMissing without greenlet.
        """
        from tenantry.limits.quotas_aio import AsyncQuotas  # noqa: PLC0415  # needs greenlet, as ``tenancy.aio`` does

        return AsyncQuotas(self)

    def set(self, whose: TenantKey | TenantSession, name: str, limit: int | None) -> None:
        """Gives a tenant a limit of its own; None takes it away, so that the declared one holds.

        What is beyond a lower limit stays, and nothing more is added.

        Raises: ConfigurationError for a quota that was not declared or a limit below nought.
        """
        counted = self._counted(name)
        if limit is not None and limit < 0:
            raise ConfigurationError(what=f"{limit} is no limit for {name!r}.", fix="Give a number of nought or more.")
        with self._within(whose) as session:
            counted.allow(session, limit)

    def usage(self, whose: TenantKey | TenantSession) -> list[QuotaUsage]:
        """Returns how far each quota is used, as of the last commit; one that nobody has counted yet is counted."""
        with self._within(whose) as session:
            return [self._usage(session, self._counted(name)) for name in self._names]

    def check(self, session: TenantSession) -> None:
        """Holds what the transaction has written so far against the limits, before its commit does.

        Raises: QuotaExceeded.
        """
        session.flush()
        account = account_of(session)
        if account is not None:
            account.settle(session)

    def recount(self, whose: TenantKey | TenantSession) -> list[Recount]:
        """Counts what is there, and returns the counters that said something else; they are right from now on.

        Raises: QuotaExceeded where the session has written too much already.
        """
        with self._within(whose) as session:
            self.check(session)
            found = [self._recount(session, self._counted(name)) for name in sorted(self._names)]
        return [recount for recount in found if recount is not None]

    def _usage(self, session: TenantSession, counted: Counted) -> QuotaUsage:
        used, limit = counted.read(session)
        return QuotaUsage(counted.quota.name, counted.measure(session) if used is None else used, limit)

    def _recount(self, session: TenantSession, counted: Counted) -> Recount | None:
        noted, now, _ = counted.count(session)
        counted.note(session, now)
        # A first count corrects nothing.
        return None if noted in (None, now) else Recount(counted.quota.name, noted, now)

    def _counted(self, name: str) -> Counted:
        if name not in self._names:
            raise ConfigurationError(
                what=f"There is no quota {name!r}.", fix=f"Use one of {', '.join(self._names)}, or declare it."
            )
        return book_of(self.tenancy.metadata).counter(name)

    @contextlib.contextmanager
    def _within(self, whose: TenantKey | TenantSession) -> Iterator[TenantSession]:
        if isinstance(whose, TenantSession):
            yield whose
            return
        with self.tenancy.transaction(whose) as session:
            yield session


def _check(quota: Quota, names: list[str]) -> None:
    if not 1 <= len(quota.name) <= NAME_LENGTH or names.count(quota.name) > 1:
        raise ConfigurationError(
            what=f"{quota.name!r} cannot name a quota here.",
            fix=f"Use a name of up to {NAME_LENGTH} characters, once.",
        )
    if not all(map(is_walled, tables_of(quota.model))) or (quota.limit or 0) < 0:
        raise ConfigurationError(
            what=f"There is no quota of {quota.limit} on {quota.model.__name__}.",
            fix="Use a model whose rows are tenants', and a limit of nought or more, or None.",
        )
