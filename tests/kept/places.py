"""Which places every run tries, and which only a long one."""

from __future__ import annotations

import pytest
from cells import PLACES, SYNC_PLACES, Place

_AWAITED = (Place("postgresql-rows", "asyncpg"), Place("sqlite-rows", "aiosqlite"))
_QUICK = (*SYNC_PLACES, *_AWAITED)


def everywhere(name: str, *, indirect: bool = False) -> pytest.MarkDecorator:
    """Returns the mark by which a test is run at each place: all cells, and through every door in a soak."""
    marks = {place: () if place in _QUICK else (pytest.mark.soak,) for place in PLACES}
    params = [pytest.param(place, marks=given, id=str(place)) for place, given in marks.items()]
    return pytest.mark.parametrize(name, params, indirect=indirect)
