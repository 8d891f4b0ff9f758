"""Which tenant a request is for: by its token, a header, its host or its path; never by its body."""

from __future__ import annotations

import inspect
import re
from collections.abc import Awaitable, Callable, Collection, Generator
from dataclasses import dataclass
from typing import Any, Final, Protocol

from tenantry.errors import ConfigurationError, TenantsDisagree, TokenRefused
from tenantry.ids import SLUG
from tenantry.types import TenantKey
from tenantry.web.incoming import Incoming

# RFC 6750, section 2.1.
_BEARER: Final = re.compile(r"bearer +([A-Za-z0-9._~+/-]+=*)", re.IGNORECASE)
_DOMAIN: Final = re.compile(r"[a-z0-9-]+(?:\.[a-z0-9-]+)*")
_PLACEHOLDER: Final = "{tenant}"
# RFC 3986, section 5.2.4.
_DOTS: Final = frozenset({".", ".."})


@dataclass(frozen=True, slots=True)
class Said:
    """What one resolver says: a tenant's key, or None for "no tenant, whatever the others say"; and who asks."""

    key: TenantKey | None
    claims: Any = None


Answer = TenantKey | Said | None
Resolver = Callable[[Incoming], Answer | Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class Reading:
    """A resolver that reads one header, so that answers depend on it."""

    header: str
    read: Resolver

    def __call__(self, incoming: Incoming) -> Answer | Awaitable[Answer]:
        """Returns what the header says."""
        return self.read(incoming)


class Verifies(Protocol):
    """What knows a good token: the ``Tokens`` of ``tenantry.access``, or an object of your own."""

    def verify(self, token: str, /) -> Any:
        """Returns the claims, with ``subject`` and ``tenant``, or something to await for them.

        Raises: TokenRefused.
        """


def from_jwt(tokens: Verifies, *, required: bool = True) -> Resolver:
    """Reads the tenant, and who asks, from the token in ``Authorization: Bearer``.

    Unless *required* is false, a request without a token has no tenant, whatever its host or headers say.
    """

    def resolve(incoming: Incoming) -> Answer | Awaitable[Answer]:
        token = _bearer(incoming.headers.get("authorization", ()))
        if token is None:
            return Said(None) if required else None
        claims = tokens.verify(token)
        return _Later(claims) if inspect.isawaitable(claims) else _said(claims)

    return Reading("Authorization", resolve)


def from_header(name: str, *, kind: str | None = None) -> Resolver:
    """Reads the tenant's id or slug from a header, or, with *kind*, the value of such an identity."""

    def resolve(incoming: Incoming) -> Answer:
        said = incoming.header(name)
        return (kind, said) if said is not None and kind is not None else said

    return Reading(name, resolve)


def from_subdomain(domain: str, *, ignore: Collection[str] = ("www",)) -> Resolver:
    """Reads the tenant's slug from hosts of the one form ``slug.domain``, with or without a port.

    Any other host names no tenant. Only the header Host is read: what a proxy forwards besides can be forged.

    Raises: ConfigurationError for a domain that is none.
    """
    if not _DOMAIN.fullmatch(domain):
        raise ConfigurationError(what=f"{domain!r} is no domain in lower case.", fix="Give one like 'example.com'.")
    form = re.compile(rf"({SLUG.pattern})\.{re.escape(domain)}(?::[0-9]{{1,5}})?")

    def resolve(incoming: Incoming) -> Answer:
        host = incoming.header("host") or ""
        found = form.fullmatch(host.lower()) if host.isascii() else None
        return None if found is None or found[1] in ignore else found[1]

    return resolve


def from_path(pattern: str) -> Resolver:
    """Reads the tenant's id or slug from the path's beginning, such as ``/t/{tenant}``.

    A path with dot segments names nobody: whoever stands in front may take it for another tenant's.

    Raises: ConfigurationError for a pattern without the one segment ``{tenant}``.
    """
    parts = pattern.split("/")
    if parts[0] or parts.count(_PLACEHOLDER) != 1 or any("{" in part for part in parts if part != _PLACEHOLDER):
        raise ConfigurationError(what=f"The path {pattern!r} has no place for a tenant.", fix="Write '/t/{tenant}'.")
    where = parts.index(_PLACEHOLDER)

    def resolve(incoming: Incoming) -> Answer:
        segments = incoming.path.split("/")
        given = [] if _DOTS.intersection(segments) else segments[: len(parts)]
        named = given[where] if len(given) == len(parts) else ""
        fits = [*given[:where], _PLACEHOLDER, *given[where + 1 :]] == parts
        return named if named and fits else None

    return resolve


def _bearer(said: tuple[str, ...]) -> str | None:
    if len(said) > 1:
        raise TenantsDisagree
    if not said or said[0].partition(" ")[0].lower() != "bearer":
        return None
    found = _BEARER.fullmatch(said[0])
    if found is None:
        raise TokenRefused(reason="it has no token's form.")
    return found[1]


def _said(claims: Any) -> Said:
    return Said(claims.tenant, claims)


class _Later:
    """What claims that are to be awaited say."""

    def __init__(self, claims: Awaitable[Any]) -> None:
        self._claims = claims

    def __await__(self) -> Generator[Any, None, Said]:
        claims = yield from self._claims.__await__()
        return _said(claims)

    def close(self) -> None:
        """Ends what nobody will await."""
        if inspect.iscoroutine(self._claims):
            self._claims.close()
