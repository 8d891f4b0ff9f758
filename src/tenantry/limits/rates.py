"""Rates: how much a tenant may have of a resource in a time, decided by one statement."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from tenantry.errors import ConfigurationError, RatesUnavailable
from tenantry.events import announce
from tenantry.limits.rate_statements import RESOURCE_LENGTH, Ask, Statements, rates_table
from tenantry.limits.rate_stores import DatabaseStore, RateStore
from tenantry.limits.rules import Decision, Limit, RateUsage, Rule, TokenBucket, decision, granted, in_words
from tenantry.session.core import TenantSession
from tenantry.session.routes import Route
from tenantry.tenancy import Tenancy
from tenantry.types import Tenant, TenantKey

if TYPE_CHECKING:
    from tenantry.limits.rates_aio import AsyncRates

# What a tenant's settings may hold: {"rate_limits": {"api": {"count": 500, "per": 60}}}.
SETTING: Final = "rate_limits"

Overrides = Callable[[Tenant, str], Rule | None]


def rule_in_settings(tenant: Tenant, resource: str) -> Rule | None:
    """Returns the limit that a tenant's own settings name for *resource*, or None.

    Raises: ConfigurationError for one that cannot be read.
    """
    own: Any = tenant.settings.get(SETTING, {})
    found = own.get(resource) if isinstance(own, Mapping) else own
    if found is None:
        return None
    try:
        return TokenBucket(**found) if "rate" in found else Limit(**found)
    except TypeError as error:
        raise ConfigurationError(
            what=f"The settings of tenant {tenant.id} name no limit for {resource!r}.",
            fix='Give {"count": 100, "per": 60} or {"rate": 5, "burst": 20}.',
        ) from error


class Rates:
    """Grants each tenant so much of each resource and no more, counted across threads, processes and machines.

    Each method takes whose it is: a tenant's key, and what is granted stands whatever happens next; or a session, and
    it is part of the session's transaction, which holds other callers of the same resource up until it ends.

    Args:
        limits: the limit of each resource.
        overrides: returns a tenant's own limit, or None; without it the tenant's settings are asked.
        store: where to count, such as a ``RedisStore``; without it the tenant's database.
        durable: whether a decision waits until it would survive a crash of the PostgreSQL server.
        fail_open: whether calls pass uncounted while the store is down, instead of being refused by an error.
        table: the name of the table.
    """

    def __init__(
        self,
        tenancy: Tenancy,
        *,
        limits: Mapping[str, Rule] | None = None,
        overrides: Overrides = rule_in_settings,
        store: RateStore | None = None,
        durable: bool = False,
        fail_open: bool = False,
        table: str = "rate_limits",
    ) -> None:
        self.tenancy = tenancy
        self.limits = dict(limits or {})
        self.fail_open = fail_open
        self._overrides = overrides
        self.store = store or DatabaseStore(Statements(rates_table(tenancy, table)), durable=durable)

    def __repr__(self) -> str:
        return f"Rates({', '.join(sorted(self.limits))})"

    @functools.cached_property
    def aio(self) -> AsyncRates:
        """The same, awaited.

        Raises: ExtraMissing without greenlet.
        """
        from tenantry.limits.rates_aio import AsyncRates  # noqa: PLC0415  # needs greenlet, as ``tenancy.aio`` does

        return AsyncRates(self)

    def consume(
        self, whose: TenantKey | TenantSession, resource: str, *, cost: int = 1, limit: Rule | None = None
    ) -> Decision:
        """Takes *cost* if it is there, and says whether it was; *limit* goes before the declared one.

        Raises: RatesUnavailable; ConfigurationError for a resource without a limit; and as ``Tenancy.session``.
        """
        return self._decide(whose, resource, cost=cost, limit=limit)

    def consume_or_raise(
        self, whose: TenantKey | TenantSession, resource: str, *, cost: int = 1, limit: Rule | None = None
    ) -> Decision:
        """Takes *cost*.

        Raises: RateLimited where it is not there, with ``retry_after``; and as ``consume``.
        """
        return granted(self.consume(whose, resource, cost=cost, limit=limit), resource)

    def check(
        self, whose: TenantKey | TenantSession, resource: str, *, cost: int = 1, limit: Rule | None = None
    ) -> Decision:
        """Says whether *cost* would be granted now; somebody else may take it before you do, so only ``consume`` binds.

        Raises: as ``consume``.
        """
        return self._decide(whose, resource, cost=cost, limit=limit, looking=True)

    def peek(self, whose: TenantKey | TenantSession, resource: str, *, limit: Rule | None = None) -> Decision:
        """Says what is left, and takes nothing.

        Raises: as ``consume``.
        """
        return self._decide(whose, resource, cost=1, limit=limit, looking=True)

    def reset(self, whose: TenantKey | TenantSession, resource: str, *, limit: Rule | None = None) -> None:
        """Forgets what was used of *resource*.

        Raises: as ``consume``.
        """
        at = self._at(whose)
        self.store.forget(at, self.ask(at.tenant, resource, limit=limit))

    def prune(self, key: TenantKey) -> int:
        """Deletes the rows of resources that are whole again, and returns how many they were.

        Raises: as ``Tenancy.session``.
        """
        route = self.tenancy.router.route(key)
        return self.store.prune(route) if isinstance(self.store, DatabaseStore) else 0

    def check_limit(
        self, whose: TenantKey | TenantSession, resource_type: str, *, limit_period: str, limit_value: int
    ) -> tuple[bool, RateUsage]:
        """Says whether one more would be granted in this period, and how far the limit is used.

        Raises: as ``consume``.
        """
        limit = Limit(limit_value, per=limit_period)
        return in_words(self.check(whose, resource_type, limit=limit), resource_type, limit)

    def increment_usage(
        self, whose: TenantKey | TenantSession, resource_type: str, *, limit_period: str, limit_value: int
    ) -> tuple[bool, RateUsage]:
        """Takes one if it is there, and says whether it was and how far the limit is used now.

        Raises: as ``consume``.
        """
        limit = Limit(limit_value, per=limit_period)
        return in_words(self.consume(whose, resource_type, limit=limit), resource_type, limit)

    def ask(
        self, tenant: Tenant, resource: str, *, cost: int = 1, limit: Rule | None = None, looking: bool = False
    ) -> Ask:
        """Returns what a store is asked.

        Raises: ConfigurationError for what cannot be counted, or has no limit.
        """
        rule = limit or self._overrides(tenant, resource) or self.limits.get(resource)
        if rule is None:
            raise ConfigurationError(
                what=f"Nobody declared a limit for {resource!r}.",
                fix=f"Give it to Rates(limits={{{resource!r}: Limit(100, per=60)}}), or pass limit=.",
            )
        if cost < 1 or not 1 <= len(resource) <= RESOURCE_LENGTH or not resource.isprintable():
            raise ConfigurationError(
                what=f"{cost} of {resource[:RESOURCE_LENGTH]!r} cannot be counted.",
                fix=f"Use a cost of at least 1 and a printable name of up to {RESOURCE_LENGTH} characters.",
            )
        return Ask(tenant.id, resource, rule, cost, looking)

    def uncounted(self, ask: Ask, error: RatesUnavailable) -> Decision:
        """Returns what a call gets while the store is down.

        Raises: RatesUnavailable, unless calls are to pass.
        """
        if not self.fail_open:
            raise error
        announce("rates", "passed uncounted", tenant=ask.tenant, resource=ask.resource, reason=error.fields["reason"])
        return Decision(True, 0, ask.rule.capacity, datetime.now(UTC), 0.0, counted=False)

    def _decide(
        self, whose: TenantKey | TenantSession, resource: str, *, cost: int, limit: Rule | None, looking: bool = False
    ) -> Decision:
        at = self._at(whose)
        ask = self.ask(at.tenant, resource, cost=cost, limit=limit, looking=looking)
        try:
            state = self.store.decide(at, ask)
        except RatesUnavailable as error:
            return self.uncounted(ask, error)
        return decision(ask.rule, state, cost=cost)

    def _at(self, whose: TenantKey | TenantSession) -> Route | TenantSession:
        return whose if isinstance(whose, TenantSession) else self.tenancy.router.route(whose)
