"""Tokens: signed, short-lived, and accepted only in the one form in which they are made."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NoReturn

from tenantry.access.actors import Claims
from tenantry.access.keys import TokenKey
from tenantry.access.libraries import jwt
from tenantry.access.permissions import permissions as parse
from tenantry.access.roles import SEEDED, Roles
from tenantry.errors import ConfigurationError, TokenExpired, TokenRefused
from tenantry.models.columns import utc_now

_LONGEST: Final = 8192
_FORM: Final = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_REQUIRED: Final = ["iss", "aud", "sub", "jti", "iat", "exp"]
_KNOWN: Final = frozenset({*_REQUIRED, "tenant", "roles", "permissions", "sid", "act"})
# The clock is this room's; the rest is what PyJWT checks unless told otherwise.
_OPTIONS: Final[Any] = {"require": _REQUIRED, "strict_aud": True, "verify_exp": False, "verify_iat": False}
_MOST_LEEWAY: Final = timedelta(seconds=60)
# Python's own errors at what is badly made, some of which PyJWT lets through.
_ODD: Final = (ValueError, TypeError, KeyError, OverflowError, RecursionError)
_FOREIGN: Final = "it is damaged, or was not made here."


class Tokens:
    """Makes tokens and verifies them, for one issuer and one audience; the last of the *keys* signs.

    Raises: ConfigurationError without a key, for two of one name, and for times that cannot be.
    """

    def __init__(
        self,
        keys: Sequence[TokenKey],
        *,
        issuer: str,
        audience: str,
        lifetime: timedelta = timedelta(minutes=15),
        leeway: timedelta = timedelta(seconds=30),
        roles: Roles = SEEDED,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        if not issuer or not audience:
            raise ConfigurationError(what="Tokens need an issuer and an audience.", fix="Give the URL of each.")
        if lifetime <= timedelta() or not timedelta() <= leeway <= _MOST_LEEWAY:
            raise ConfigurationError(
                what=f"lifetime={lifetime} with leeway={leeway} cannot be.",
                fix="Give a lifetime above nought, and a leeway of at most 60 s.",
            )
        self._keys: Mapping[str, TokenKey] = {}
        self.use(keys)
        self.issuer, self.audience = issuer, audience
        self.lifetime, self.leeway, self.roles = lifetime, leeway, roles
        self._clock = clock

    def __repr__(self) -> str:
        return f"Tokens({', '.join(self._keys)}, issuer={self.issuer!r}, audience={self.audience!r})"

    def use(self, keys: Sequence[TokenKey]) -> None:
        """Takes these keys from now on: the last signs, and what is not among them verifies nothing any more.

        To rotate, add the new one at the end; drop the old one when its last token has expired.

        Raises: ConfigurationError without a key, and for two of one name.
        """
        ring = {key.name: key for key in keys}
        if len(ring) != len(keys):
            raise ConfigurationError(what="Two token keys have the same name.", fix="Give each its own.")
        if not ring:
            raise ConfigurationError(what="Tokens were given no key.", fix="Give keys=[TokenKey(name, secret)].")
        self._keys = ring

    def issue(
        self,
        subject: str,
        *,
        tenant: uuid.UUID | None,
        roles: Iterable[str] = (),
        permissions: Iterable[str] = (),
        impersonator: str | None = None,
        login: uuid.UUID | None = None,
        lifetime: timedelta | None = None,
    ) -> str:
        """Returns a token for a subject of one tenant, or, with None, of the platform.

        Raises: ConfigurationError for a role that does not exist, a permission that is none, or a key that is public.
        """
        if not isinstance(subject, str) or not subject:
            raise ConfigurationError(what=f"{subject!r} is no subject.", fix="Give the text that names the account.")
        now = self._clock()
        said = {
            "iss": self.issuer,
            "aud": self.audience,
            "sub": subject,
            "jti": str(uuid.uuid4()),
            "iat": int(now.timestamp()),
            "exp": int((now + (lifetime or self.lifetime)).timestamp()),
            "tenant": None if tenant is None else str(tenant),
            "roles": sorted(self.roles.check(roles)),
            "permissions": sorted(parse(permissions)),
        }
        if login is not None:
            said["sid"] = str(login)
        if impersonator is not None:
            # RFC 8693, section 4.1: who acts is not whom the token is about.
            said["act"] = {"sub": impersonator}
        return self._signed(said)

    def verify(self, token: str) -> Claims:
        """Returns what a token says, with every permission that its roles hold now.

        Raises: TokenExpired, TokenRefused for anything that was not made here in just this form.
        """
        key = self._key_of(token)
        try:
            said = jwt.decode(
                token,
                key.verifying,
                algorithms=[key.algorithm],
                audience=self.audience,
                issuer=self.issuer,
                options=_OPTIONS,
            )
            claims = self._claims(said)
        except (jwt.PyJWTError, ConfigurationError, *_ODD) as error:
            raise TokenRefused(reason=_FOREIGN) from error
        self._check_time(claims)
        return claims

    def _signed(self, said: dict[str, Any]) -> str:
        key = list(self._keys.values())[-1]
        if key.signing is None:
            raise ConfigurationError(
                what=f"The token key {key.name!r} is public, so nothing can be signed with it.",
                fix="Give its private key, or another one, last.",
            )
        return jwt.encode(said, key.signing, algorithm=key.algorithm, headers={"kid": key.name})

    def _key_of(self, token: str) -> TokenKey:
        """Returns the key by whose name a token goes, if its header is just what that key's tokens have."""
        if not isinstance(token, str) or len(token) > _LONGEST or not _FORM.fullmatch(token):
            _refuse()
        try:
            header = jwt.get_unverified_header(token)
        except (jwt.PyJWTError, *_ODD) as error:
            raise TokenRefused(reason=_FOREIGN) from error
        named = header.get("kid")
        key = self._keys.get(named) if isinstance(named, str) else None
        if key is None or header != {"alg": key.algorithm, "kid": key.name, "typ": "JWT"}:
            _refuse()
        return key

    def _claims(self, said: Mapping[str, Any]) -> Claims:
        if not said.keys() <= _KNOWN:
            raise ValueError("says more than tokens made here do")
        roles = frozenset(_texts(said["roles"]))
        return Claims(
            subject=_text(said["sub"]),
            tenant=None if said["tenant"] is None else uuid.UUID(_text(said["tenant"])),
            roles=roles,
            permissions=self.roles.permissions(roles) | parse(_texts(said["permissions"])),
            impersonator=_text(said["act"]["sub"]) if "act" in said else None,
            token_id=uuid.UUID(_text(said["jti"])),
            issued_at=_moment(said["iat"]),
            expires_at=_moment(said["exp"]),
            login=uuid.UUID(_text(said["sid"])) if "sid" in said else None,
        )

    def _check_time(self, claims: Claims) -> None:
        now = self._clock()
        if claims.expires_at + self.leeway <= now:
            raise TokenExpired(reason=f"it expired at {claims.expires_at:%Y-%m-%d %H:%M:%S} UTC.")
        if claims.issued_at - self.leeway > now:
            raise TokenRefused(reason="it is not valid yet.")


def _refuse() -> NoReturn:
    raise TokenRefused(reason=_FOREIGN)


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("not a text")
    return value


def _texts(value: Any) -> list[str]:
    if not isinstance(value, list):
        raise TypeError("not a list")
    return [_text(item) for item in value]


def _moment(value: Any) -> datetime:
    if type(value) is not int:
        raise TypeError("not a whole number of seconds")
    return datetime.fromtimestamp(value, UTC)
