"""The asynchronous door of searches: the same methods, awaited."""

from __future__ import annotations

from typing import Generic, TypeVar

from tenantry.search.core import Search
from tenantry.session.aio import Face, through

M = TypeVar("M")


class AsyncSearch(Face[Search[M]], Generic[M]):
    """The awaited face of a ``Search``; reach it through ``search.aio``."""

    query = through(Search.query)
    similar = through(Search.similar)
