"""The table in which a home records its revision: Alembic's own, for the owner alone."""

from __future__ import annotations

from typing import Final

VERSION_TABLE: Final = "alembic_version"

# As Alembic makes it, so that its own command finds nothing strange.
_CREATION: Final = (
    f"CREATE TABLE {VERSION_TABLE} (version_num VARCHAR(32) NOT NULL, "
    f"CONSTRAINT {VERSION_TABLE}_pkc PRIMARY KEY (version_num))"
)


def stamp_statements(head: str | None, *, closed_to: str = "") -> list[str]:
    """Returns what records *head* in a new home: nothing without one.

    *closed_to* are the PostgreSQL roles that an owner's default privileges must not let in.
    """
    if head is None:
        return []
    revision = head.replace("'", "''")
    closing = [f"REVOKE ALL ON {VERSION_TABLE} FROM {closed_to}"] if closed_to else []
    return [_CREATION, *closing, f"INSERT INTO {VERSION_TABLE} (version_num) VALUES ('{revision}')"]
