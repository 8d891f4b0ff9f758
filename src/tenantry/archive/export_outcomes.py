"""What an export tells when it is written."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from pathlib import Path

from tenantry.types import Tenant


@dataclass(frozen=True, slots=True)
class TableExport:
    """One file of an export: the table, its rows, its columns, and those left out because they hold secrets."""

    table: str
    file: str
    rows: int
    columns: tuple[str, ...]
    left_out: tuple[str, ...]
    sha256: str


@dataclass(frozen=True, slots=True)
class Exported:
    """An export that is written whole."""

    place: Path
    tenant: Tenant
    form: str
    taken_at: datetime.datetime
    person: bool
    tables: tuple[TableExport, ...]

    @property
    def rows(self) -> int:
        """How many rows there are in all."""
        return sum(table.rows for table in self.tables)
