"""The two dresses of a frame: in clear, or encrypted under a key of the tenant's own."""

from __future__ import annotations

from typing import Protocol

from tenantry.archive.container.faults import Fault
from tenantry.archive.container.framing import TAG_LENGTH, Header
from tenantry.archive.keys import DataKey, derive
from tenantry.archive.libraries import AESGCM, InvalidTag


class Seal(Protocol):
    """Puts payloads into frames and takes them out again; a frame has its kind and its number in the file."""

    overhead: int

    def close(self, payload: bytes, *, kind: bytes, number: int) -> bytes:
        """Returns what stands in the file for *payload*."""
        ...

    def open(self, payload: bytes, *, kind: bytes, number: int) -> bytes:
        """Returns the payload again.

        Raises: Fault.
        """
        ...


class Clear:
    """Frames in clear: the signature over the file is what guards them."""

    overhead = 0

    def close(self, payload: bytes, *, kind: bytes, number: int) -> bytes:
        """Returns *payload* as it is."""
        return payload

    def open(self, payload: bytes, *, kind: bytes, number: int) -> bytes:
        """Returns *payload* as it is."""
        return payload


class Sealed:
    """Frames by AES-256-GCM, each bound to this archive, its kind and its number, so that none can stand elsewhere.

    The key is made of the tenant's data key and the archive's own salt, so a number serves as the nonce: no two frames
    under one key have the same.
    """

    overhead = TAG_LENGTH

    def __init__(self, data_key: DataKey, header: Header) -> None:
        self._cipher = AESGCM(derive(data_key.secret, salt=header.salt, purpose="archive frames"))
        self._digest = header.digest

    def close(self, payload: bytes, *, kind: bytes, number: int) -> bytes:
        """Returns *payload* encrypted."""
        return self._cipher.encrypt(_nonce(number), payload, self._digest + kind)

    def open(self, payload: bytes, *, kind: bytes, number: int) -> bytes:
        """Returns the payload again.

        Raises: Fault for another key, another place, or a changed byte.
        """
        try:
            return self._cipher.decrypt(_nonce(number), payload, self._digest + kind)
        except (InvalidTag, ValueError) as error:
            raise Fault("an encrypted frame does not open.") from error


def _nonce(number: int) -> bytes:
    return number.to_bytes(12)
