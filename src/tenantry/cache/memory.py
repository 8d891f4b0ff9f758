"""Results in this process's memory, by cachetools: the oldest unused go first, and none outlives its time."""

from __future__ import annotations

import itertools
import threading
import time
import uuid
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Final

from tenantry.cache.stores import Answer, Entry, Look, names_person
from tenantry.errors import ConfigurationError, ExtraMissing

try:
    from cachetools import LRUCache, TLRUCache
except ImportError as error:
    raise ExtraMissing(module="The store of results in memory", extra="cache") from error

_Place = tuple[uuid.UUID, str]
# One that was pushed out is made anew under another number: what was kept under it is missed, never found wrongly.
_TOKENS: Final = 100_000
_OVERHEAD: Final = 300


@dataclass(frozen=True, slots=True)
class _Kept:
    value: bytes
    token: str
    until: float


@dataclass(frozen=True, slots=True)
class _Lead:
    lease: str
    token: str
    until: float


class MemoryStore:
    """Keeps results of one process; several processes do not hear of each other's writes: give them Redis.

    Raises: ConfigurationError for no room at all.
    """

    def __init__(self, *, max_bytes: int = 64 * 2**20, clock: Callable[[], float] = time.monotonic) -> None:
        if max_bytes < 1:
            raise ConfigurationError(what=f"max_bytes={max_bytes} is no room.", fix="Give a number of bytes above 0.")
        self._clock = clock
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._kept: TLRUCache[_Place, _Kept] = TLRUCache(
            max_bytes,
            ttu=lambda _, kept, __: kept.until,
            timer=clock,
            getsizeof=lambda kept: len(kept.value) + _OVERHEAD,
        )
        self._tokens: LRUCache[_Place, str] = LRUCache(_TOKENS)
        self._closed: dict[_Place, dict[str, float]] = {}
        self._leads: dict[_Place, _Lead] = {}

    def __repr__(self) -> str:
        return f"<MemoryStore of {len(self._kept)} results>"

    def look(self, entry: Entry, *, lead_for: float) -> Look:
        with self._lock:
            now, place = self._clock(), (entry.tenant, entry.place)
            if self._is_closed(entry, now):
                return Look(Answer.CLOSED)
            token, kept = self._token(entry), self._kept.get(place)
            if kept is not None and kept.token == token:
                return Look(Answer.HIT, value=kept.value)
            lead = self._leads.get(place)
            if lead_for and (lead is None or lead.token != token or lead.until <= now):
                lead = self._leads[place] = _Lead(str(next(self._numbers)), token, now + lead_for)
                return Look(Answer.LEAD, token, lead.lease)
            return Look(Answer.WAIT, token)

    def fill(self, entry: Entry, look: Look, value: bytes, *, ttl: float) -> bool:
        with self._lock:
            self._end_lead(entry, look)
            now = self._clock()
            if self._is_closed(entry, now) or self._token(entry) != look.token:
                return False
            kept = _Kept(value, look.token, now + ttl)
            if _size(kept) > self._kept.maxsize:
                return False
            self._kept[entry.tenant, entry.place] = kept
            return True

    def abandon(self, entry: Entry, look: Look) -> None:
        with self._lock:
            self._end_lead(entry, look)

    def close(self, tenant: uuid.UUID, tags: Collection[str], *, writer: str, seconds: float) -> None:
        with self._lock:
            for tag in tags:
                self._tokens.pop((tenant, tag), None)
                self._closed.setdefault((tenant, tag), {})[writer] = self._clock() + seconds

    def open(self, tenant: uuid.UUID, tags: Collection[str], *, writer: str) -> None:
        with self._lock:
            for tag in tags:
                self._tokens.pop((tenant, tag), None)
                writers = self._closed.get((tenant, tag), {})
                writers.pop(writer, None)
                if not writers:
                    self._closed.pop((tenant, tag), None)

    def forget(self, tenant: uuid.UUID, subject: Collection[str] | None) -> int:
        with self._lock:
            gone = [self._kept.pop(place) for place in list(self._kept) if place[0] == tenant]
            for place in [place for place in self._tokens if place[0] == tenant]:
                del self._tokens[place]
        return sum(names_person(kept.value, subject) for kept in gone)

    def _token(self, entry: Entry) -> str:
        return " ".join(self._number(entry.tenant, tag) for tag in entry.tags)

    def _number(self, tenant: uuid.UUID, tag: str) -> str:
        number = self._tokens.get((tenant, tag))
        if number is None:
            number = self._tokens[tenant, tag] = str(next(self._numbers))
        return number

    def _is_closed(self, entry: Entry, now: float) -> bool:
        if not self._closed:
            return False
        for place in [(entry.tenant, tag) for tag in entry.tags if (entry.tenant, tag) in self._closed]:
            writers = {writer: until for writer, until in self._closed.pop(place).items() if until > now}
            if writers:
                self._closed[place] = writers
                return True
        return False

    def _end_lead(self, entry: Entry, look: Look) -> None:
        lead = self._leads.get((entry.tenant, entry.place))
        if lead is not None and lead.lease == look.lease:
            del self._leads[entry.tenant, entry.place]


def _size(kept: _Kept) -> int:
    return len(kept.value) + _OVERHEAD
