"""Which places every run tries, and which only a long one."""

from __future__ import annotations

from typing import Any

import pytest
from cells import PLACES, SYNC_PLACES, Place

_AWAITED = (
    Place("postgresql-rows", "psycopg"),
    Place("postgresql-rows", "asyncpg"),
    Place("sqlite-rows", "aiosqlite"),
)
_QUICK = (*SYNC_PLACES, *_AWAITED)
# Every cell in every run, and every cell through every door in a soak.
EVERYWHERE: list[Any] = [
    pytest.param(place, marks=() if place in _QUICK else (pytest.mark.soak,), id=str(place)) for place in PLACES
]
