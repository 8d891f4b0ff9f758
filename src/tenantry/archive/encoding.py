"""Canonical rows: PostgreSQL's COPY text, a line per row, in which a value reads the same from either database."""

from __future__ import annotations

import hashlib
import json
import math
import re
import struct
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from tenantry.archive import lines
from tenantry.archive.shapes import TableDigest, TableShape

NULL: Final = "\\N"

_ESCAPES: Final = {"\\": "\\\\", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v"}
_TO_ESCAPE: Final = re.compile(r"[\\\b\f\n\r\t\v]")
_ESCAPED: Final = re.compile(rb"\\(.?)", re.DOTALL)
_UNDONE: Final = {mark[1:].encode(): sign.encode() for sign, mark in _ESCAPES.items()}
_TRANSLATION: Final = str.maketrans(_ESCAPES)

# How far a number in a document goes (PostgreSQL, numeric types), so that a few letters cannot ask for gigabytes.
_LARGEST_EXPONENT: Final = 131_071
_SMALLEST_EXPONENT: Final = -16_383
# PostgreSQL writes an exponent from so many digits on.
_DOUBLE_DIGITS: Final = 15
_SINGLE_DIGITS: Final = 6


class Unwritable(ValueError):
    """A value that has no canonical text, or bytes that are none; what it says never quotes them."""


def escape(text: str) -> str:
    """Returns a value's text as it stands in a line."""
    return text.translate(_TRANSLATION) if _TO_ESCAPE.search(text) else text


def unescape(field: bytes) -> bytes | None:
    """Returns the text of a field of a line, None for NULL.

    Raises: ValueError for an escape that no canonical row has.
    """
    if b"\\" not in field:
        return field
    return None if field == b"\\N" else _ESCAPED.sub(_undo, field)


def _undo(found: re.Match[bytes]) -> bytes:
    try:
        return _UNDONE[found[1]]
    except KeyError:
        raise Unwritable("an escape that no canonical row has") from None


def split(chunks: Iterable[bytes]) -> Iterator[tuple[bytes | None, ...]]:
    """Yields each row as the text of its values, None for NULL; chunks may end anywhere.

    Raises: ValueError for bytes that are no canonical rows.
    """
    for chunk in whole_lines(chunks):
        for line in chunk[:-1].split(b"\n"):
            yield tuple(map(unescape, line.split(b"\t")))


def keys_of(shape: TableShape, chunks: Iterable[bytes]) -> Iterator[tuple[str, ...]]:
    """Yields the key of each row.

    Raises: ValueError for bytes that are no canonical rows of this table.
    """
    places = [shape.names.index(name) for name in shape.key]
    for row in split(chunks):
        yield tuple(_given(row[place]) for place in places)


def _given(value: bytes | None) -> str:
    if value is None:
        raise Unwritable("a key is NULL")
    return value.decode()


def line_of(values: Iterable[bytes | None]) -> bytes:
    """Returns the line of a row that ``split`` took apart."""
    fields = (NULL if value is None else escape(value.decode()) for value in values)
    return "\t".join(fields).encode() + b"\n"


def whole_lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yields the same bytes in chunks that each end with a line.

    Raises: ValueError where the last line has no end.
    """
    return lines.whole_lines(chunks, refuse=Unwritable)


class Digesting:
    """Chunks of rows, passed on as they come; what they amounted to is known once all are through."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = chunks
        self._hash = hashlib.sha256()
        self._rows = self._size = 0

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._chunks:
            self._hash.update(chunk)
            self._rows += chunk.count(b"\n")
            self._size += len(chunk)
            yield chunk

    @property
    def digest(self) -> TableDigest:
        """What has passed so far."""
        return TableDigest(self._rows, self._size, self._hash.hexdigest())


def digest_of(chunks: Iterable[bytes]) -> TableDigest:
    """Returns the digest of rows."""
    passing = Digesting(chunks)
    for _ in passing:
        pass
    return passing.digest


def double_text(value: float) -> str:
    """Returns a float as PostgreSQL writes one of eight bytes.

    Raises: ValueError for NaN, which SQLite takes for NULL.
    """
    return _float_text(value, _shortest_double, _DOUBLE_DIGITS)


def single_text(value: float) -> str:
    """Returns a float as PostgreSQL writes one of four bytes.

    Raises: ValueError for NaN, and for what four bytes do not hold.
    """
    return _float_text(value, _shortest_single, _SINGLE_DIGITS)


def _float_text(value: float, shortest: Callable[[float], str], digits: int) -> str:
    if math.isnan(value):
        raise Unwritable("SQLite has no NaN")
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    if not value:
        # SQLite keeps no sign of nought, and SQL holds the two equal.
        return "0"
    number = Decimal(shortest(abs(value))).normalize()
    exponent, sign = number.adjusted(), "-" if value < 0 else ""
    if -5 < exponent < digits:
        return f"{sign}{number:f}"
    first, *others = map(str, number.as_tuple().digits)
    fraction = f".{''.join(others)}" if others else ""
    return f"{sign}{first}{fraction}e{'-' if exponent < 0 else '+'}{abs(exponent):02d}"


def _shortest_double(value: float) -> str:
    if value < 2**53:
        return repr(value)
    below, above = math.nextafter(value, 0), math.nextafter(value, math.inf)
    texts = (repr(value), *(f"{value:.{digits}e}" for digits in range(14, 17)))
    return next(text for text in texts if float(text) == value and _between(text, below, value, above))


def _shortest_single(value: float) -> str:
    try:
        packed = struct.pack("=f", value)
    except OverflowError:
        raise Unwritable("four bytes do not hold it") from None
    below, held, above = (_single(packed, step) for step in (-1, 0, 1))
    texts = (f"{held:.{digits}g}" for digits in range(1, 10))
    held_by = (text for text in texts if struct.pack("=f", float(text)) == packed)
    return next(text for text in held_by if value < 2**24 or _between(text, below, held, above))


def _single(packed: bytes, step: int) -> float:
    (bits,) = struct.unpack("=I", packed)
    (value,) = struct.unpack("=f", struct.pack("=I", max(0, bits + step)))
    return float(value)


def _between(text: str, below: float, value: float, above: float) -> bool:
    """Whether a whole number is nearer to *value* than to its neighbours: PostgreSQL writes none half-way to one."""
    twice, ends = 2 * int(Decimal(text)), [int(value) + int(end) for end in (below, above) if math.isfinite(end)]
    return twice not in ends


def numeric_text(number: Decimal, scale: int | None) -> str:
    """Returns a number as PostgreSQL writes a NUMERIC of this scale, without trailing noughts where it has none.

    Raises: ValueError for NaN and infinity.
    """
    if not number.is_finite():
        raise Unwritable("SQLite has no NaN and no infinite numeric")
    if scale is not None:
        text = f"{number:.{scale}f}"
    else:
        text = f"{number:f}"
        text = text.rstrip("0").rstrip(".") if "." in text else text
    return text.removeprefix("-") if not text.strip("-0.") else text


def document_text(document: str | bytes) -> str:
    """Returns a JSON document as PostgreSQL's jsonb writes it.

    Raises: ValueError for what jsonb does not take.
    """
    try:
        return _json(json.loads(document, parse_float=_number, parse_int=_number, parse_constant=_no_constant))
    except RecursionError:
        raise Unwritable("the document is nested too deep") from None


def _number(text: str) -> Decimal:
    try:
        number = Decimal(text)
    except InvalidOperation:
        raise Unwritable("a number that is too long") from None
    last = number.as_tuple().exponent
    if not isinstance(last, int) or last < _SMALLEST_EXPONENT or number.adjusted() > _LARGEST_EXPONENT:
        raise Unwritable("a number that jsonb does not hold")
    return number


def _no_constant(name: str) -> Any:
    raise Unwritable(f"jsonb has no {name}")


def _json(value: Any) -> str:
    if isinstance(value, str):
        return _json_string(value)
    if isinstance(value, Decimal):
        return _json_number(value)
    if isinstance(value, dict):
        members = sorted((name.encode(), name) for name in value)
        members.sort(key=lambda member: len(member[0]))
        return "{" + ", ".join(f"{_json_string(name)}: {_json(value[name])}" for _, name in members) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_json, value)) + "]"
    return _WORDS[value]


_WORDS: Final = {None: "null", True: "true", False: "false"}


def _json_number(number: Decimal) -> str:
    text = f"{number:f}"
    return text.removeprefix("-") if number.is_zero() else text


def _json_string(text: str) -> str:
    if "\0" in text:
        raise Unwritable("PostgreSQL has no \\u0000 in texts")
    text.encode()  # a half of a surrogate pair is no text
    return json.dumps(text, ensure_ascii=False)
