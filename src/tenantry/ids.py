"""Identifiers: UUIDv7, slugs, tenant keys, and physical names that never hold user text."""

from __future__ import annotations

import os
import re
import threading
import time
import uuid
from typing import Final

from tenantry.errors import InvalidKey, InvalidSlug
from tenantry.types import Tenant, TenantKey

SLUG: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
KIND: Final = re.compile(r"[a-z][a-z0-9_]{0,62}")
SLUG_KIND: Final = "slug"
ID_KIND: Final = "id"
LONGEST_VALUE: Final = 255

_RANDOM_BITS: Final = 74
_STEP_BITS: Final = 32
_NOISE: Final = (1 << _RANDOM_BITS + _STEP_BITS) - 1
_RANDOM_BYTES: Final = _NOISE.bit_length() // 8 + 1
_newest = 0
_newest_lock = threading.Lock()


def uuid7() -> uuid.UUID:
    """Returns a version 7 UUID (RFC 9562, section 5.7), greater than every one this process returned before."""
    global _newest
    noise = int.from_bytes(os.urandom(_RANDOM_BYTES)) & _NOISE
    drawn = (time.time_ns() // 1_000_000) << _RANDOM_BITS | noise >> _STEP_BITS
    with _newest_lock:
        # Within one millisecond, or after the clock went back: a random step beyond the newest (section 6.2, method 2).
        _newest = max(drawn, _newest + 1 + (noise & (1 << _STEP_BITS) - 1))
        ordered = _newest
    moment, upper, lower = ordered >> _RANDOM_BITS, ordered >> 62 & 0xFFF, ordered & (1 << 62) - 1
    return uuid.UUID(int=moment << 80 | 0x7 << 76 | upper << 64 | 0x2 << 62 | lower)


def parse_uuid(text: str) -> uuid.UUID | None:
    """Returns the UUID that *text* spells in the 32- or 36-character form, or None."""
    if len(text) not in (32, 36):
        return None
    try:
        return uuid.UUID(text)
    except ValueError:
        return None


def check_slug(slug: object) -> str:
    """Returns *slug* if it can name a tenant.

    Raises: InvalidSlug for anything else, a slug that reads as a UUID included.
    """
    if not isinstance(slug, str):
        raise InvalidSlug(reason=f"it is {_kind_of(slug)}, not a str.")
    if not SLUG.fullmatch(slug):
        raise InvalidSlug(reason=f"{slug[:80]!a} does not have the form.")
    if parse_uuid(slug):
        raise InvalidSlug(reason="it reads as a UUID.")
    return slug


def check_identity(kind: object, value: object) -> tuple[str, str]:
    """Returns ``(kind, value)`` if the pair can be an identity.

    Raises: InvalidKey for anything else.
    """
    if not isinstance(kind, str) or not KIND.fullmatch(kind) or kind == ID_KIND:
        raise InvalidKey(reason="an identity's kind is a lower-case word such as 'slack_team'.")
    if kind == SLUG_KIND:
        return kind, check_slug(value)
    if not isinstance(value, str) or not value or len(value) > LONGEST_VALUE or not value.isprintable():
        raise InvalidKey(reason=f"a {kind} identity is a printable str of 1 to {LONGEST_VALUE} characters.")
    if value.strip() != value or not _encodable(value):
        raise InvalidKey(reason=f"a {kind} identity has no surrounding blanks and is valid Unicode.")
    return kind, value


def parse_key(key: TenantKey) -> tuple[str, str]:
    """Returns the ``(kind, value)`` under which the catalog finds *key*; no statement is sent for a malformed one.

    Raises: InvalidKey, InvalidSlug.
    """
    if isinstance(key, uuid.UUID):
        return ID_KIND, str(key)
    if isinstance(key, Tenant):
        return ID_KIND, str(key.id)
    if isinstance(key, str):
        return _parse_text(key)
    if isinstance(key, tuple) and len(key) == 2:
        return check_identity(*key)
    raise InvalidKey(reason=f"it is {_kind_of(key)}.")


def physical_name(tenant: uuid.UUID) -> str:
    """Returns the name of a tenant's schema or database: ``t_`` and 32 hexadecimal digits, 34 of 63 bytes."""
    return f"t_{tenant.hex}"


def physical_file(tenant: uuid.UUID) -> str:
    """Returns the path of a tenant's SQLite file under its server's directory."""
    return f"{tenant.hex[-2:]}/{tenant.hex}.sqlite3"


def advisory_key(tenant: uuid.UUID) -> int:
    """Returns the signed 64-bit advisory-lock key of a tenant (32-bit keys collide: 117 in a million names)."""
    folded = (tenant.int >> 64) ^ (tenant.int & (1 << 64) - 1)
    return folded - (1 << 64) if folded >= 1 << 63 else folded


def _parse_text(text: str) -> tuple[str, str]:
    found = parse_uuid(text)
    return (ID_KIND, str(found)) if found else (SLUG_KIND, check_slug(text))


def _kind_of(value: object) -> str:
    return f"a {type(value).__name__}"


def _encodable(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
