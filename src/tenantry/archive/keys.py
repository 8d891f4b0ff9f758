"""The key ring: what archives and certificates are signed with, and what a tenant's own data key stands wrapped in."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import re
import secrets
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from tenantry.archive.libraries import AESGCM, HKDF, InvalidTag, hashes
from tenantry.errors import ArchiveError, ArchiveKeyMissing, ConfigurationError
from tenantry.ids import uuid7
from tenantry.secrets import SCHEMES, Secrets, is_reference

VARIABLE: Final = "TENANTRY_ARCHIVE_KEYS"
KEY_LENGTH: Final = 32
KEY_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
DATA_KEY_ID: Final = re.compile(r"[0-9a-z][0-9a-z-]{0,35}")

_NONCE_LENGTH: Final = 12
_WRAPPED: Final = re.compile(r"1:([a-z0-9][a-z0-9_-]{0,31}):([A-Za-z0-9+/=]{1,200})")


@dataclass(frozen=True, slots=True)
class DataKey:
    """A key of one tenant's own, which its archives are encrypted under; whoever destroys it destroys them all."""

    id: str
    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if not DATA_KEY_ID.fullmatch(self.id) or len(self.secret) != KEY_LENGTH:
            raise ArchiveError(
                what=f"What was given as data key {self.id[:36]!a} is none.",
                fix="Use DataKey.new(), or what unwrap gave.",
            )

    @classmethod
    def new(cls) -> DataKey:
        """Returns a fresh random key under a fresh id."""
        return cls(str(uuid7()), secrets.token_bytes(KEY_LENGTH))


class KeyRing:
    """Named keys; the current one signs and wraps, and every one of them checks and unwraps.

    Raises: ConfigurationError for a key that is too short, a name that is none, or a current key that is not there.
    """

    def __init__(self, keys: Mapping[str, bytes], current: str) -> None:
        for name, secret in keys.items():
            _check_key(name, secret)
        if current not in keys:
            raise ConfigurationError(
                what=f"The current archive key {current!a} is not in the ring.", fix=f"Use one of: {', '.join(keys)}."
            )
        self._keys = dict(keys)
        self.current = current

    def __repr__(self) -> str:
        return f"KeyRing({', '.join(self._keys)}; current={self.current!r})"

    def __contains__(self, name: str) -> bool:
        return name in self._keys

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> KeyRing:
        """Returns the ring that TENANTRY_ARCHIVE_KEYS describes: ``name:base64,name:base64``, the current key first.

        In the place of the base64 may stand a reference such as ``file:PATH`` or ``env:VARIABLE``; and the whole
        variable may be such a reference, to text with one key a line.

        Raises: ConfigurationError for a variable that is not set or holds something else.
        """
        env = os.environ if environ is None else environ
        text = env.get(VARIABLE, "").strip()
        stored = Secrets(environ=env)
        if is_reference(text, schemes=stored.schemes):
            text = stored.read(text, whose=VARIABLE)
        entries = [entry.strip() for entry in text.replace("\n", ",").split(",") if entry.strip()]
        if not entries:
            raise ConfigurationError(
                what="No key for archives is set.",
                fix=f"Set {VARIABLE}=NAME:KEY; `tenantry archive key` prints a fresh one.",
            )
        keys = dict(_parsed(entry, stored) for entry in entries)
        if len(keys) < len(entries):
            raise ConfigurationError(what=f"{VARIABLE} gives one name twice.", fix="Give each key a name of its own.")
        return cls(keys, next(iter(keys)))

    def derived(self, name: str, *, purpose: str) -> bytes:
        """Returns the key that stands behind *name* for one purpose, so that no two purposes share a key.

        Raises: KeyError for a name that is not in the ring.
        """
        return derive(self._keys[name], salt=b"", purpose=purpose)

    def authenticator(self, name: str, *, purpose: str) -> hmac.HMAC:
        """Returns a running HMAC-SHA-256 of one purpose, for what is too long to be held.

        Raises: KeyError for a name that is not in the ring.
        """
        return hmac.new(self.derived(name, purpose=purpose), digestmod=hashlib.sha256)

    def sign(self, message: bytes, *, purpose: str) -> str:
        """Returns ``name:hex``, the signature of *message* with the current key."""
        return f"{self.current}:{self._signature(self.current, message, purpose)}"

    def check(self, message: bytes, signature: str, *, purpose: str) -> bool:
        """Tells whether a key of the ring made this signature of *message* for this purpose."""
        name, _, given = signature.partition(":")
        if name not in self._keys:
            return False
        return hmac.compare_digest(self._signature(name, message, purpose).encode(), given.encode())

    def wrap(self, data_key: DataKey, *, tenant: uuid.UUID) -> str:
        """Returns a data key as text that only this ring opens again, and only for this tenant and under this id."""
        nonce = secrets.token_bytes(_NONCE_LENGTH)
        sealed = self._wrapping(self.current).encrypt(nonce, data_key.secret, _bound_to(tenant, data_key.id))
        return f"1:{self.current}:{base64.b64encode(nonce + sealed).decode()}"

    def unwrap(self, wrapped: str, *, tenant: uuid.UUID, key_id: str) -> DataKey:
        """Returns the data key that ``wrap`` made this text of.

        Raises: ArchiveKeyMissing where the ring lacks the key around it; ArchiveError for text that is not of this
        tenant and id, or was changed.
        """
        found = _WRAPPED.fullmatch(wrapped)
        if found is None:
            raise _unopened(tenant, key_id)
        name, text = found.groups()
        if name not in self._keys:
            raise ArchiveKeyMissing(name=f"data key {key_id}", key=name)
        try:
            sealed = base64.b64decode(text, validate=True)
            secret = self._wrapping(name).decrypt(
                sealed[:_NONCE_LENGTH], sealed[_NONCE_LENGTH:], _bound_to(tenant, key_id)
            )
        except (binascii.Error, InvalidTag, ValueError):
            raise _unopened(tenant, key_id) from None
        return DataKey(key_id, secret)

    def _signature(self, name: str, message: bytes, purpose: str) -> str:
        running = self.authenticator(name, purpose=purpose)
        running.update(message)
        return running.hexdigest()

    def _wrapping(self, name: str) -> AESGCM:
        return AESGCM(self.derived(name, purpose="data key"))


def new_key(name: str) -> str:
    """Returns a fresh entry for TENANTRY_ARCHIVE_KEYS: ``name:base64`` of 32 random bytes.

    Raises: ConfigurationError for a name that is none.
    """
    secret = secrets.token_bytes(KEY_LENGTH)
    _check_key(name, secret)
    return f"{name}:{base64.b64encode(secret).decode()}"


def wrapped_under(wrapped: str) -> str:
    """Returns the name of the key in the ring that a wrapped data key needs, or '' for text that is none."""
    found = _WRAPPED.fullmatch(wrapped)
    return found.group(1) if found else ""


def derive(secret: bytes, *, salt: bytes, purpose: str) -> bytes:
    """Returns the 32-byte key that HKDF-SHA-256 makes of *secret* for one purpose."""
    return HKDF(hashes.SHA256(), KEY_LENGTH, salt=salt, info=f"tenantry {purpose} 1".encode()).derive(secret)


def _parsed(entry: str, stored: Secrets) -> tuple[str, bytes]:
    name, _, text = entry.partition(":")
    if is_reference(text, schemes=stored.schemes):
        text = stored.read(text, whose=f"Key {name[:32]!a} in {VARIABLE}")
    try:
        return name, base64.b64decode(text.strip(), validate=True)
    except ValueError:
        raise ConfigurationError(
            what=f"Key {name[:32]!a} in {VARIABLE} is not base64.", fix="Use what `tenantry archive key` printed."
        ) from None


def _check_key(name: str, secret: bytes) -> None:
    if not KEY_NAME.fullmatch(name) or name in SCHEMES:
        raise ConfigurationError(
            what=f"{name[:32]!a} cannot name an archive key.",
            fix="Use a short lower-case word or a date, such as 2026-11.",
        )
    if len(secret) < KEY_LENGTH:
        raise ConfigurationError(
            what=f"Archive key {name!r} has fewer than {KEY_LENGTH} bytes.",
            fix="Use what `tenantry archive key` prints.",
        )


def _bound_to(tenant: uuid.UUID, key_id: str) -> bytes:
    return f"tenantry data key\0{tenant}\0{key_id}".encode()


def _unopened(tenant: uuid.UUID, key_id: str) -> ArchiveError:
    return ArchiveError(
        what=f"The data key {key_id} of tenant {tenant} does not open.",
        fix="Look whether the catalog row was changed, or belongs to another tenant.",
    )
