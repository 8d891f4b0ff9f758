"""The frame of the file: a head, and behind it pieces of bounded length. See docs/archive-format.md."""

from __future__ import annotations

import datetime
import hashlib
import re
import struct
import uuid
from dataclasses import dataclass
from typing import Any, Final

from tenantry.archive.container import documents
from tenantry.archive.container.faults import Fault, Strange
from tenantry.archive.keys import DATA_KEY_ID, KEY_NAME

MAGIC: Final = b"\x8aTENANTRY\r\n\x1a\n"
VERSION: Final = 1
PREFIX: Final = struct.Struct(f">{len(MAGIC)}sHI")
FRAME: Final = struct.Struct(">cI")
SALT_LENGTH: Final = 32
SIGNATURE_LENGTH: Final = 32
TAG_LENGTH: Final = 16
PURPOSE: Final = "archive signature"

BEGIN: Final = b"B"
DATA: Final = b"D"
END: Final = b"E"
MANIFEST: Final = b"M"
SIGNATURE: Final = b"S"

# What names a member: a table, never a path; so no dot and no slash, and 63 bytes at most, as PostgreSQL has.
MEMBER_NAME: Final = re.compile(r"[^\W\d][\w$ -]{0,62}")
LONGEST_NAME: Final = 63

_HEX: Final = re.compile(r"[0-9a-f]+")
_HEADER_FIELDS: Final = frozenset({"tenant", "taken_at", "key", "salt", "data_key"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much of anything a file may hold; a writer refuses what a reader would."""

    header: int = 4096
    frame: int = 1 << 20
    manifest: int = 4 << 20
    members: int = 4096
    row: int = 1 << 28
    # 2^23 bytes: what decompression may remember of what it gave.
    window_log: int = 23


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What stands in clear at the head of an archive: whose it is, of when, and which keys it needs."""

    tenant: uuid.UUID
    taken_at: datetime.datetime
    key: str
    salt: bytes
    data_key: str | None = None

    def to_bytes(self) -> bytes:
        """Returns the head of the file, magic included."""
        said = {
            "tenant": str(self.tenant),
            "taken_at": moment_text(self.taken_at),
            "key": self.key,
            "salt": self.salt.hex(),
            "data_key": self.data_key,
        }
        payload = documents.written(said)
        return PREFIX.pack(MAGIC, VERSION, len(payload)) + payload

    @property
    def digest(self) -> bytes:
        """What every encrypted frame is bound to."""
        return hashlib.sha256(self.to_bytes()).digest()


def header_length(prefix: bytes, limits: Limits) -> int:
    """Returns how long the header behind *prefix* is.

    Raises: Strange for a file of another kind or version; Fault for a length beyond the limit.
    """
    if len(prefix) < PREFIX.size or not prefix.startswith(MAGIC):
        raise Strange("it does not begin as an archive does.")
    _, version, length = PREFIX.unpack(prefix)
    if version != VERSION:
        raise Strange(f"it has version {version} of the format, and this reads version {VERSION}.")
    if not 0 < length <= limits.header:
        raise Fault(f"its header claims {length} bytes.")
    return int(length)


def header_from(payload: bytes) -> Header:
    """Returns the header that *payload* spells.

    Raises: Fault for anything but exactly one spelling of a header.
    """
    said = documents.read(payload)
    if said.keys() != _HEADER_FIELDS:
        raise Fault("its header has other fields than a header has.")
    key, data_key = said["key"], said["data_key"]
    if not isinstance(key, str) or not KEY_NAME.fullmatch(key):
        raise Fault("its header names no key.")
    if data_key is not None and not (isinstance(data_key, str) and DATA_KEY_ID.fullmatch(data_key)):
        raise Fault("its header names no data key.")
    header = Header(
        tenant=uuid_of(said["tenant"]),
        taken_at=moment_of(said["taken_at"]),
        key=key,
        salt=hex_of(said["salt"], SALT_LENGTH),
        data_key=data_key,
    )
    if header.to_bytes()[PREFIX.size :] != payload:
        raise Fault("its header is spelled as no writer spells it.")
    return header


def member_name(payload: bytes) -> str:
    """Returns the name of a member.

    Raises: Fault for what cannot be the name of a table.
    """
    try:
        name = payload.decode()
    except UnicodeDecodeError as error:
        raise Fault("a member's name is not text.") from error
    if len(payload) > LONGEST_NAME or not MEMBER_NAME.fullmatch(name):
        raise Fault(f"a member is called {name[:80]!a}, which is no table's name.")
    return name


def moment_text(moment: datetime.datetime) -> str:
    """Returns a moment as archives spell it: UTC, microseconds, ``Z``.

    Raises: Fault for a moment without a time zone.
    """
    if moment.tzinfo is None:
        raise Fault("a moment lacks its time zone.")
    return moment.astimezone(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ").rjust(27, "0")


def moment_of(said: Any) -> datetime.datetime:
    """Returns the moment that *said* spells.

    Raises: Fault.
    """
    if not isinstance(said, str):
        raise Fault("a moment is missing.")
    try:
        found = datetime.datetime.strptime(said, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=datetime.UTC)
    except ValueError as error:
        raise Fault("a moment is none.") from error
    if moment_text(found) != said:
        raise Fault("a moment is spelled as no writer spells it.")
    return found


def uuid_of(said: Any) -> uuid.UUID:
    """Returns the UUID that *said* spells in its one form of 36 characters.

    Raises: Fault.
    """
    try:
        found = uuid.UUID(said)
    except (ValueError, AttributeError, TypeError) as error:
        raise Fault("a UUID is none.") from error
    if str(found) != said:
        raise Fault("a UUID is spelled as no writer spells it.")
    return found


def hex_of(said: Any, length: int) -> bytes:
    """Returns the *length* bytes that *said* spells in lower-case hexadecimal digits.

    Raises: Fault.
    """
    if not isinstance(said, str) or len(said) != 2 * length or not _HEX.fullmatch(said):
        raise Fault(f"{length} bytes in hexadecimal digits are missing.")
    return bytes.fromhex(said)
