"""Adds the column low_confidence_warning to the messages of every company that lacks it."""

from __future__ import annotations

from pathlib import Path

from tenantry.packs.assistant import door, get_database_path, migrate_add_low_confidence_warning


def migrate_database(db_path: str | Path) -> None:
    """Adds it in one company's file, unless it is there."""
    if migrate_add_low_confidence_warning(db_path):
        print("✓ Added low_confidence_warning column")


if __name__ == "__main__":
    for company in door.pack.companies.list(limit=100_000):
        migrate_database(get_database_path(company.database_name))
    door.reset()
