"""Kept values as bytes and back: data alone, so that nobody shares an object and nothing that is read back can run."""

from __future__ import annotations

import datetime
import decimal
import json
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from tenantry.errors import CacheRefused

# What marks a value that JSON has no spelling for.
_KIND: Final = "$"
_PLAIN: Final = frozenset({type(None), bool, int, float, str})


def encode(value: Any, *, what: str) -> bytes:
    """Returns *value* as bytes.

    Raises: CacheRefused for what is no plain data, such as an object that belongs to a session.
    """
    try:
        return json.dumps(_spelled(value, what), separators=(",", ":")).encode()
    except RecursionError:
        raise CacheRefused(what=what, kind="nesting without end") from None


def decode(kept: bytes) -> Any:
    """Returns a value of the caller's own, equal to the one that ``encode`` was given."""
    return _read(json.loads(kept))


def texts(value: Any) -> Iterator[str]:
    """Yields what a value says: each of its parts, and each key, as text."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from texts(key)
            yield from texts(item)
    elif isinstance(value, list | tuple | set | frozenset):
        for item in value:
            yield from texts(item)
    elif isinstance(value, bytes):
        yield value.decode(errors="replace")
    elif value is not None:
        yield str(value)


def _spelled(value: Any, what: str) -> Any:
    # The exact type: a subclass would come back as something less. asyncpg's UUIDs are UUIDs all the same.
    kind = uuid.UUID if isinstance(value, uuid.UUID) else type(value)
    if kind in _PLAIN:
        return value
    if kind is list:
        return [_spelled(item, what) for item in value]
    if kind is dict:
        return _spelled_dict(value, what)
    if kind in (tuple, set, frozenset):
        items = [_spelled(item, what) for item in value]
        return {_KIND: kind.__name__, "v": items if kind is tuple else sorted(items, key=json.dumps)}
    if kind not in _WRITERS:
        raise CacheRefused(what=what, kind=kind.__name__)
    if kind is datetime.time and value.tzinfo is not None and value.utcoffset() is None:
        # It would be spelled without its zone, alike for every zone.
        raise CacheRefused(what=what, kind="a time of a zone without its date")
    return {_KIND: kind.__name__, "v": _WRITERS[kind](value)}


def _spelled_dict(value: dict[Any, Any], what: str) -> Any:
    if all(type(key) is str and key != _KIND for key in value):
        return {key: _spelled(item, what) for key, item in value.items()}
    return {_KIND: "dict", "v": [[_spelled(key, what), _spelled(item, what)] for key, item in value.items()]}


def _read(spelled: Any) -> Any:
    if isinstance(spelled, list):
        return [_read(item) for item in spelled]
    if not isinstance(spelled, dict):
        return spelled
    if _KIND not in spelled:
        return {key: _read(item) for key, item in spelled.items()}
    return _READERS[spelled[_KIND]](spelled["v"])


_WRITERS: Final[dict[type, Callable[[Any], Any]]] = {
    bytes: bytes.hex,
    uuid.UUID: str,
    decimal.Decimal: str,
    datetime.datetime: datetime.datetime.isoformat,
    datetime.date: datetime.date.isoformat,
    datetime.time: datetime.time.isoformat,
    datetime.timedelta: lambda span: [span.days, span.seconds, span.microseconds],
}
_READERS: Final[dict[str, Callable[[Any], Any]]] = {
    "tuple": lambda items: tuple(map(_read, items)),
    "set": lambda items: set(map(_read, items)),
    "frozenset": lambda items: frozenset(map(_read, items)),
    "dict": lambda pairs: {_read(key): _read(item) for key, item in pairs},
    "bytes": bytes.fromhex,
    "UUID": uuid.UUID,
    "Decimal": decimal.Decimal,
    "datetime": datetime.datetime.fromisoformat,
    "date": datetime.date.fromisoformat,
    "time": datetime.time.fromisoformat,
    "timedelta": lambda parts: datetime.timedelta(*parts),
}
