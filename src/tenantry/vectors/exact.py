"""The exact search: every vector of the tenant compared, by numpy, a part of them at a time."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from typing import Any

from tenantry.errors import ExtraMissing

try:
    import numpy as np
except ImportError as error:
    raise ExtraMissing(module="The exact search among vectors", extra="vectors") from error


def nearest(parts: Iterable[Sequence[Any]], vector: bytes, *, limit: int) -> list[tuple[float, str]]:
    """Returns scores and keys of the *limit* nearest, the nearest first; *parts* are rows of key and vector."""
    wanted = np.frombuffer(vector, dtype="<f4")
    best: list[tuple[float, str]] = []
    for rows in parts:
        kept = np.frombuffer(b"".join(row[1] for row in rows), dtype="<f4").reshape(len(rows), len(wanted))
        scores = kept @ wanted
        ahead = range(len(rows)) if len(rows) <= limit else np.argpartition(scores, -limit)[-limit:].tolist()
        best = heapq.nsmallest(limit, [*best, *((-float(scores[row]), rows[row][0]) for row in ahead)])
    return [(-distance, key) for distance, key in best]
