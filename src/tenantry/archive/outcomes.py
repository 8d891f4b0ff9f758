"""What verifications, restores and comparisons tell when they are done; of a backup the catalog tells."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tenantry.types import Tenant


@dataclass(frozen=True, slots=True)
class Verified:
    """An archive that was restored into a scratch place and found equal there."""

    name: str
    tenant: uuid.UUID
    rows: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Restored:
    """A tenant that has the rows of an archive; *kept* is the archive of what it had before, if it had anything."""

    tenant: Tenant
    archive: str
    rows: Mapping[str, int]
    kept: str | None = None
    # The outside names that found the tenant the archive is of; a new tenant gets none of them.
    identities: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True, slots=True)
class TableDifference:
    """How one table differs from an archive: rows that only one of them has, rows that changed, some of the keys."""

    table: str
    only_archived: int
    only_live: int
    changed: int
    examples: Sequence[str]


@dataclass(frozen=True, slots=True)
class Difference:
    """How a tenant's rows differ from an archive; without tables where both are equal."""

    name: str
    tenant: uuid.UUID
    tables: Sequence[TableDifference]

    def __bool__(self) -> bool:
        return bool(self.tables)
