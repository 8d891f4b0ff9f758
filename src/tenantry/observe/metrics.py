"""Numbers of one process: statements and transactions by tenant, tracked calls, hits of caches."""

from __future__ import annotations

import os
import threading
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final
from weakref import WeakSet

# Upper bounds in seconds; what is longer than the last is counted behind it.
BOUNDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
# Who shares this name came after the cap was reached.
OTHERS: Final = "others"
# No tenant's: the library's own statements, operators' and the platform's.
NOBODY: Final = ""


def no_durations() -> list[int]:
    """Returns the counts of a histogram that has seen nothing."""
    return [0] * (len(BOUNDS) + 1)


def bucket_of(seconds: float) -> int:
    """Returns in which count of a histogram a duration belongs."""
    return bisect_left(BOUNDS, seconds)


@dataclass(slots=True)
class Work:
    """What was done and how long it took: by one transaction, or by all of one tenant."""

    statements: int = 0
    errors: int = 0
    slow_statements: int = 0
    slow_transactions: int = 0
    committed: int = 0
    rolled_back: int = 0
    leaked: int = 0
    seconds: float = 0.0
    transaction_seconds: float = 0.0
    slowest: float = 0.0
    durations: list[int] = field(default_factory=no_durations)

    def add(self, other: Work) -> None:
        """Adds what *other* counted."""
        self.statements += other.statements
        self.errors += other.errors
        self.slow_statements += other.slow_statements
        self.slow_transactions += other.slow_transactions
        self.committed += other.committed
        self.rolled_back += other.rolled_back
        self.leaked += other.leaked
        self.seconds += other.seconds
        self.transaction_seconds += other.transaction_seconds
        self.slowest = max(self.slowest, other.slowest)
        for place, count in enumerate(other.durations):
            if count:
                self.durations[place] += count

    def count(self, spent: Sequence[float]) -> None:
        """Counts statements by the seconds that each took."""
        self.statements += len(spent)
        for seconds in spent:
            self.seconds += seconds
            self.durations[bisect_left(BOUNDS, seconds)] += 1
            if seconds > self.slowest:
                self.slowest = seconds


@dataclass(slots=True)
class Calls:
    """What became of the calls of one tracked function."""

    done: int = 0
    failed: int = 0
    seconds: float = 0.0
    slowest: float = 0.0
    durations: list[int] = field(default_factory=no_durations)


@dataclass(slots=True)
class Lookups:
    """How often a cache had what was looked for."""

    hits: int = 0
    misses: int = 0

    @property
    def rate(self) -> float:
        """The share of hits, from 0 to 1."""
        return self.hits / (self.hits + self.misses) if self.hits or self.misses else 0.0


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The numbers at one moment; they change no more."""

    tenants: Mapping[str, Work]
    calls: Mapping[tuple[str, str], Calls]
    caches: Mapping[str, Lookups]

    @property
    def total(self) -> Work:
        """The work of all tenants, and of nobody's, together."""
        whole = Work()
        for work in self.tenants.values():
            whole.add(work)
        return whole


_every: Final[WeakSet[Metrics]] = WeakSet()


class Metrics:
    """A registry of numbers; threads add to it at once.

    No more than *tenants* get a name of their own, the first that come; the rest is counted under ``others``. With 0
    nobody has a name.
    """

    def __init__(self, *, tenants: int = 200) -> None:
        self._cap = tenants
        self._lock = threading.Lock()
        self._work: dict[str, Work] = {}
        self._calls: dict[tuple[str, str], Calls] = {}
        self._caches: dict[str, Lookups] = {}
        _every.add(self)

    def __repr__(self) -> str:
        return f"Metrics({len(self._work)} names, {len(self._calls)} functions)"

    def count_statements(self, slug: str, spent: Sequence[float], *, errors: int = 0, slow: int = 0) -> None:
        """Counts statements of a tenant, or of nobody's where *slug* is empty, by the seconds that each took."""
        with self._lock:
            work = self._work.get(slug) or self._new(slug)
            work.count(spent)
            work.errors += errors
            work.slow_statements += slow

    def count_transaction(
        self, slug: str, spent: Sequence[float], seconds: float, *, committed: bool, slow: bool = False
    ) -> None:
        """Counts a transaction that is over, with those of its statements that were not counted before."""
        with self._lock:
            work = self._work.get(slug) or self._new(slug)
            work.count(spent)
            work.transaction_seconds += seconds
            if committed:
                work.committed += 1
            else:
                work.rolled_back += 1
            if slow:
                work.slow_transactions += 1

    def count_leak(self, slug: str) -> None:
        """Counts a session that was thrown away without being closed."""
        with self._lock:
            (self._work.get(slug) or self._new(slug)).leaked += 1

    def count_call(self, function: str, slug: str, seconds: float, *, failed: bool) -> None:
        """Counts a call of a tracked function, for a tenant or, with an empty *slug*, for nobody."""
        with self._lock:
            calls = self._calls.setdefault((function, self._named(slug)), Calls())
            calls.failed += failed
            calls.done += not failed
            calls.seconds += seconds
            calls.slowest = max(calls.slowest, seconds)
            calls.durations[bucket_of(seconds)] += 1

    def count_lookup(self, cache: str, *, hit: bool) -> None:
        """Counts a look into a cache."""
        with self._lock:
            lookups = self._caches.setdefault(cache, Lookups())
            lookups.hits += hit
            lookups.misses += not hit

    def snapshot(self) -> Snapshot:
        """Returns the numbers as they are now."""
        with self._lock:
            tenants = {slug: _copied(work) for slug, work in self._work.items()}
            calls = {key: _copied_calls(calls) for key, calls in self._calls.items()}
            caches = {name: Lookups(found.hits, found.misses) for name, found in self._caches.items()}
        return Snapshot(tenants, calls, caches)

    def after_fork(self) -> None:
        """Begins at nought in a child process: what its parent did, its parent tells."""
        # A thread that is not here may have held it.
        self._lock = threading.Lock()
        self.clear()

    def clear(self) -> None:
        """Begins at nought again."""
        with self._lock:
            self._work.clear()
            self._calls.clear()
            self._caches.clear()

    def _new(self, slug: str) -> Work:
        return self._work.setdefault(self._named(slug), Work())

    def _named(self, slug: str) -> str:
        if slug == NOBODY or slug in self._work:
            return slug
        named = len(self._work) - (NOBODY in self._work) - (OTHERS in self._work)
        return slug if named < self._cap else OTHERS


def _copied(work: Work) -> Work:
    copy = Work()
    copy.add(work)
    return copy


def _copied_calls(calls: Calls) -> Calls:
    return Calls(calls.done, calls.failed, calls.seconds, calls.slowest, list(calls.durations))


# What ``track_metrics`` counts in, and every Observer that is given no other.
METRICS: Final = Metrics()


def _after_fork() -> None:
    for metrics in list(_every):
        metrics.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
