"""JSON as archives hold it: one spelling when written, and strictly read."""

from __future__ import annotations

import json
import math
from typing import Any

from tenantry.archive.container.faults import Fault


def written(value: Any) -> bytes:
    """Returns *value* as JSON in UTF-8, keys in order, without blanks.

    Raises: Fault for what JSON cannot say: NaN, infinity, half a surrogate pair, an object of Python's.
    """
    try:
        return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise Fault(f"it holds what JSON cannot say: {type(error).__name__}.") from error


def read(payload: bytes) -> dict[str, Any]:
    """Returns the one object that *payload* spells.

    Raises: Fault for anything else, a name given twice and numbers beyond bounds included.
    """
    try:
        found = json.loads(payload.decode(), object_pairs_hook=_once, parse_float=_finite, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise Fault("a part that should be JSON is not.") from error
    if not isinstance(found, dict):
        raise Fault("a part that should be a JSON object is not.")
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name is given twice")
    return found


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("a number is too large")
    return number


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no JSON")
