"""A row for people and programs elsewhere: a line of JSON, or a line of CSV that spreadsheets open without harm."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

from tenantry.archive.encoding import split
from tenantry.archive.shapes import ColumnShape, Kind

JSONL: Final = "jsonl"
CSV: Final = "csv"
FORMS: Final = (JSONL, CSV)

Row = tuple[bytes | None, ...]

_CHUNK: Final = 1 << 16
_NUMBER: Final = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?")
_MOMENT: Final = re.compile(r"(-?\d+-\d\d-\d\d) (\d\d:\d\d:\d\d(?:\.\d+)?)(\+00)?")
# What a spreadsheet takes for a formula.
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
_TO_QUOTE: Final = re.compile(r'[",\r\n]|^\s|\s$')
_WORDS: Final = frozenset({Kind.TEXT, Kind.PADDED, Kind.OTHER, Kind.JSON})


def lines(form: str, columns: Sequence[ColumnShape], shown: Sequence[int], chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yields canonical rows as lines of one of ``FORMS``, in chunks; *shown* are the positions of the columns in it."""
    written = _json_line if form == JSONL else _csv_line
    own = [columns[position] for position in shown]
    held: list[str] = [] if form == JSONL else [",".join(_quoted(column.name) for column in own) + "\r\n"]
    size = 0
    for row in split(chunks):
        line = written(own, [row[position] for position in shown])
        held.append(line)
        size += len(line)
        if size > _CHUNK:
            yield "".join(held).encode()
            held, size = [], 0
    yield "".join(held).encode()


def _json_line(columns: Sequence[ColumnShape], row: Sequence[bytes | None]) -> str:
    fields = zip(columns, row, strict=True)
    said = (f"{_string(column.name)}: {_as_json(column.kind, value)}" for column, value in fields)
    return "{" + ", ".join(said) + "}\n"


def _csv_line(columns: Sequence[ColumnShape], row: Sequence[bytes | None]) -> str:
    return ",".join(_as_csv(column.kind, value) for column, value in zip(columns, row, strict=True)) + "\r\n"


def _as_json(kind: Kind, value: bytes | None) -> str:
    if value is None:
        return "null"
    text = _plain(kind, value)
    if kind in (Kind.BOOLEAN, Kind.INTEGER, Kind.JSON):
        return text
    if kind in (Kind.FLOAT, Kind.SINGLE) and _NUMBER.fullmatch(text):
        return text
    return _string(text)


def _as_csv(kind: Kind, value: bytes | None) -> str:
    if value is None:
        return ""
    text = _plain(kind, value)
    if kind in _WORDS and text.startswith(_FORMULA):
        text = f"'{text}"
    return _quoted(text)


def _quoted(text: str) -> str:
    if not text or _TO_QUOTE.search(text):
        return '"' + text.replace('"', '""') + '"'
    return text


def _plain(kind: Kind, value: bytes) -> str:
    text = value.decode()
    change = _CHANGED.get(kind)
    return change(text) if change else text


def _bytes(text: str) -> str:
    return base64.b64encode(bytes.fromhex(text.removeprefix("\\x"))).decode()


def _moment(text: str) -> str:
    found = _MOMENT.fullmatch(text)
    # Infinity, and years before our era, stay as PostgreSQL says them.
    return text if found is None else f"{found[1]}T{found[2]}{'Z' if found[3] else ''}"


def _boolean(text: str) -> str:
    return "true" if text in ("t", "true") else "false"


_CHANGED: Final[dict[Kind, Callable[[str], str]]] = {
    Kind.BYTES: _bytes,
    Kind.TIMESTAMP: _moment,
    Kind.LOCAL_TIMESTAMP: _moment,
    Kind.BOOLEAN: _boolean,
}


def _string(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
