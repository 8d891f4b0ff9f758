"""Names from outside, checked against the mapper, and values, checked against the column, before they become SQL."""

from __future__ import annotations

import contextlib
import datetime
import decimal
import enum
import uuid
from collections.abc import Callable, Iterable
from typing import Any, Final

from sqlalchemy import JSON, BigInteger, Column, DateTime, Enum, SmallInteger, String
from sqlalchemy.orm import ColumnProperty, InstrumentedAttribute, Mapper, SynonymProperty, class_mapper
from sqlalchemy.sql import ClauseElement
from sqlalchemy.types import TypeDecorator, TypeEngine

from tenantry.errors import InvalidFilter, UnknownField
from tenantry.ids import parse_uuid
from tenantry.models import TENANT_COLUMN, UTCDateTime, Walled
from tenantry.models.serialisation import is_secret

Field = InstrumentedAttribute[Any]


class Use(enum.Enum):
    """What a named field is wanted for; an error says it."""

    FILTER = "filtered by"
    COMPARE = "compared by an operator"
    SORT = "sorted by"
    SEARCH = "searched"
    WRITE = "upserted"
    SET = "set"


def field(model: type[Any], name: str, *, use: Use) -> Field:
    """Returns the mapped column called *name*.

    Raises: UnknownField for any other name, and for a column that is not fit for the use: a relationship, a document,
        or, for more than equality, a secret.
    """
    found = _find(class_mapper(model), name)
    if found is None or not _usable(found, use):
        raise UnknownField(model=model.__name__, name=name, use=use.value, known=", ".join(_known(model, use)))
    attribute: Field = getattr(model, found.key)
    return attribute


def check_settable(model: type[Any], names: Iterable[str]) -> None:
    """Lets names pass that a new or changed row may be given: columns and relationships.

    Raises: UnknownField.
    """
    attributes = class_mapper(model).attrs
    for name in names:
        if name not in attributes:
            known = ", ".join(attribute.key for attribute in attributes)
            raise UnknownField(model=model.__name__, name=name, use=Use.SET.value, known=known)


def key_fields(model: type[Any]) -> list[Field]:
    """Returns the columns of a row's own key: the primary key without the tenant."""
    mapper = class_mapper(model)
    columns = [column for column in mapper.primary_key if not (is_walled(model) and column.name == TENANT_COLUMN)]
    return [getattr(model, mapper.get_property_by_column(column).key) for column in columns]


def whole_key(model: type[Any], key: object) -> tuple[Any, ...] | None:
    """Returns a row's own or primary key as its columns take it, or None for one that no row can have."""
    parts = key if isinstance(key, tuple) else (key,)
    mapper = class_mapper(model)
    whole = [getattr(model, mapper.get_property_by_column(column).key) for column in mapper.primary_key]
    fields = next((fields for fields in (key_fields(model), whole) if len(fields) == len(parts)), None)
    if fields is None or None in parts:
        return None
    try:
        return tuple(map(fit, fields, parts))
    except InvalidFilter:
        return None


def is_walled(model: type[Any]) -> bool:
    """Returns whether each row of the model belongs to one tenant."""
    return issubclass(model, Walled)


def fit(attribute: Field, value: Any) -> Any:
    """Returns *value* as its column takes it; text that spells a UUID becomes one, SQL expressions stay.

    Raises: InvalidFilter for what no row can hold there, so that no database gets to see it.
    """
    if isinstance(value, ClauseElement | InstrumentedAttribute):
        return value
    kind = attribute.type
    wanted = python_type(kind)
    if wanted is uuid.UUID and isinstance(value, str):
        value = parse_uuid(value) or value
    reason = _misfit(kind, wanted, value)
    if reason:
        raise InvalidFilter(model=attribute.class_.__name__, name=attribute.key, reason=reason)
    return value


def python_type(kind: TypeEngine[Any]) -> type[Any] | None:
    """Returns what values of a column are in Python, or None if its type does not say."""
    with contextlib.suppress(NotImplementedError):  # so types answer whose values have no one class in Python
        return _plain(kind).python_type
    return None


def _find(mapper: Mapper[Any], name: str) -> ColumnProperty[Any] | None:
    found = mapper.attrs.get(name)
    if isinstance(found, SynonymProperty):
        found = mapper.attrs.get(found.name)
    return found if isinstance(found, ColumnProperty) else None


def _known(model: type[Any], use: Use) -> list[str]:
    return [attribute.key for attribute in class_mapper(model).column_attrs if _usable(attribute, use)]


def _usable(attribute: ColumnProperty[Any], use: Use) -> bool:
    kind = _plain(attribute.columns[0].type)
    if use is Use.WRITE:
        return isinstance(attribute.columns[0], Column)
    if isinstance(kind, JSON):
        return False
    # By order, range or part of a secret one could learn it bit by bit; equality tells no more than a guess.
    if use is not Use.FILTER and is_secret(attribute):
        return False
    if use is Use.SORT:
        return attribute.key != TENANT_COLUMN
    return use is not Use.SEARCH or (isinstance(kind, String) and not isinstance(kind, Enum))


def _plain(kind: TypeEngine[Any]) -> TypeEngine[Any]:
    return kind.impl_instance if isinstance(kind, TypeDecorator) else kind


def _misfit(kind: TypeEngine[Any], wanted: type[Any] | None, value: Any) -> str | None:
    if isinstance(value, str) and not _storable(value):
        return "it is no text that a database can keep."
    # What another application's type takes, only that type knows.
    if wanted is None or (isinstance(kind, TypeDecorator) and not isinstance(kind, UTCDateTime)):
        return None
    if _accepts(kind, wanted, value):
        return None
    return f"it takes {_described(kind, wanted)}, and this is {type(value).__name__}."


def _accepts(kind: TypeEngine[Any], wanted: type[Any], value: Any) -> bool:
    if isinstance(kind, Enum):
        return value in kind.enums or (wanted is not str and isinstance(value, wanted))
    judge = _JUDGES.get(wanted)
    return judge(kind, value) if judge else isinstance(value, wanted)


def _is_integer(kind: TypeEngine[Any], value: object) -> bool:
    bits = 63 if isinstance(kind, BigInteger) else 15 if isinstance(kind, SmallInteger) else 31
    return isinstance(value, int) and not isinstance(value, bool) and -(1 << bits) <= value < 1 << bits


def _is_number(_: TypeEngine[Any], value: object) -> bool:
    return isinstance(value, int | float | decimal.Decimal) and not isinstance(value, bool)


def _is_time(kind: TypeEngine[Any], value: object) -> bool:
    if not isinstance(value, datetime.datetime):
        return False
    if isinstance(kind, UTCDateTime):
        return value.utcoffset() is not None
    return value.utcoffset() is None or (isinstance(kind, DateTime) and kind.timezone)


def _is_date(_: TypeEngine[Any], value: object) -> bool:
    return isinstance(value, datetime.date) and not isinstance(value, datetime.datetime)


_JUDGES: Final[dict[type[Any], Callable[[TypeEngine[Any], object], bool]]] = {
    int: _is_integer,
    float: _is_number,
    decimal.Decimal: _is_number,
    datetime.datetime: _is_time,
    datetime.date: _is_date,
}


def _described(kind: TypeEngine[Any], wanted: type[Any]) -> str:
    zone = " with a time zone" if isinstance(kind, UTCDateTime) else ""
    return f"{wanted.__name__}{zone}"


def _storable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\x00" not in text
