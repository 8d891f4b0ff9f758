"""What a program tells Prometheus, read back: which tenant's statements are slow."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from tenantry.observe.metrics import NOBODY

_LINE: Final = re.compile(
    r'(?P<name>\w+)\{tenant="(?P<tenant>(?:[^"\\]|\\.)*)"(?:,le="(?P<le>[^"]+)")?\} (?P<value>\S+)'
)
_MOST: Final = 0.95


@dataclass(slots=True)
class Told:
    """One tenant's numbers since the program began."""

    statements: int = 0
    errors: int = 0
    slow: int = 0
    leaked: int = 0
    open: int = 0
    seconds: float = 0.0
    buckets: dict[float, int] = field(default_factory=dict)

    @property
    def mean(self) -> float:
        """How many seconds a statement takes on average."""
        return self.seconds / self.statements if self.statements else 0.0

    @property
    def most(self) -> float:
        """Within how many seconds 95 of 100 statements are done, as closely as the buckets tell; infinite beyond."""
        wanted = _MOST * max(self.buckets.values(), default=0)
        return next((bound for bound, count in sorted(self.buckets.items()) if count >= wanted), 0.0)


_FIELDS: Final = {
    "tenantry_statements_total": "statements",
    "tenantry_statement_errors_total": "errors",
    "tenantry_slow_statements_total": "slow",
    "tenantry_leaked_sessions_total": "leaked",
    "tenantry_open_transactions": "open",
}


def read_exposition(text: str) -> Mapping[str, Told]:
    """Returns each tenant's numbers from the text of ``Observer.prometheus()``; what else is in it is passed over."""
    found: defaultdict[str, Told] = defaultdict(Told)
    for line in text.splitlines():
        match = _LINE.fullmatch(line)
        if match and match["tenant"] != NOBODY:
            _take(found[match["tenant"]], match["name"], match["le"], float(match["value"]))
    return {tenant: told for tenant, told in found.items() if told.statements or told.open}


def _take(told: Told, name: str, bound: str | None, value: float) -> None:
    if name in _FIELDS:
        setattr(told, _FIELDS[name], int(value))
    elif name == "tenantry_statement_seconds_sum":
        told.seconds = value
    elif name == "tenantry_statement_seconds_bucket" and bound is not None:
        told.buckets[float(bound)] = int(value)
