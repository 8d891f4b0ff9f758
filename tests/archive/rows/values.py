"""Values that one database or the other might get wrong, all of which both can hold."""

from __future__ import annotations

import datetime
import json
import random
import struct
import uuid
from collections.abc import Callable
from decimal import Decimal
from typing import Any

TEXTS = [
    "",
    " ",
    "\\",
    "\\N",
    "\\.",
    "NULL",
    "null",
    "\t",
    "\n",
    "\r\n",
    "a\tb\nc\\d\re\bf\fg\vh",
    "\x01\x02\x1b\x7f\x80\x85\u2028\u2029",
    "'\"`$$;--/* */ {0} %s %(a)s ${x}",
    "'; DROP TABLE things; --",
    "\ufeff\u200b\u202e",
    "e\u0301 é ß \u01c5 \u0130 \u0131",
    "\U0001f600\U0010ffff",
    "0",
    "1e5",
    "00000000-0000-0000-0000-000000000000",
    "\uff21" * 40,
    "z" * 40,
]
NAMES = [
    "",
    "a",
    "A",
    "b",
    "B",
    "_",
    "é",
    "e",
    "z",
    "Z",
    "\u00ff",
    "\U0001f600",
    "\ue000",
    "aa",
    "a b",
    "a\tb",
    "10",
    "9",
]
_TEXT_SIGNS = [*map(chr, range(1, 48)), "\\", "a", "é", "\u2028", "\U0001f600", "\x7f", "\x85"]
_MICROSECONDS = [0, 1, 10, 100_000, 120_000, 999_999]


def row(rng: random.Random) -> dict[str, Any]:
    """Returns the values of one row of ``things``; each is sometimes missing."""
    made = {name: make(rng) for name, make in _MAKERS.items() if rng.random() < 0.85}
    return {name: made.get(name) for name in _MAKERS}


def _text(rng: random.Random) -> str:
    if rng.random() < 0.5:
        return rng.choice(TEXTS)
    return "".join(rng.choices(_TEXT_SIGNS, k=rng.randrange(60)))


def double(rng: random.Random) -> float:
    """Returns any float but NaN."""
    chosen = rng.random()
    if chosen < 0.3:
        return rng.choice([0.0, -0.0, 1.0, -1.5, 1e15, 1e16, 5e-324, 1.7976931348623157e308, 0.1, 1 / 3, 2**53 + 2.0])
    if chosen < 0.6:
        return rng.uniform(-1, 1) * 10.0 ** rng.randint(-10, 22)
    (found,) = struct.unpack("d", rng.randbytes(8))
    return found if found == found else float("-inf")


def single(rng: random.Random) -> float:
    """Returns what four bytes hold exactly."""
    (found,) = struct.unpack("f", rng.randbytes(4))
    if found != found or rng.random() < 0.3:
        return rng.choice([0.0, -0.0, 1.5, -(2.0**24), 2.0**25 + 4, 1.0000001192092896])
    return float(found)


def _decimal(digits: int, scale: int) -> Callable[[random.Random], Decimal]:
    def make(rng: random.Random) -> Decimal:
        # SQLite has floats only, which hold fifteen digits.
        number = rng.choice([0, 1, -1, 10**digits - 1, rng.randrange(-(10**digits), 10**digits)])
        return Decimal(number).scaleb(-scale)

    return make


def _free(rng: random.Random) -> Decimal:
    return Decimal(rng.randrange(-(10**12), 10**12)).scaleb(rng.randint(-8, 2))


def document(rng: random.Random, depth: int = 0) -> Any:
    """Returns a JSON value of any shape."""
    kind = rng.randrange(4 if depth > 3 else 6)
    if kind == 0:
        return rng.choice([None, True, False])
    if kind == 1:
        return rng.choice([0, -1, 2**53, 10**25, 0.5, 1e-7, 1e22, -0.0, 1.10])
    if kind < 4:
        return _text(rng)
    if kind == 4:
        return [document(rng, depth + 1) for _ in range(rng.randrange(4))]
    return {rng.choice(NAMES): document(rng, depth + 1) for _ in range(rng.randrange(5))}


def _object(rng: random.Random) -> Any:
    return {"of": document(rng), "": rng.choice(TEXTS)}


def _date(rng: random.Random) -> datetime.date:
    first, last = datetime.date.min.toordinal(), datetime.date.max.toordinal()
    return datetime.date.fromordinal(rng.choice([first, last, rng.randint(first, last)]))


def _time(rng: random.Random) -> datetime.time:
    return datetime.time(rng.randrange(24), rng.randrange(60), rng.randrange(60), rng.choice(_MICROSECONDS))


def _local(rng: random.Random) -> datetime.datetime:
    return datetime.datetime.combine(_date(rng), _time(rng))


def _moment(rng: random.Random) -> datetime.datetime:
    return _local(rng).replace(tzinfo=datetime.UTC)


def _length(rng: random.Random) -> datetime.timedelta:
    days = rng.choice([0, 1, -1, 365, -400, rng.randint(-700_000, 2_900_000)])
    return datetime.timedelta(days=days, seconds=rng.randrange(86_400), microseconds=rng.choice(_MICROSECONDS))


def json_document(rng: random.Random) -> Any:
    """Returns a JSON value that survives a trip through SQLAlchemy: a bare None would be told from JSON's null."""
    found = document(rng)
    return [found] if found is None or isinstance(found, int | float) else json.loads(json.dumps(found))


_MAKERS: dict[str, Callable[[random.Random], Any]] = {
    "text": _text,
    "short": lambda rng: _text(rng)[:40],
    "padded": lambda rng: rng.choice(["", "ab", "abcde", "é"]),
    "kind": lambda rng: rng.choice(["red", "green"]),
    "flag": lambda rng: rng.random() < 0.5,
    "number": lambda rng: rng.choice([0, -(2**30), 2**30 - 1, rng.randrange(-1000, 1000)]),
    "price": _decimal(12, 2),
    "whole": _decimal(9, 0),
    "free": _free,
    "money": _decimal(14, 6),
    "ratio": double,
    "single": single,
    "data": lambda rng: rng.choice([b"", b"\x00", bytes(range(256)), rng.randbytes(rng.randrange(80)), b"\\x\n\t"]),
    "document": _object,
    "json": json_document,
    "day": _date,
    "time": _time,
    "moment": _moment,
    "local": _local,
    "length": _length,
    "own": lambda rng: uuid.UUID(bytes=rng.randbytes(16)),
}
