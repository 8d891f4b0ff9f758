"""EXISTS in ORM statements of SQLAlchemy 2.0, whose loader criteria do not reach into it; 2.1 needs none of this."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import sqlalchemy
from sqlalchemy import Alias, ColumnElement, Exists, Join, Select, Table
from sqlalchemy.sql.elements import ColumnClause
from sqlalchemy.sql.selectable import FromClause
from sqlalchemy.sql.visitors import ExternallyTraversible, iterate, replacement_traverse

from tenantry.models.soft_delete import DELETED_AT, is_soft

NEEDED: Final = sqlalchemy.__version__.startswith("2.0.")


def among_live(statement: Any) -> Any:
    """Returns a statement whose EXISTS ask for live rows, if it has any."""
    if any(isinstance(element, Exists) for element in iterate(statement)):
        return replacement_traverse(statement, {}, _replaced)
    return statement


def _replaced(element: ExternallyTraversible, **_: Any) -> Any:
    if isinstance(element, Exists):
        inner = next(found for found in iterate(element) if isinstance(found, Select))
        return among_live(inner).where(*_live(inner)).exists()
    # What entities stand for stays the same objects: a copy of an alias would be another.
    stays = isinstance(element, ColumnClause) or (isinstance(element, FromClause) and not isinstance(element, Select))
    return element if stays else None


def _live(inner: Select[Any]) -> Iterator[ColumnElement[bool]]:
    for source in inner.get_final_froms():
        for found in _ends(source):
            table = found.element if isinstance(found, Alias) else found
            if isinstance(table, Table) and is_soft(table):
                yield found.c[DELETED_AT].is_(None)


def _ends(source: FromClause) -> Iterator[FromClause]:
    if isinstance(source, Join):
        yield from _ends(source.left)
        yield from _ends(source.right)
    else:
        yield source
