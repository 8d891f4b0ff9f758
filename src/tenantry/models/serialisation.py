"""Rows as plain dictionaries: JSON-safe, and without secrets."""

from __future__ import annotations

import base64
import datetime
import decimal
import enum
import re
import uuid
from collections.abc import Collection, Mapping
from typing import Any, Final

from sqlalchemy import Column
from sqlalchemy.orm import ColumnProperty, object_mapper
from sqlalchemy.orm.base import instance_state

# In Column.info: {"secret": True} keeps a column out of to_dict(), {"secret": False} lets a likely name in.
SECRET: Final = "secret"  # noqa: S105  # the name of a mark, not a secret
LIKELY_SECRET: Final = re.compile(
    r"(?:^|_)(?:password|passwd|passphrase|secret|token|api_key|private_key|credentials?)"
    r"(?:_(?:hash|digest|salt|encrypted|ciphertext))?$",
    re.IGNORECASE,
)


def to_dict(row: object, *, exclude: Collection[str] = (), reveal: Collection[str] = ()) -> dict[str, Any]:
    """Returns the columns of a mapped object as JSON-safe values.

    Secrets (``info={"secret": True}``, or a name such as ``password_hash``) are left out unless *reveal* names them;
    so are deferred columns that are not loaded.
    """
    return {
        attribute.key: json_safe(getattr(row, attribute.key))
        for attribute in object_mapper(row).column_attrs
        if attribute.key not in exclude
        and (attribute.key in reveal or not is_secret(attribute))
        and not _is_deferred(row, attribute)
    }


def json_safe(value: Any) -> Any:
    """Returns *value* in terms that ``json.dumps`` accepts; what it does not know becomes text."""
    if isinstance(value, enum.Enum):
        return json_safe(value.value)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Mapping):
        return {str(key): json_safe(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [json_safe(item) for item in value]
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, datetime.timedelta):
        return value.total_seconds()
    if isinstance(value, uuid.UUID | decimal.Decimal):
        return str(value)
    return _from_array(value)


def _from_array(value: Any) -> Any:
    # Embeddings come back as numpy arrays, or as pgvector's own types.
    for method in ("tolist", "to_list"):
        if hasattr(value, method):
            return json_safe(getattr(value, method)())
    return str(value)


def is_secret(attribute: ColumnProperty[Any]) -> bool:
    """Returns whether a mapped column holds a secret, by its mark or else by its name."""
    column = attribute.columns[0]
    if isinstance(column, Column) and SECRET in column.info:
        return bool(column.info[SECRET])
    return LIKELY_SECRET.search(attribute.key) is not None


def _is_deferred(row: object, attribute: ColumnProperty[Any]) -> bool:
    return attribute.deferred and attribute.key in instance_state(row).unloaded
