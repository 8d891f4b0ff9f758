"""The fluent part of a query, which sends nothing and is the same in both doors."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Sequence
from typing import Any, Generic, Self, TypeVar

from sqlalchemy import ColumnExpressionArgument
from sqlalchemy.orm import InstrumentedAttribute

from tenantry.repository import building
from tenantry.repository.building import OrderBy, Selection
from tenantry.repository.pages import check_bound

M = TypeVar("M")


class Refining(Generic[M]):
    """A selection of rows that each step narrows; a step returns a new query and leaves the old one as it was."""

    _selection: Selection[M]

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._selection.model.__name__}>"

    def where(self, *conditions: ColumnExpressionArgument[bool]) -> Self:
        """Keeps the rows for which every condition holds."""
        return self._with(where=(*self._selection.where, *conditions))

    filter = where

    def filter_by(self, **filters: Any) -> Self:
        """Keeps the rows whose named fields match: a value, None, any of a list; ``name__gte=`` and its like.

        Suffixes: ``ne lt lte gt gte contains startswith``; the last two disregard case.

        Raises: UnknownField, InvalidFilter.
        """
        return self.where(*building.filters(self._selection.model, filters))

    def search(self, text: str, fields: str | Sequence[str | InstrumentedAttribute[Any]]) -> Self:
        """Keeps the rows one of whose *fields* holds *text* as it stands, whatever its case; blank text keeps all.

        Raises: UnknownField, InvalidFilter.
        """
        names = (fields,) if isinstance(fields, str) else fields
        return self.where(*building.search(self._selection.model, text, fields=names))

    def include_deleted(self) -> Self:
        """Keeps the rows that were soft-deleted too, which are hidden otherwise."""
        return self._with(hidden=True)

    def order_by(self, *terms: OrderBy) -> Self:
        """Orders by fields (``"-created_at"``: the latest first) or expressions, after the terms given before.

        The row's key decides between equals; a missing value counts as the greatest.

        Raises: UnknownField.
        """
        return self._with(order=(*self._selection.order, *building.order_terms(self._selection.model, terms)))

    def limit(self, count: int | None) -> Self:
        """Keeps the first *count* rows.

        Raises: InvalidPage for a number below 0.
        """
        check_bound("limit", count)
        return self._with(limit=count)

    def offset(self, count: int | None) -> Self:
        """Leaves out the first *count* rows.

        Raises: InvalidPage for a number below 0.
        """
        check_bound("offset", count)
        return self._with(offset=count)

    def _with(self, **changes: Any) -> Self:
        refined = copy.copy(self)
        refined._selection = dataclasses.replace(self._selection, **changes)
        return refined
