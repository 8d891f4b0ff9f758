"""What is taken out of texts before they are kept: addresses of people and of machines."""

from __future__ import annotations

import enum
import hashlib
import hmac
import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from tenantry.errors import ConfigurationError
from tenantry.models.serialisation import json_safe

REDACTED: Final = "[redacted]"
_EMAIL: Final = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@(?:[\w-]{1,63}\.)+[A-Za-z]{2,63}")
_IP: Final = re.compile(
    r"(?<![\w.:])[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}(?:\.\d{1,3}){0,3}(?![\w:])"
    r"|(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?!\.?\w)"
)
# PostgreSQL keeps no NUL, and neither database a half of a surrogate pair.
_UNKEEPABLE: Final = re.compile("[\x00\ud800-\udfff]")


class IpAddresses(enum.StrEnum):
    """What becomes of IP addresses: truncated to /24 and /48, hashed under a key, dropped, or kept."""

    TRUNCATE = "truncate"
    HASH = "hash"
    DROP = "drop"
    KEEP = "keep"


@dataclass(frozen=True, slots=True)
class Redactor:
    """Takes e-mail and IP addresses out of every text of an entry, and what *also* finds.

    Raises: ConfigurationError for ``ip="hash"`` without a key: the few addresses there are could all be tried.
    """

    emails: bool = True
    ip: IpAddresses | str = IpAddresses.TRUNCATE
    key: bytes | None = field(default=None, repr=False)
    also: Callable[[str], str] | None = None

    def __post_init__(self) -> None:
        if IpAddresses(self.ip) is IpAddresses.HASH and not self.key:
            raise ConfigurationError(
                what="Hashed IP addresses need a key, since all of them can be tried.",
                fix='Pass Redactor(ip="hash", key=secrets.token_bytes(32)).',
            )

    def text(self, text: str) -> str:
        """Returns *text* without what must not be kept."""
        text = keepable(text)
        if self.emails and "@" in text:
            text = _EMAIL.sub("[email]", text)
        if self.ip != IpAddresses.KEEP:
            text = _IP.sub(lambda found: self._address(found[0]), text)
        return text if self.also is None else keepable(self.also(text))

    def document(self, value: Any) -> Any:
        """Returns *value* in terms of JSON, every text in it without what must not be kept."""
        return self._walk(json_safe(value))

    def _walk(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {self.text(key): self._walk(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self._walk(item) for item in value]
        # JSON has no words for these, and each database would take them otherwise.
        return str(value) if value in _NOT_NUMBERS or value != value else value  # only NaN differs

    def _address(self, text: str) -> str:
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            return text
        if self.ip == IpAddresses.HASH:
            return f"[ip {hmac.new(self.key or b'', address.packed, hashlib.sha256).hexdigest()[:16]}]"
        if self.ip == IpAddresses.DROP:
            return "[ip]"
        return str(ipaddress.ip_network((address, 24 if address.version == 4 else 48), strict=False))


_NOT_NUMBERS: Final = (float("inf"), float("-inf"))


def keepable(text: str) -> str:
    """Returns *text* as every database can keep it."""
    return _UNKEEPABLE.sub("\ufffd", text)
