"""What stands in an SQLite file, by its own catalog: tables whose keys begin with the tenant, and their columns."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection

from tenantry.archive.shapes import Kind
from tenantry.archive.standing import StandingColumn, StandingTable
from tenantry.isolation.fencing_names import FENCE_TABLE
from tenantry.models import TENANT_COLUMN


def on_sqlite(connection: Connection, *, suffix: str) -> dict[str, StandingTable]:
    """Returns the walled tables of an SQLite file; they are stored with *suffix* after their names."""
    found = {}
    walled = connection.exec_driver_sql(_WALLED, (TENANT_COLUMN, FENCE_TABLE)).scalars().all()
    for stored in (name for name in walled if name.endswith(suffix)):
        question = "SELECT name, type, pk, hidden FROM pragma_table_xinfo(?)"
        rows = connection.exec_driver_sql(question, (stored,)).fetchall()
        columns = {column: _standing_column(column, declared, hidden) for column, declared, _, hidden in rows}
        key = tuple(column for place, column in sorted((row.pk, row.name) for row in rows if row.pk))
        name = stored.removesuffix(suffix)
        found[name] = StandingTable(name, columns, key)
    return found


# Their keys begin with the tenant.
_WALLED: Final = """
SELECT m.name FROM main.sqlite_master m, pragma_table_info(m.name) c
WHERE m.type = 'table' AND c.name = ? AND c.pk = 1 AND m.name <> ? ORDER BY 1
"""


# What a declared type says about a column that the models do not know. CHAR(32) may be a UUID or any other text: taken
# for a text it comes back as it was, and elsewhere it is found to differ.
_DECLARED: Final = {
    "INTEGER": Kind.INTEGER,
    "BIGINT": Kind.INTEGER,
    "SMALLINT": Kind.INTEGER,
    "BOOLEAN": Kind.BOOLEAN,
    "FLOAT": Kind.FLOAT,
    "DOUBLE": Kind.FLOAT,
    "REAL": Kind.FLOAT,
    "BLOB": Kind.BYTES,
    "DATETIME": Kind.TIMESTAMP,
    "TIMESTAMP": Kind.TIMESTAMP,
    "DATE": Kind.DATE,
    "TIME": Kind.TIME,
    "JSON": Kind.JSON,
}


def _standing_column(name: str, declared: str, hidden: int) -> StandingColumn:
    bare, _, size = declared.upper().rstrip(")").partition("(")
    kind = _DECLARED.get(declared.upper()) or _DECLARED.get(bare.strip())
    scale = None
    if bare.strip() in ("NUMERIC", "DECIMAL"):
        _, comma, digits = size.partition(",")
        kind, scale = Kind.NUMERIC, int(digits) if comma else (0 if size else None)
    return StandingColumn(name, kind or Kind.TEXT, scale, computed=hidden > 1)
