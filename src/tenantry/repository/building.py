"""Statements built out of models, names and values; nothing here sends one."""

from __future__ import annotations

import operator
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from sqlalchemy import (
    ColumnElement,
    ColumnExpressionArgument,
    Select,
    UnaryExpression,
    and_,
    false,
    func,
    literal,
    not_,
    or_,
    select,
    tuple_,
)
from sqlalchemy.orm import InstrumentedAttribute, class_mapper
from sqlalchemy.orm.interfaces import ORMOption
from sqlalchemy.sql import operators

from tenantry.errors import InvalidFilter, InvalidPage
from tenantry.models import TENANT_COLUMN
from tenantry.models.soft_delete import INCLUDE_DELETED
from tenantry.repository.fields import Field, Use, field, fit, is_walled, key_fields

M = TypeVar("M")

OrderBy = str | ColumnExpressionArgument[Any]
Conditions = tuple[ColumnElement[bool], ...]

_MANY: Final = (list, tuple, set, frozenset)


@dataclass(frozen=True, slots=True)
class Term:
    """One term of an ordering; *field* is None where it is an expression of the application's."""

    expression: Any
    field: Field | None = None
    descending: bool = False

    @property
    def nullable(self) -> bool:
        """Whether a row may have no value there."""
        return self.field is None or bool(getattr(_column(self.field), "nullable", True))

    @property
    def clause(self) -> ColumnElement[Any]:
        """The term as SQL; a missing value counts as the greatest on every database."""
        if self.field is None:
            return self.expression  # type: ignore[no-any-return]  # whatever order_by() takes
        ordered: ColumnElement[Any] = self.field.desc() if self.descending else self.field.asc()
        if self.nullable:
            ordered = ordered.nulls_first() if self.descending else ordered.nulls_last()
        return ordered


@dataclass(frozen=True, slots=True)
class Selection(Generic[M]):
    """Which rows of a model are meant, in which order; *hidden* adds those that were soft-deleted."""

    model: type[M]
    where: Conditions = ()
    order: tuple[Term, ...] = ()
    limit: int | None = None
    offset: int | None = None
    options: Sequence[ORMOption] = ()
    hidden: bool = False


def rows(selection: Selection[M]) -> Select[Any]:
    """Returns the statement that reads the selected rows; the key decides between equals."""
    statement = select(selection.model).where(*selection.where)
    statement = statement.order_by(*(term.clause for term in with_key(selection)))
    if selection.limit is not None:
        statement = statement.limit(selection.limit)
    if selection.offset:
        statement = statement.offset(selection.offset)
    return _asked(selection, statement.options(*selection.options))


def unbounded(selection: Selection[M]) -> Selection[M]:
    """Lets a selection pass that pages may cut.

    Raises: InvalidPage for one that has a limit or an offset of its own.
    """
    if selection.limit is not None or selection.offset is not None:
        raise InvalidPage(reason="the query has a limit or an offset of its own.")
    return selection


def number_of_rows(selection: Selection[Any]) -> Select[Any]:
    """Returns the statement that counts the selected rows."""
    if selection.limit is None and not selection.offset:
        return _asked(selection, select(func.count()).select_from(selection.model).where(*selection.where))
    return _asked(selection, select(func.count()).select_from(_keys(selection).subquery()))


def any_row(selection: Selection[Any]) -> Select[Any]:
    """Returns the statement that answers with one row if there is a selected one."""
    found = _keys(selection).limit(_least(selection.limit, 1))
    return _asked(selection, select(literal(True)).select_from(found.subquery()))


def at_most(selection: Selection[M], count: int) -> Select[Any]:
    """Returns the statement that reads the first *count* of the selected rows."""
    return rows(selection).limit(_least(selection.limit, count))


def with_key(selection: Selection[Any]) -> tuple[Term, ...]:
    """Returns the ordering with the row's own key at its end, so that no two rows are equal.

    The key follows the direction of the term before it, as one index serves both that way.
    """
    named = {term.field.key for term in selection.order if term.field is not None}
    descending = bool(selection.order) and selection.order[-1].descending
    lacking = [key for key in key_fields(selection.model) if key.key not in named]
    return (*selection.order, *(Term(key, key, descending) for key in lacking))


def order_terms(model: type[Any], given: Sequence[OrderBy]) -> tuple[Term, ...]:
    """Returns an ordering from names (``"-created_at"`` for the latest first) and expressions.

    Raises: UnknownField.
    """
    return tuple(_named_term(model, item) if isinstance(item, str) else _expressed_term(model, item) for item in given)


def in_order(given: OrderBy | Sequence[OrderBy]) -> Sequence[OrderBy]:
    """Returns one or several terms of an ordering as several."""
    return given if isinstance(given, list | tuple) else (given,)


def filters(model: type[Any], given: Mapping[str, Any]) -> Conditions:
    """Returns conditions from names and values.

    A plain value means equality, None means NULL, a list, tuple or set means any of these. A suffix means more:
    ``__ne``, ``__lt``, ``__lte``, ``__gt``, ``__gte``; for text, whatever its case, ``__contains``, ``__startswith``.

    Raises: UnknownField, InvalidFilter.
    """
    return tuple(_filter(model, name, value) for name, value in given.items())


def search(model: type[Any], text: str, *, fields: Sequence[str | Field]) -> Conditions:
    """Returns the condition that one of the fields holds *text*, whatever its case; blank text asks nothing.

    Raises: UnknownField, InvalidFilter.
    """
    if not text.strip():
        return ()
    found = [field(model, name if isinstance(name, str) else name.key, use=Use.SEARCH) for name in fields]
    return (or_(false(), *(_contains(attribute, text) for attribute in found)),)


def beyond(terms: Sequence[Term], values: Sequence[Any]) -> ColumnElement[bool]:
    """Returns the condition that a row comes after the one that had these values."""
    if len({term.descending for term in terms}) == 1 and not any(term.nullable for term in terms):
        return _beyond_as_row(terms, values)
    fields = [term.field for term in terms]
    steps = [
        and_(*map(_equals, fields[:depth], values), _past(term, value))
        for depth, (term, value) in enumerate(zip(terms, values, strict=True))
    ]
    return or_(*steps)


def _beyond_as_row(terms: Sequence[Term], values: Sequence[Any]) -> ColumnElement[bool]:
    # An index serves a comparison of rows from where it starts; it does not serve the same thing spelt out with OR.
    fields = [term.field for term in terms if term.field is not None]
    held = tuple_(*(literal(value, attribute.type) for attribute, value in zip(fields, values, strict=True)))
    return tuple_(*fields) < held if terms[0].descending else tuple_(*fields) > held


def _past(term: Term, value: Any) -> ColumnElement[bool]:
    attribute: Any = term.field
    if value is None:
        present: ColumnElement[bool] = attribute.is_not(None)
        return present if term.descending else false()
    after: ColumnElement[bool] = attribute < value if term.descending else attribute > value
    return or_(after, attribute.is_(None)) if term.nullable and not term.descending else after


def _asked(selection: Selection[Any], statement: Select[Any]) -> Select[Any]:
    return statement.execution_options(**{INCLUDE_DELETED: True}) if selection.hidden else statement


def _keys(selection: Selection[Any]) -> Select[Any]:
    statement = select(*key_fields(selection.model)).select_from(selection.model).where(*selection.where)
    if selection.limit is not None or selection.offset:
        statement = statement.limit(selection.limit).offset(selection.offset)
    return statement


def _least(limit: int | None, count: int) -> int:
    return count if limit is None else min(limit, count)


def _named_term(model: type[Any], name: str) -> Term:
    attribute = field(model, name.removeprefix("-"), use=Use.SORT)
    return Term(attribute, attribute, name.startswith("-"))


def _expressed_term(model: type[Any], given: Any) -> Term:
    """A plain column, with or without a direction, is as good as its name: it can be paged by."""
    if isinstance(given, InstrumentedAttribute):
        return _attribute_term(model, given, given)
    if isinstance(given, UnaryExpression) and given.modifier in (operators.asc_op, operators.desc_op):
        return _attribute_term(model, given, given.element, descending=given.modifier is operators.desc_op)
    return Term(given)


def _attribute_term(model: type[Any], given: Any, element: Any, *, descending: bool = False) -> Term:
    column = element.__clause_element__() if hasattr(element, "__clause_element__") else element
    mapper = class_mapper(model)
    own = next((key for key in mapper.column_attrs if any(column.compare(own) for own in key.columns)), None)
    if own is None or (is_walled(model) and own.key == TENANT_COLUMN):
        return Term(given, descending=descending)
    return Term(given, getattr(model, own.key), descending)


def _filter(model: type[Any], name: str, value: Any) -> ColumnElement[bool]:
    plain, mark, word = name.rpartition("__")
    if mark and plain and word in _OPERATORS:
        return _OPERATORS[word](field(model, plain, use=Use.COMPARE), value)
    return _equals(field(model, name, use=Use.FILTER), value)


def _equals(attribute: Any, value: Any) -> ColumnElement[bool]:
    if isinstance(value, _MANY):
        return _any_of(attribute, value)
    return attribute.is_(None) if value is None else attribute == fit(attribute, value)  # type: ignore[no-any-return]  # a column's comparison


def _any_of(attribute: Any, values: Collection[Any]) -> ColumnElement[bool]:
    held = [fit(attribute, value) for value in values if value is not None]
    return or_(attribute.in_(held), attribute.is_(None) if len(held) < len(values) else false())


def _differs(attribute: Any, value: Any) -> ColumnElement[bool]:
    same = _equals(attribute, value)
    names_missing = value is None or (isinstance(value, _MANY) and None in value)
    # SQL's <> forgets rows without a value, and they differ too.
    return not_(same) if names_missing else or_(not_(same), attribute.is_(None))


def _ordered(compare: Callable[[Any, Any], Any]) -> Callable[[Any, Any], ColumnElement[bool]]:
    def condition(attribute: Any, value: Any) -> ColumnElement[bool]:
        return compare(attribute, fit(attribute, _single(attribute, value)))  # type: ignore[no-any-return]  # as above

    return condition


def _contains(attribute: Any, value: Any) -> ColumnElement[bool]:
    return attribute.icontains(_text(attribute, value), autoescape=True)  # type: ignore[no-any-return]  # as above


def _startswith(attribute: Any, value: Any) -> ColumnElement[bool]:
    return attribute.istartswith(_text(attribute, value), autoescape=True)  # type: ignore[no-any-return]  # as above


def _text(attribute: Any, value: Any) -> str:
    field(attribute.class_, attribute.key, use=Use.SEARCH)
    if not isinstance(value, str):
        raise InvalidFilter(
            model=attribute.class_.__name__, name=attribute.key, reason="it is searched for text alone."
        )
    return str(fit(attribute, value))


def _single(attribute: Any, value: Any) -> Any:
    if value is None or isinstance(value, _MANY):
        reason = "less and greater need one value, neither None nor several."
        raise InvalidFilter(model=attribute.class_.__name__, name=attribute.key, reason=reason)
    return value


def _column(attribute: Field) -> Any:
    return attribute.property.columns[0]


_OPERATORS: Final[dict[str, Callable[[Any, Any], ColumnElement[bool]]]] = {
    "ne": _differs,
    "lt": _ordered(operator.lt),
    "lte": _ordered(operator.le),
    "gt": _ordered(operator.gt),
    "gte": _ordered(operator.ge),
    "contains": _contains,
    "startswith": _startswith,
}
