"""What stands in an ORM statement beside its entities, and so gets no predicate of the tenant."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from sqlalchemy import ColumnClause, Executable, Select, Table, TextClause
from sqlalchemy.sql.elements import ClauseElement
from sqlalchemy.sql.selectable import AliasedReturnsRows, TableClause, TextualSelect
from sqlalchemy.sql.visitors import HasTraverseInternals

from tenantry.models import is_walled

# What SQLAlchemy notes on the tables and columns of mapped classes and of their relationships' joins.
_MAPPED: Final = frozenset({"parententity", "parentmapper"})


def unscoped_part(statement: Executable) -> str | None:
    """Returns what of an ORM statement no predicate reaches, in words: text, or a table that is no entity."""
    return next(filter(None, map(_unscoped, _elements(statement))), None)


def _elements(statement: Executable) -> Iterator[Any]:
    """Yields the elements of a statement; what an entity stands for is its own affair."""
    waiting: list[Any] = [statement]
    while waiting:
        element = waiting.pop()
        yield element
        if not _is_mapped(element):
            waiting.extend(_children(element))
        elif isinstance(element, AliasedReturnsRows) and not isinstance(element.element, TableClause):
            waiting.append(element.element)


def _children(element: Any) -> Iterable[Any]:
    if isinstance(element, ColumnClause):
        return () if element.table is None else (element.table,)
    # A Select adds the tables of its columns, which have lost SQLAlchemy's note.
    return HasTraverseInternals.get_children(element) if isinstance(element, Select) else element.get_children()


def _is_mapped(element: ClauseElement) -> bool:
    return not _MAPPED.isdisjoint(element._annotations) or _is_relationship(element)


def _is_relationship(element: ClauseElement) -> bool:
    """Returns whether *element* is what a relationship joins on, tables of links included."""
    owner: Any = element._annotations.get("proxy_owner")
    return owner is not None and element._annotations.get("proxy_key") in owner.mapper.relationships


def _unscoped(element: Any) -> str | None:
    if isinstance(element, (TextClause, TextualSelect)):
        return "text inside an ORM statement"
    if isinstance(element, ColumnClause) and element.table is None and element.name != "*":
        return "a column without a table inside an ORM statement"
    if not isinstance(element, TableClause) or _is_mapped(element):
        return None
    # table("tickets") does not say whose it is.
    free = isinstance(element, Table) and not is_walled(element)
    return None if free else f"the table {element.name} inside an ORM statement"
