"""A request's entry: its resolvers are asked, they must agree, and the tenant they mean is looked up."""

from __future__ import annotations

import inspect
import uuid
from collections.abc import Awaitable, Collection, Iterable, Sequence
from typing import Any, Final

from tenantry.errors import ConfigurationError, InvalidKey, TenantNotFound, TenantsDisagree, TenantUnavailable
from tenantry.tenancy import Tenancy
from tenantry.types import Tenant, TenantKey
from tenantry.web.context import TenantContext
from tenantry.web.incoming import Incoming, correlation_id
from tenantry.web.resolvers import Answer, Reading, Resolver, Said

CORRELATION_HEADER: Final = "X-Request-ID"
# What an answer to somebody says of caches where it says nothing itself (RFC 9111, section 5.2.2.7).
CACHING: Final = "Cache-Control"
PRIVATE: Final = "private"

# What a key led to: a tenant, or why there is none to bind.
Outcome = Tenant | TenantNotFound | TenantUnavailable


class Entry:
    """Turns what a request says into its context; ASGI and WSGI share it.

    Raises: ConfigurationError without a resolver.
    """

    def __init__(
        self, tenancy: Tenancy, resolvers: Sequence[Resolver], *, public: Collection[str], correlation_header: str
    ) -> None:
        if not resolvers:
            raise ConfigurationError(
                what="No resolver was given, so no request would have a tenant.",
                fix="Pass resolvers=[from_jwt(tokens)], or another.",
            )
        self.correlation_header = correlation_header
        self._tenancy = tenancy
        self._resolvers = tuple(resolvers)
        self._public = frozenset(public)
        self._vary = ", ".join(dict.fromkeys(one.header for one in resolvers if isinstance(one, Reading)))

    def name(self, incoming: Incoming) -> str:
        """Returns the request's correlation id."""
        return correlation_id(incoming, self.correlation_header)

    def headers(self, incoming: Incoming, named: str) -> list[tuple[str, str]]:
        """Returns what each answer to the request says: its correlation id, and which headers decided whose it is."""
        varying = bool(self._vary and self._asked(incoming))
        return [(self.correlation_header, named), *([("Vary", self._vary)] if varying else [])]

    def context(self, incoming: Incoming, named: str) -> TenantContext:
        """Returns the request's context.

        Raises: TokenRefused, TenantsDisagree, TenantNotFound, TenantUnavailable; whatever a resolver of yours raises;
            ConfigurationError for one that is to be awaited.
        """
        said = _spoken([_synchronous(resolve(incoming)) for resolve in self._asked(incoming)])
        asked, claims = keys(said), _claims(said)
        outcomes = [self._look(key) for key in asked[:1]]
        for key in asked[1:]:
            outcomes.append(self._look(key) if claims is None else self._look_beside(outcomes[0], key))
        return TenantContext(correlation_id=named, found=agreed(outcomes), claims=claims, closed=_closed(said))

    async def context_async(self, incoming: Incoming, named: str) -> TenantContext:
        """Returns the request's context without blocking the event loop.

        Raises: as ``context``; resolvers may be awaited here.
        """
        said = _spoken([await _settled(resolve(incoming)) for resolve in self._asked(incoming)])
        asked, claims = keys(said), _claims(said)
        outcomes = [await self._look_async(key) for key in asked[:1]]
        for key in asked[1:]:
            beside = claims is not None
            outcomes.append(await (self._look_beside_async(outcomes[0], key) if beside else self._look_async(key)))
        return TenantContext(correlation_id=named, found=agreed(outcomes), claims=claims, closed=_closed(said))

    def _asked(self, incoming: Incoming) -> tuple[Resolver, ...]:
        return () if incoming.path in self._public else self._resolvers

    def _look(self, key: TenantKey) -> Outcome:
        try:
            return self._tenancy.router.route(key).tenant
        except (InvalidKey, TenantNotFound, TenantUnavailable) as error:
            return _absence(key, error)

    async def _look_async(self, key: TenantKey) -> Outcome:
        router = self._tenancy.router
        try:
            return (router.kept(key) or await router.route_async(key)).tenant
        except (InvalidKey, TenantNotFound, TenantUnavailable) as error:
            return _absence(key, error)

    def _look_beside(self, own: Outcome, key: TenantKey) -> Outcome:
        """Looks at what a request names beside its token: the same tenant, or none of its business."""
        tenant = _identity(own)
        try:
            return own if tenant is None or self._tenancy.router.finds(key, tenant) else TenantNotFound(key=key)
        except InvalidKey as error:
            return _absence(key, error)

    async def _look_beside_async(self, own: Outcome, key: TenantKey) -> Outcome:
        tenant, router = _identity(own), self._tenancy.router
        try:
            return own if tenant is None or await router.finds_async(key, tenant) else TenantNotFound(key=key)
        except InvalidKey as error:
            return _absence(key, error)


def is_personal(context: TenantContext) -> bool:
    """Whether an answer may be of somebody's, so that no cache may keep it for others."""
    return context.found is not None or context.claims is not None


def keys(said: Sequence[Said]) -> list[TenantKey]:
    """Returns the keys to look up, a token's first: none where somebody who must be heard says there is no tenant.

    Raises: TenantsDisagree for a token without a tenant beside somebody who names one, and for two tokens.
    """
    found = [one.key for one in sorted(said, key=lambda one: one.claims is None) if one.key is not None]
    spoken = [one for one in said if one.claims is not None]
    if len(spoken) > 1 or (found and any(one.key is None for one in spoken)):
        raise TenantsDisagree
    return found if len(found) == len(said) else []


def agreed(outcomes: Sequence[Outcome]) -> Tenant | None:
    """Returns the one tenant that all outcomes are.

    Raises: TenantsDisagree, the same for another tenant and for none; TenantNotFound and TenantUnavailable where all
        say so.
    """
    if len({_identity(outcome) for outcome in outcomes}) > 1:
        raise TenantsDisagree
    for outcome in outcomes:
        if isinstance(outcome, Exception):
            raise outcome
    return outcomes[0] if outcomes else None  # type: ignore[return-value]  # those that are errors were raised


def _identity(outcome: Outcome) -> uuid.UUID | None:
    if isinstance(outcome, Tenant):
        return outcome.id
    return outcome.tenant if isinstance(outcome, TenantUnavailable) else None


def _absence(key: TenantKey, error: InvalidKey | TenantNotFound | TenantUnavailable) -> Outcome:
    # From outside, a key of the wrong form is one that nobody has.
    return TenantNotFound(key=key) if isinstance(error, InvalidKey) else error


def _spoken(answers: Iterable[Answer]) -> list[Said]:
    return [answer if isinstance(answer, Said) else Said(answer) for answer in answers if answer is not None]


def _closed(said: Sequence[Said]) -> bool:
    return any(one.key is None for one in said)


def _claims(said: Sequence[Said]) -> Any:
    return next((one.claims for one in said if one.claims is not None), None)


async def _settled(answer: Answer | Awaitable[Answer]) -> Answer:
    return await answer if inspect.isawaitable(answer) else answer


def _synchronous(answer: Any) -> Answer:
    if not inspect.isawaitable(answer):
        return answer  # type: ignore[no-any-return]  # the other half of what a resolver may return
    if close := getattr(answer, "close", None):
        close()
    raise ConfigurationError(
        what="A resolver is to be awaited, which WSGI cannot.", fix="Give from_jwt() an object with a plain verify()."
    )
