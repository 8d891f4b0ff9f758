"""The histories with which fleets are tried, by name; and the plain one written as Alembic scripts."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from tenantry.fleet.revisions import init
from tenantry.fleet.scripts import AlembicHistory

from .plain import DOWN, REVISIONS, UP, PlainHistory

HISTORIES: Final[dict[str, Any]] = {"plain": PlainHistory, "alembic": AlembicHistory}

SCRIPT = """from alembic import op

revision = {name!r}
down_revision = {before!r}


def upgrade() -> None:
    for statement in {up!r} if op.holds("tenant") else ():
        op.execute(statement)


def downgrade() -> None:
    for statement in {down!r} if op.holds("tenant") else ():
        op.execute(statement)
"""


def write_scripts(directory: Path) -> None:
    """Writes the revisions of the plain history as an Alembic scripts directory."""
    init(directory, app="shop:tenancy")
    versions = directory / "versions"
    for before, name in zip((None, *REVISIONS), REVISIONS, strict=False):
        up = (*UP[name], f"INSERT INTO ran VALUES ('{name}')", "UPDATE counter SET n = n + 1")
        text = SCRIPT.format(name=name, before=before, up=up, down=DOWN[name])
        (versions / f"{name}_plain.py").write_text(text)
