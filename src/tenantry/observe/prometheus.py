"""Numbers in the text format of Prometheus."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Final

from tenantry.observe.metrics import BOUNDS, Snapshot

Labels = tuple[tuple[str, str], ...]

_COUNTERS: Final = (
    ("statements", "tenantry_statements_total", "Statements that were sent."),
    ("errors", "tenantry_statement_errors_total", "Statements that failed."),
    ("slow_statements", "tenantry_slow_statements_total", "Statements that took as long as the threshold."),
    ("slow_transactions", "tenantry_slow_transactions_total", "Transactions that took as long as the threshold."),
    ("committed", "tenantry_committed_total", "Transactions that were committed."),
    ("rolled_back", "tenantry_rolled_back_total", "Transactions that were not committed, readers' among them."),
    ("leaked", "tenantry_leaked_sessions_total", "Sessions that were thrown away without being closed."),
    ("transaction_seconds", "tenantry_transaction_seconds_total", "Seconds spent in transactions."),
)


@dataclass(frozen=True, slots=True)
class Gauge:
    """A number that goes up and down, by labels."""

    name: str
    about: str
    values: Mapping[Labels, float]


def exposition(snapshot: Snapshot, gauges: Sequence[Gauge] = ()) -> str:
    """Returns a snapshot, and gauges beside it, as Prometheus reads them; a tenant's label is its slug."""
    return "\n".join([*_counters(snapshot), *_statements(snapshot), *_calls(snapshot), *_gauges(gauges), ""])


def _counters(snapshot: Snapshot) -> Iterator[str]:
    for field, name, about in _COUNTERS:
        yield from _head(name, about, "counter")
        value_of = attrgetter(field)
        for slug, work in snapshot.tenants.items():
            yield _line(name, (("tenant", slug),), value_of(work))


def _statements(snapshot: Snapshot) -> Iterator[str]:
    name = "tenantry_statement_seconds"
    yield from _head(name, "How long statements took.", "histogram")
    for slug, work in snapshot.tenants.items():
        yield from _histogram(name, (("tenant", slug),), work.durations, work.seconds)


def _calls(snapshot: Snapshot) -> Iterator[str]:
    yield from _head("tenantry_calls_total", "Calls of tracked functions.", "counter")
    for (function, slug), calls in snapshot.calls.items():
        labels = (("function", function), ("tenant", slug))
        for outcome, count in (("done", calls.done), ("failed", calls.failed)):
            yield _line("tenantry_calls_total", (*labels, ("outcome", outcome)), count)
    yield from _head("tenantry_call_seconds", "How long they took.", "histogram")
    for (function, slug), calls in snapshot.calls.items():
        labels = (("function", function), ("tenant", slug))
        yield from _histogram("tenantry_call_seconds", labels, calls.durations, calls.seconds)
    yield from _head("tenantry_cache_requests_total", "Looks into caches.", "counter")
    for cache, lookups in snapshot.caches.items():
        for result, count in (("hit", lookups.hits), ("miss", lookups.misses)):
            yield _line("tenantry_cache_requests_total", (("cache", cache), ("result", result)), count)


def _gauges(gauges: Iterable[Gauge]) -> Iterator[str]:
    for gauge in gauges:
        yield from _head(gauge.name, gauge.about, "gauge")
        for labels, value in gauge.values.items():
            yield _line(gauge.name, labels, value)


def _histogram(name: str, labels: Labels, durations: Sequence[int], seconds: float) -> Iterator[str]:
    so_far = 0
    for bound, count in zip((*BOUNDS, "+Inf"), durations, strict=True):
        so_far += count
        yield _line(f"{name}_bucket", (*labels, ("le", str(bound))), so_far)
    yield _line(f"{name}_sum", labels, seconds)
    yield _line(f"{name}_count", labels, so_far)


def _head(name: str, about: str, kind: str) -> tuple[str, str]:
    return f"# HELP {name} {about}", f"# TYPE {name} {kind}"


def _line(name: str, labels: Labels, value: float) -> str:
    inside = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels)
    return f"{name}{{{inside}}} {value}"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
