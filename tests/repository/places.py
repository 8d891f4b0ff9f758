"""The cells, and the doors through which each is entered."""

from __future__ import annotations

from dataclasses import dataclass

POSTGRESQL_DOORS = ("sync", "psycopg", "asyncpg")
SQLITE_DOORS = ("sync", "aiosqlite")
CELLS = {
    "postgresql-rows": POSTGRESQL_DOORS,
    "postgresql-schema": POSTGRESQL_DOORS,
    "postgresql-database": POSTGRESQL_DOORS,
    "sqlite-file": SQLITE_DOORS,
    "sqlite-rows": SQLITE_DOORS,
}


@dataclass(frozen=True, slots=True)
class Place:
    """A cell and the door through which it is entered."""

    cell: str
    door: str

    def __str__(self) -> str:
        return f"{self.cell}-{self.door}"

    @property
    def postgresql(self) -> bool:
        return self.cell.startswith("postgresql")


PLACES = [Place(cell, door) for cell, doors in CELLS.items() for door in doors]
