"""Samples of durations, and what can honestly be said of them."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Summary:
    """The median of one contestant and, beside a baseline, the ratio of the two with its 95 % interval."""

    name: str
    median: float
    ratio: float
    low: float
    high: float

    def row(self) -> str:
        """Returns one line of a Markdown table; times in microseconds."""
        return f"| {self.name} | {self.median * 1e6:.0f} | {self.ratio:.3f} | {self.low:.3f} to {self.high:.3f} |"


def summarise(samples: dict[str, Sequence[float]]) -> list[Summary]:
    """Returns a summary for each contestant; the first is the baseline."""
    baseline = next(iter(samples.values()))
    return [_summary(name, values, baseline) for name, values in samples.items()]


def table(title: str, samples: dict[str, Sequence[float]]) -> str:
    """Returns a Markdown table of the summaries."""
    head = f"\n### {title} ({len(next(iter(samples.values())))} rounds)\n\n"
    columns = "| contestant | median µs | ratio | 95 % interval |\n| --- | ---: | ---: | ---: |\n"
    return head + columns + "\n".join(summary.row() for summary in summarise(samples))


def _summary(name: str, values: Sequence[float], baseline: Sequence[float]) -> Summary:
    """Ratio of medians; its interval from those of the two medians, which errs to the wide side."""
    low, middle, high = median_interval(values)
    base_low, base, base_high = median_interval(baseline)
    if values is baseline:
        return Summary(name, middle, 1.0, 1.0, 1.0)
    return Summary(name, middle, middle / base, low / base_high, high / base_low)


def median_interval(values: Sequence[float]) -> tuple[float, float, float]:
    """Returns the median between the order statistics that hold it with 95 % (normal approximation to the binomial)."""
    ordered = sorted(values)
    reach = 0.98 * math.sqrt(len(ordered))
    middle = (len(ordered) - 1) / 2
    low = ordered[max(0, math.floor(middle - reach))]
    high = ordered[min(len(ordered) - 1, math.ceil(middle + reach))]
    return low, statistics.median(ordered), high
