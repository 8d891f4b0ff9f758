"""What a store of results does, and the words in which it is asked."""

from __future__ import annotations

import enum
import hashlib
import re
import uuid
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any, Final, Protocol

from tenantry.cache.values import decode, encode, texts
from tenantry.types import Tenant

# Every result has the first tag; those that name no tables have the second, which every write drops.
EVERYTHING: Final = "all"
ANY_WRITE: Final = "any"

# A shorter name is looked for as a whole value only: as a part of one it may stand for anything.
_SHORTEST_PART: Final = 5


@dataclass(frozen=True, slots=True)
class Entry:
    """Where one result is kept, and what drops it."""

    tenant: uuid.UUID
    place: str
    tags: tuple[str, ...]

    @classmethod
    def of(cls, tenant: Tenant, name: str, *, by: Any, tags: Iterable[str]) -> Entry:
        """Returns the entry of a tenant's query, at the place where the tenant lives now.

        Raises: CacheRefused for parameters that are no plain data.
        """
        said = encode([name, by], what=name)
        query = hashlib.blake2b(said, digest_size=20).hexdigest()
        place = f"{tenant.server}:{tenant.isolation}:{tenant.epoch}:{query}"
        return cls(tenant.id, place, tuple(sorted({EVERYTHING, *tags})))


class Answer(enum.StrEnum):
    """What a look into a store found."""

    HIT = "hit"  # the value
    LEAD = "lead"  # nothing: whoever asked is to fill it
    WAIT = "wait"  # nothing: another one is filling it
    CLOSED = "closed"  # somebody commits what would drop it


@dataclass(frozen=True, slots=True)
class Look:
    """The answer, with the *token* that a fill must show: it is worthless once any tag was dropped."""

    answer: Answer
    token: str = ""
    lease: str = ""
    value: bytes = b""


class Store(Protocol):
    """Keeps results; what it is told is done when the call returns. Called in an async session, it may await."""

    def look(self, entry: Entry, *, lead_for: float) -> Look:
        """Returns what is kept; LEAD goes to one caller at a time, for so many seconds, and to none for nought.

        Raises: CacheUnavailable.
        """
        ...

    def fill(self, entry: Entry, look: Look, value: bytes, *, ttl: float) -> bool:
        """Keeps a value unless one of the entry's tags was dropped or closed since the look, and ends its lead.

        Raises: CacheUnavailable.
        """
        ...

    def abandon(self, entry: Entry, look: Look) -> None:
        """Ends the lead of a look that fills nothing.

        Raises: CacheUnavailable.
        """
        ...

    def close(self, tenant: uuid.UUID, tags: Collection[str], *, writer: str, seconds: float) -> None:
        """Drops what has one of the tags, and keeps nothing under them until ``open``, or for so many seconds.

        Raises: CacheUnavailable.
        """
        ...

    def open(self, tenant: uuid.UUID, tags: Collection[str], *, writer: str) -> None:
        """Drops once more what has one of the tags, and ends what this writer closed.

        Raises: CacheUnavailable.
        """
        ...

    def forget(self, tenant: uuid.UUID, subject: Collection[str] | None) -> int:
        """Removes all that is kept of a tenant; returns how many results it was, or named the person with these names.

        Raises: CacheUnavailable.
        """
        ...


def names_person(value: bytes, subject: Collection[str] | None) -> bool:
    """Whether a kept value counts as one of the person with these names; of nobody in particular, each does."""
    if subject is None:
        return True
    names = {name.casefold() for name in subject}
    long = sorted(name for name in names if len(name) >= _SHORTEST_PART)
    part = re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, long))})(?!\w)") if long else None
    said = (text.casefold() for text in texts(decode(value)))
    return any(text in names or bool(part and part.search(text)) for text in said)
