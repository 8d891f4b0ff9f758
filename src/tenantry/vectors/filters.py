"""What narrows a search: names in the metadata that must have a value, or one of several."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Column, ColumnElement, String, and_, cast, func, literal, or_
from sqlalchemy.dialects.postgresql import JSONB

from tenantry.errors import SearchRefused
from tenantry.vectors.protocols import Where

_KINDS: Final = {str: ("text",), bool: ("true", "false"), int: ("integer", "real"), float: ("integer", "real")}
_BEYOND: Final = 2**63
_UNUSABLE: Final = frozenset('"\\\0')


def conditions(column: Column[Any], where: Where, *, postgresql: bool) -> list[ColumnElement[bool]]:
    """Returns the conditions on a column of metadata.

    Raises: SearchRefused.
    """
    holds = _holds_jsonb if postgresql else _holds_json
    return [or_(*(holds(column, name, value) for value in values)) for name, values in checked(where)]


def checked(where: Where) -> list[tuple[str, Sequence[Any]]]:
    """Returns each name with the values that it may have.

    Raises: SearchRefused.
    """
    return [(_name(name), _values(name, value)) for name, value in where.items()]


def _name(name: Any) -> str:
    if not isinstance(name, str) or not name or _UNUSABLE & set(name):
        raise SearchRefused(what=repr(name), reason="that is no plain name.")
    return name


def _values(name: str, value: Any) -> Sequence[Any]:
    values = value if isinstance(value, list | tuple | set | frozenset) else [value]
    if not values:
        raise SearchRefused(what=repr(name), reason="the list of its values is empty.")
    for each in values:
        if not _usable(each):
            raise SearchRefused(what=repr(name), reason=f"a {type(each).__name__} such as this cannot be compared.")
    return list(values)


def _usable(value: Any) -> bool:
    if value is None or type(value) not in _KINDS:
        return value is None
    if isinstance(value, str):
        return "\0" not in value
    # A larger number SQLite cannot be asked for at all.
    return math.isfinite(value) if isinstance(value, float) else -_BEYOND <= value < _BEYOND


def _holds_jsonb(column: Column[Any], name: str, value: Any) -> ColumnElement[bool]:
    return cast(column, JSONB).contains(cast(literal(json.dumps({name: value}), String()), JSONB))


def _holds_json(column: Column[Any], name: str, value: Any) -> ColumnElement[bool]:
    path = f'$."{name}"'
    kind = func.json_type(column, path, type_=String())
    if value is None:
        return kind == "null"
    if isinstance(value, bool):
        return kind == json.dumps(value)
    return and_(kind.in_(_KINDS[type(value)]), func.json_extract(column, path) == value)
