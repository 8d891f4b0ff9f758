"""How often results were found: counted in this process, by the tenant."""

from __future__ import annotations

import threading
import uuid
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import Final

HIT: Final = "hits"
MISS: Final = "misses"
KEPT: Final = "kept"
PASSED: Final = "passed"
UNAVAILABLE: Final = "unavailable"


@dataclass(frozen=True, slots=True)
class Statistics:
    """How many asked and found a result (*hits*), loaded one (*misses*), and of those could keep it (*kept*).

    *passed* did not look, since their transaction had written; *unavailable* could not, since the store was down.
    """

    hits: int = 0
    misses: int = 0
    kept: int = 0
    passed: int = 0
    unavailable: int = 0

    @property
    def hit_rate(self) -> float:
        """The share of hits among all that asked, nought where nobody did."""
        asked = self.hits + self.misses + self.passed + self.unavailable
        return self.hits / asked if asked else 0.0


class Tally:
    """Counts; threads may add at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: defaultdict[uuid.UUID, Counter[str]] = defaultdict(Counter)

    def add(self, tenant: uuid.UUID, what: str) -> None:
        with self._lock:
            self._counts[tenant][what] += 1

    def statistics(self, tenant: uuid.UUID | None) -> Statistics:
        """Returns the counts of one tenant, or of all together."""
        with self._lock:
            counts = self._counts.values() if tenant is None else [self._counts.get(tenant, Counter[str]())]
            return Statistics(**sum(counts, Counter[str]()))
