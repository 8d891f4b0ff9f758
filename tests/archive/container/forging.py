"""The archive format a second time, from docs/archive-format.md alone: writes what no writer of ours would."""

from __future__ import annotations

import datetime
import hashlib
import hmac
import json
import struct
import sys
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

MAGIC = b"\x8aTENANTRY\r\n\x1a\n"
KEY = bytes(range(32))
TENANT = uuid.UUID("018f3c6e-0000-7000-8000-000000000001")
TAKEN_AT = datetime.datetime(2026, 11, 22, 11, 30, 0, 5, tzinfo=datetime.UTC)
SALT = b"\x07" * 32

Frame = tuple[bytes, bytes]


def hkdf(secret: bytes, *, salt: bytes, info: bytes) -> bytes:
    """RFC 5869 with SHA-256, for 32 bytes."""
    extracted = hmac.digest(salt or b"\0" * 32, secret, "sha256")
    return hmac.digest(extracted, info + b"\x01", "sha256")


def spelled(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


@dataclass
class Forged:
    """A file in the making; every part can be made wrong before ``signed``."""

    header: dict[str, Any] = field(
        default_factory=lambda: {
            "tenant": str(TENANT),
            "taken_at": "2026-11-22T11:30:00.000005Z",
            "key": "2026",
            "salt": SALT.hex(),
            "data_key": None,
        }
    )
    frames: list[Frame] = field(default_factory=list)
    version: int = 1
    magic: bytes = MAGIC
    data_key: bytes | None = None

    def head(self) -> bytes:
        payload = self.header if isinstance(self.header, bytes) else spelled(self.header)
        return self.magic + struct.pack(">HI", self.version, len(payload)) + payload

    def body(self) -> bytes:
        return b"".join(framed(kind, self._closed(kind, payload, n)) for n, (kind, payload) in enumerate(self.frames))

    def _closed(self, kind: bytes, payload: bytes, number: int) -> bytes:
        if self.data_key is None:
            return payload
        cipher = AESGCM(hkdf(self.data_key, salt=SALT, info=b"tenantry archive frames 1"))
        return cipher.encrypt(number.to_bytes(12, "big"), payload, hashlib.sha256(self.head()).digest() + kind)

    def signed(self, key: bytes = KEY) -> bytes:
        return signed(self.head() + self.body(), key)


def framed(kind: bytes, payload: bytes) -> bytes:
    return kind + struct.pack(">I", len(payload)) + payload


def signed(everything: bytes, key: bytes = KEY) -> bytes:
    everything += b"S" + struct.pack(">I", 32)
    return everything + hmac.digest(hkdf(key, salt=b"", info=b"tenantry archive signature 1"), everything, "sha256")


def member(name: str | bytes, data: bytes, *, packed: bytes | None = None) -> list[Frame]:
    """The frames of a member; *packed* stands for what its bytes are packed to."""
    packed = zstd.compress(data, level=1) if packed is None else packed
    cuts = [packed[start : start + 4096] for start in range(0, len(packed), 4096)]
    return [(b"B", name if isinstance(name, bytes) else name.encode()), *((b"D", cut) for cut in cuts), (b"E", b"")]


def entry(name: str, data: bytes, **other: Any) -> dict[str, Any]:
    said = {
        "name": name,
        "shape": {"name": name},
        "rows": data.count(b"\n"),
        "size": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
    }
    return said | other


def manifest(entries: Iterable[Mapping[str, Any]], **other: Any) -> dict[str, Any]:
    said: dict[str, Any] = {
        "tenant": str(TENANT),
        "slug": "acme",
        "name": "Acme & Söhne",
        "isolation": "rows",
        "database": "postgresql",
        "taken_at": "2026-11-22T11:30:00.000005Z",
        "tables": [dict(one) for one in entries],
        "library": "0.1.0",
        "models": "9f86d081",
        "revision": "3f2a",
        "pack": None,
        "settings": {"plan": "gold"},
        "identities": [["slack_team", "T012"]],
        "facts": {},
        "note": "",
    }
    return said | other


def whole(tables: Mapping[str, bytes], *, data_key: bytes | None = None, data_key_id: str | None = None) -> Forged:
    """A sound archive of these tables."""
    forged = Forged(data_key=data_key)
    forged.header["data_key"] = data_key_id
    for name, data in tables.items():
        forged.frames += member(name, data)
    forged.frames.append((b"M", spelled(manifest(entry(name, data) for name, data in tables.items()))))
    return forged


def parts(archive: bytes) -> tuple[bytes, list[Frame], bytes]:
    """Takes an archive apart: its head, its frames but the signature, the signature's frame."""
    (length,) = struct.unpack_from(">I", archive, len(MAGIC) + 2)
    at = len(MAGIC) + 6 + length
    head, frames = archive[:at], []
    while archive[at : at + 1] != b"S":
        (length,) = struct.unpack_from(">I", archive, at + 1)
        frames.append((archive[at : at + 1], archive[at + 5 : at + 5 + length]))
        at += 5 + length
    return head, frames, archive[at:]
