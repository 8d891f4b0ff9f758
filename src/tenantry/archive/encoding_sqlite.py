"""What SQLite keeps, as canonical text and back: each kind of column as SQLAlchemy stores it there.

Every function raises ValueError for a value that the other side cannot hold; who calls knows the row.
"""

from __future__ import annotations

import datetime
import functools
import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import Column
from sqlalchemy.types import TypeDecorator

from tenantry.archive.encoding import Unwritable, document_text, double_text, numeric_text, single_text
from tenantry.archive.shapes import POSTGRESQL, SQLITE, TRANSLATED, ColumnShape, Kind, kind_of

Encode = Callable[[Any], str]
Decode = Callable[[str], Any]

_EPOCH: Final = datetime.datetime(1970, 1, 1)  # SQLAlchemy's own, from which an Interval counts
_MOMENT: Final = re.compile(r"(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d)(?:\.(\d{1,6}))?", re.ASCII)
_TIME: Final = re.compile(r"(\d\d:\d\d:\d\d)(?:\.(\d{1,6}))?", re.ASCII)
_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_INTERVAL: Final = re.compile(r"(?:(-?\d+) days?)?(?: |$)?(?:([+-]?)(\d+):(\d\d):(\d\d)(?:\.(\d{1,6}))?)?", re.ASCII)
_WHOLE: Final = re.compile(r"-?\d+", re.ASCII)
_LARGEST: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Codec:
    """How the values of one column are written, and read back; neither is asked about NULL."""

    encode: Encode
    decode: Decode


def codec(shape: ColumnShape, column: Column[Any] | None) -> Codec:
    """Returns how SQLite's values of a column are written; *column* is the models' where they have it."""
    if column is None:
        return _plain(shape.kind, shape.scale)
    kind, scale = kind_of(column.type, SQLITE)
    if kind is shape.kind:
        return _plain(kind, shape.scale)
    return _translated(shape, column) if shape.kind in TRANSLATED else _plain(kind, scale)


def _plain(kind: Kind, scale: int | None) -> Codec:
    if kind is Kind.NUMERIC:
        return _numeric(scale)
    return _CODECS[kind]


def _numeric(scale: int | None) -> Codec:
    def encode(value: Any) -> str:
        if isinstance(value, float):
            return numeric_text(Decimal(repr(value)) if scale is None else Decimal(value), scale)
        return numeric_text(Decimal(_a(int, value)), scale)

    def decode(text: str) -> Any:
        number = Decimal(text)
        whole = number.is_finite() and number == number.to_integral_value() and abs(number) <= _LARGEST
        return _kept(int(number) if whole else float(number), text, encode)

    return Codec(encode, decode)


def _translated(shape: ColumnShape, column: Column[Any]) -> Codec:
    """Returns what goes through the column's own type, where that keeps its values differently on each database."""
    stored_type = column.type.dialect_impl(SQLITE)
    read, bind = stored_type.result_processor(SQLITE, None) or _same, stored_type.bind_processor(SQLITE) or _same
    to_postgres, from_postgres, value_of = _same, _same, _VALUES[shape.kind]
    if isinstance(column.type, TypeDecorator):
        to_postgres = functools.partial(column.type.process_bind_param, dialect=POSTGRESQL)
        from_postgres = functools.partial(column.type.process_result_value, dialect=POSTGRESQL)

    def encode(stored: Any) -> str:
        value = to_postgres(read(stored))
        return numeric_text(Decimal(value), shape.scale) if shape.kind is Kind.NUMERIC else str(value)

    def decode(text: str) -> Any:
        return _kept(bind(from_postgres(value_of(text))), text, encode)

    return Codec(encode, decode)


_VALUES: Final[dict[Kind, Callable[[str], Any]]] = {
    Kind.NUMERIC: Decimal,
    Kind.INTEGER: int,
    Kind.TEXT: str,
    Kind.UUID: uuid.UUID,
}


def _same(value: Any) -> Any:
    return value


def _kept(stored: Any, text: str, encode: Encode) -> Any:
    """Returns what is to be stored if it reads the same afterwards.

    Raises: ValueError.
    """
    if encode(stored) != text:
        raise Unwritable("SQLite cannot hold it exactly")
    return stored


def _a(kind: type, value: Any) -> Any:
    # SQLite takes any value in any column.
    if type(value) is not kind:
        raise Unwritable(f"a {type(value).__name__} stands where a {kind.__name__} belongs")
    return value


def _encode_text(value: Any) -> str:
    text: str = _a(str, value)
    if "\0" in text:
        raise Unwritable("PostgreSQL has no \\u0000 in texts")
    return text


def _encode_padded(value: Any) -> str:
    return _encode_text(value).rstrip(" ")


def _encode_integer(value: Any) -> str:
    return str(_a(int, value))


def _decode_integer(text: str) -> int:
    number = int(text)
    if not -_LARGEST - 1 <= number <= _LARGEST:
        raise Unwritable("SQLite has no integer of that size")
    return number


def _encode_boolean(value: Any) -> str:
    return "ft"[_one_of(_a(int, value), (0, 1))]


def _decode_boolean(text: str) -> int:
    return "ft".index(_one_of(text, ("f", "t")))


def _one_of(value: Any, known: tuple[Any, ...]) -> Any:
    if value not in known:
        raise Unwritable("neither true nor false")
    return value


def _encode_uuid(value: Any) -> str:
    text: str = _a(str, value)
    if len(text) != 32:
        return str(uuid.UUID(text))
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}".lower()


def _decode_uuid(text: str) -> str:
    return uuid.UUID(text).hex


def _encode_bytes(value: Any) -> str:
    return "\\x" + bytes(_a(bytes, value)).hex()


def _decode_bytes(text: str) -> bytes:
    if not text.startswith("\\x"):
        raise Unwritable("bytes begin with \\x")
    return bytes.fromhex(text[2:])


def _encode_double(value: Any) -> str:
    return double_text(float(value) if type(value) is int else _a(float, value))


def _encode_single(value: Any) -> str:
    return single_text(float(value) if type(value) is int else _a(float, value))


def _decode_float(text: str) -> float:
    value = float(text)
    if value != value:
        raise Unwritable("SQLite has no NaN")
    return value


def _encode_moment(value: Any) -> str:
    found = _MOMENT.fullmatch(_a(str, value))
    if found is None:
        return _encode_moment(_utc(value).isoformat(" "))
    return f"{found[1]} {found[2]}{_fraction(found[3])}"


def _utc(text: str) -> datetime.datetime:
    moment = datetime.datetime.fromisoformat(text)
    return moment if moment.tzinfo is None else moment.astimezone(datetime.UTC).replace(tzinfo=None)


def _encode_timestamp(value: Any) -> str:
    return _encode_moment(value) + "+00"


def _decode_moment(text: str) -> str:
    found = _matched(_MOMENT, text)
    return f"{found[1]} {found[2]}.{(found[3] or ''):0<6}"


def _decode_timestamp(text: str) -> str:
    return _decode_moment(text.removesuffix("+00"))


def _encode_time(value: Any) -> str:
    found = _matched(_TIME, _a(str, value))
    return f"{found[1]}{_fraction(found[2])}"


def _decode_time(text: str) -> str:
    found = _matched(_TIME, text)
    if found[1] >= "24":
        raise Unwritable("Python has no 24:00:00")
    return f"{found[1]}.{(found[2] or ''):0<6}"


def _date(value: Any) -> str:
    return _matched(_DATE, _a(str, value))[0]


def _fraction(digits: str | None) -> str:
    kept = (digits or "").rstrip("0")
    return f".{kept}" if kept else ""


def _matched(pattern: re.Pattern[str], text: str) -> re.Match[str]:
    found = pattern.fullmatch(text)
    if found is None:
        raise Unwritable("a time that the other database does not have")
    return found


def _encode_interval(value: Any) -> str:
    return _interval_text(datetime.datetime.fromisoformat(_a(str, value)) - _EPOCH)


def _interval_text(length: datetime.timedelta) -> str:
    minutes, seconds = divmod(length.seconds, 60)
    time = f"{minutes // 60:02d}:{minutes % 60:02d}:{seconds:02d}{_fraction(f'{length.microseconds:06d}')}"
    if not length.days:
        return time
    sign = "+" if length.days < 0 else ""
    days = f"{length.days} {'day' if length.days == 1 else 'days'}"
    return f"{days} {sign}{time}" if length.seconds or length.microseconds else days


def _decode_interval(text: str) -> str:
    found = _matched(_INTERVAL, text)
    days, sign, hours, minutes, seconds = (found[number] or "0" for number in range(1, 6))
    micros = int((found[6] or "").ljust(6, "0"))
    time = datetime.timedelta(hours=int(hours), minutes=int(minutes), seconds=int(seconds), microseconds=micros)
    length = datetime.timedelta(days=int(days)) + (-time if sign == "-" else time)
    if _interval_text(length) != text:
        raise Unwritable("SQLite keeps an interval as one length, in which a day has 24 hours")
    try:
        moment = _EPOCH + length
    except OverflowError:
        raise Unwritable("SQLite keeps no interval of that length") from None
    return moment.strftime("%Y-%m-%d %H:%M:%S.%f") if moment.year > 999 else moment.isoformat(" ", "microseconds")


def _encode_document(value: Any) -> str:
    # A column that calls itself JSON turns a text like 5 into a number (SQLite, type affinity).
    if isinstance(value, float):
        return document_text(repr(value))
    return document_text(str(value) if type(value) is int else _a(str, value))


def _decode_document(text: str) -> str:
    if _WHOLE.fullmatch(text) or text[:1] in "-0123456789":
        _kept(
            int(text) if _WHOLE.fullmatch(text) and abs(int(text)) <= _LARGEST else float(text), text, _encode_document
        )
    return text


_CODECS: Final = {
    Kind.UUID: Codec(_encode_uuid, _decode_uuid),
    Kind.INTEGER: Codec(_encode_integer, _decode_integer),
    Kind.FLOAT: Codec(_encode_double, _decode_float),
    Kind.SINGLE: Codec(_encode_single, _decode_float),
    Kind.BOOLEAN: Codec(_encode_boolean, _decode_boolean),
    Kind.TEXT: Codec(_encode_text, str),
    Kind.PADDED: Codec(_encode_padded, str),
    Kind.BYTES: Codec(_encode_bytes, _decode_bytes),
    Kind.TIMESTAMP: Codec(_encode_timestamp, _decode_timestamp),
    Kind.LOCAL_TIMESTAMP: Codec(_encode_moment, _decode_moment),
    Kind.DATE: Codec(_date, _date),
    Kind.TIME: Codec(_encode_time, _decode_time),
    Kind.INTERVAL: Codec(_encode_interval, _decode_interval),
    Kind.JSON: Codec(_encode_document, _decode_document),
    Kind.OTHER: Codec(_encode_text, str),
}
