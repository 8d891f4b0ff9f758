"""Cursors: where a reader stopped, as text that says nothing of the tenant and is taken apart strictly."""

from __future__ import annotations

import base64
import binascii
import datetime
import decimal
import enum
import hashlib
import json
import uuid
from collections.abc import Callable, Sequence
from typing import Any, Final

from tenantry.errors import InvalidFilter, InvalidPage
from tenantry.repository.building import Term
from tenantry.repository.fields import Field, fit, python_type

# A number as long as a book would cost the database more than the row it points to.
_LARGEST_EXPONENT: Final = 1_000

_Text = Callable[[Any], Any]


def encode(terms: Sequence[Term], row: object) -> str:
    """Returns the cursor of what comes after *row* in this ordering.

    Raises: InvalidPage for an ordering that is not made of plain fields.
    """
    fields = _fields(terms)
    return _pack([_mark(terms), *(_written(attribute, getattr(row, attribute.key)) for attribute in fields)])


def decode(terms: Sequence[Term], cursor: str) -> list[Any]:
    """Returns the values at which a reader of this ordering stopped.

    Raises: InvalidPage for anything but a cursor of this very ordering.
    """
    fields = _fields(terms)
    parts = _unpack(cursor)
    if len(parts) != len(fields) + 1 or parts[0] != _mark(terms):
        raise InvalidPage(reason="the cursor belongs to another list or another ordering.")
    values = [_read(term, part) for term, part in zip(terms, parts[1:], strict=True)]
    if _pack([parts[0], *map(_written, fields, values)]) != cursor:
        raise _broken()
    return values


def _fields(terms: Sequence[Term]) -> list[Field]:
    fields = [term.field for term in terms if term.field is not None]
    if len(fields) < len(terms):
        raise InvalidPage(reason="a cursor needs an ordering by plain fields, not by expressions.")
    return fields


def _mark(terms: Sequence[Term]) -> str:
    """Returns a short mark of the model and its ordering, in which the tenant has no part."""
    fields = _fields(terms)
    names = [f"{'-' if term.descending else ''}{own.key}" for term, own in zip(terms, fields, strict=True)]
    return hashlib.sha256(" ".join([fields[0].class_.__name__, *names]).encode()).hexdigest()[:8]


def _pack(parts: list[Any]) -> str:
    text = json.dumps(parts, separators=(",", ":"), ensure_ascii=False)
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def _unpack(cursor: str) -> list[Any]:
    try:
        raw = base64.b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        parts = json.loads(raw)
    except (AttributeError, ValueError, RecursionError, binascii.Error) as error:
        raise _broken() from error
    if not isinstance(parts, list):
        raise _broken()
    return parts


def _broken() -> InvalidPage:
    return InvalidPage(reason="the cursor is not one that was handed out. Start again without one.")


def _written(attribute: Field, value: Any) -> str | int | bool | None:
    kind = _kind(attribute)
    if value is None:
        return None
    if not isinstance(value, kind) and kind is not float:
        raise InvalidPage(reason=f"{attribute.key} holds values that no cursor can carry.")
    written: str | int | bool = value.name if isinstance(value, enum.Enum) else _WRITE[kind](value)
    return written


def _read(term: Term, part: Any) -> Any:
    if part is None and term.nullable:
        return None
    attribute: Any = term.field
    kind = _kind(attribute)
    try:
        value = kind[part] if issubclass(kind, enum.Enum) else _READ[kind](part)
        return fit(attribute, value)
    except (ArithmeticError, InvalidFilter, KeyError, TypeError, ValueError) as error:
        raise _broken() from error


def _kind(attribute: Field) -> type[Any]:
    kind = python_type(attribute.type)
    if kind is None or not (kind in _READ or issubclass(kind, enum.Enum)):
        raise InvalidPage(reason=f"{attribute.key} holds values that no cursor can carry.")
    return kind


def _exactly(kind: type[Any]) -> _Text:
    def read(part: Any) -> Any:
        if type(part) is not kind:
            raise TypeError(part)
        return part

    return read


def _decimal(part: Any) -> decimal.Decimal:
    value = decimal.Decimal(_exactly(str)(part))
    if not value.is_finite() or abs(value.adjusted()) > _LARGEST_EXPONENT:
        raise ValueError(part)
    return value


_WRITE: Final[dict[type[Any], _Text]] = {
    bool: bool,
    int: int,
    str: str,
    float: lambda value: float(value).hex(),
    decimal.Decimal: str,
    uuid.UUID: lambda value: value.hex,
    datetime.datetime: datetime.datetime.isoformat,
    datetime.date: datetime.date.isoformat,
    datetime.time: datetime.time.isoformat,
}
_READ: Final[dict[type[Any], _Text]] = {
    bool: _exactly(bool),
    int: _exactly(int),
    str: _exactly(str),
    float: float.fromhex,
    decimal.Decimal: _decimal,
    uuid.UUID: uuid.UUID,
    datetime.datetime: datetime.datetime.fromisoformat,
    datetime.date: datetime.date.fromisoformat,
    datetime.time: datetime.time.fromisoformat,
}
