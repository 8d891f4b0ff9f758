"""Tokens of these tests' own: any object with a verify() will do."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from dataclasses import dataclass
from typing import Any

from tenantry.errors import TokenExpired, TokenRefused


@dataclass(frozen=True)
class Claims:
    subject: str
    tenant: str | None
    impersonator: str | None = None


class Signed:
    """Claims with an HMAC over them."""

    def __init__(self) -> None:
        self._secret = secrets.token_bytes(32)

    def issue(self, subject: str, tenant: str | None, *, expired: bool = False, **more: Any) -> str:
        said = json.dumps({"subject": subject, "tenant": tenant, **more, "expired": expired}).encode()
        return f"{_text(said)}.{_text(self._mark(said))}"

    def verify(self, token: str) -> Claims:
        said, _, mark = token.partition(".")
        content = base64.urlsafe_b64decode(said + "=" * (-len(said) % 4)) if len(said) % 4 != 1 else b""
        if not hmac.compare_digest(_text(self._mark(content)), mark):
            raise TokenRefused(reason="it was not made here.")
        claims = json.loads(content)
        if claims.pop("expired"):
            raise TokenExpired(reason="its time is over.")
        return Claims(**claims)

    def _mark(self, said: bytes) -> bytes:
        return hmac.digest(self._secret, said, hashlib.sha256)


class Awaited:
    """The same, to be awaited, as what asks a database would be."""

    def __init__(self, signed: Signed) -> None:
        self._signed = signed

    async def verify(self, token: str) -> Claims:
        return self._signed.verify(token)


def _text(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
