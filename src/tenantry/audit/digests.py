"""What an entry's digest is taken over: the same bytes on every database, with a version in front."""

from __future__ import annotations

import datetime
import hashlib
import hmac
import json
import secrets
import uuid
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from tenantry.errors import ConfigurationError

VERSION: Final = b"\x01"
# What stands where the first entry of a chain names its predecessor.
GENESIS: Final = "0" * 64
# What may be taken out of an entry later: the chain is over its digest, which stays.
CONTENT: Final = ("description", "resource_id", "actor", "impersonator", "changes", "details")
_SHELL: Final = ("seq", "id", "recorded_at", "event_type", "category", "status", "resource_type", "correlation_id")
_SHORTEST_KEY: Final = 16
_JSON: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":"))


class Keys:
    """The keys under which digests are made; the last one given signs, the others verify what they signed."""

    def __init__(self, keys: Mapping[str, bytes] | None = None) -> None:
        self._keys = dict(keys or {})
        for name, key in self._keys.items():
            if not name or len(key) < _SHORTEST_KEY:
                raise ConfigurationError(
                    what=f"The audit key {name!r} has no name or fewer than {_SHORTEST_KEY} bytes.",
                    fix='Pass keys={"2026": secrets.token_bytes(32)}, kept where the database is not.',
                )

    def __repr__(self) -> str:
        return f"Keys({', '.join(self._keys)})"

    def __contains__(self, name: str) -> bool:
        return not name or name in self._keys

    @property
    def current(self) -> str:
        """The name of the key that signs, or nothing where there is none."""
        return next(reversed(self._keys), "")

    def digest(self, name: str, message: bytes) -> str:
        """Returns the digest under the key *name*, or the plain one where it is empty."""
        if not name:
            return hashlib.sha256(message).hexdigest()
        return hmac.new(self._keys[name], message, hashlib.sha256).hexdigest()


def new_salt() -> str:
    """Returns a salt, without which nobody could guess short contents from their digest."""
    return secrets.token_hex(16)


def content_digest(values: Mapping[str, Any]) -> str:
    """Returns the digest of what an entry says, under its salt."""
    return hashlib.sha256(_encoded(values["salt"], *(values[name] for name in CONTENT))).hexdigest()


def entry_digest(keys: Keys, tenant: uuid.UUID, values: Mapping[str, Any]) -> str:
    """Returns the digest of an entry: over its place in the tenant's chain and over its content's digest."""
    chained = (values["key_id"], values["content_digest"], values["previous_digest"])
    return keys.digest(values["key_id"], _encoded(tenant, *(values[name] for name in _SHELL), *chained))


def _encoded(*parts: Any) -> bytes:
    """Returns the parts one after the other, each with its length before it, so that none runs into the next."""
    pieces = [VERSION]
    for part in parts:
        if part is None:
            pieces.append(b"-")
            continue
        text = (part if isinstance(part, str) else _text(part)).encode()
        pieces.append(b"%d:%b" % (len(text), text))
    return b"".join(pieces)


def _text(part: Any) -> str:
    if isinstance(part, datetime.datetime):
        return part.astimezone(datetime.UTC).isoformat(timespec="microseconds")
    if isinstance(part, int | uuid.UUID):
        return str(part)
    return _JSON.encode(_plain(part))


def _plain(value: Any) -> Any:
    """Returns a document whose numbers look the same from JSONB, which keeps 1e20 as an integer, as from text."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        exact = Decimal(repr(value))
        return int(exact) if exact == exact.to_integral_value() else value
    return value
