"""Payloads that come from callers and go to callers: JSON that both databases keep alike, and its digest."""

from __future__ import annotations

import datetime
import decimal
import enum
import hashlib
import json
import uuid
from typing import Any, Final

from tenantry.errors import PayloadRefused

# PostgreSQL's JSONB has no place for it.
_NUL: Final = "\\u0000"
# Whoever reads a document walks down it; Python stops at some hundred steps.
_DEEPEST: Final = 100


def plain_json(value: Any, *, what: str) -> Any:
    """Returns *value* as a database gives it back: tuples are lists, keys are texts.

    Raises: PayloadRefused for what JSON, or one of the databases, cannot hold.
    """
    return json.loads(_spelled(value, what=what, default=None))


def digest_of(value: Any, *, what: str) -> str:
    """Returns the SHA-256 of *value*, the same whatever the order of its keys; UUIDs, times and the like are texts.

    Raises: PayloadRefused for what has no one spelling.
    """
    return hashlib.sha256(_spelled(value, what=what, default=_as_text).encode()).hexdigest()


def _spelled(value: Any, *, what: str, default: Any) -> str:
    if _is_deep(value):
        raise PayloadRefused(what=what, reason=f"it is nested more than {_DEEPEST} deep.")
    try:
        text = json.dumps(
            value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False, default=default
        )
        text.encode()
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise PayloadRefused(what=what, reason=f"{_first_line(error)}.") from error
    if _NUL in text.replace("\\\\", ""):
        raise PayloadRefused(what=what, reason="a text in it holds the character NUL.")
    return text


def _is_deep(value: Any) -> bool:
    layer = [value]
    for _ in range(_DEEPEST + 1):
        nested = [each for each in layer if isinstance(each, dict | list | tuple)]
        layer = [part for each in nested for part in (each.values() if isinstance(each, dict) else each)]
    return bool(layer)


def _as_text(value: object) -> str:
    if isinstance(value, datetime.datetime) and value.utcoffset() is not None:
        return value.astimezone(datetime.UTC).isoformat()
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, enum.Enum):
        return str(value.value)
    if isinstance(value, uuid.UUID | decimal.Decimal):
        return str(value)
    raise TypeError(f"a {type(value).__name__} is not JSON")


def _first_line(error: Exception) -> str:
    # A UnicodeEncodeError would quote the text.
    return "it is not valid Unicode" if isinstance(error, UnicodeError) else str(error).partition("\n")[0]
