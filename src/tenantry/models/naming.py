"""Names of constraints: one convention for every table, no longer than PostgreSQL keeps."""

from __future__ import annotations

import hashlib
from typing import Final

from sqlalchemy import (
    CheckConstraint,
    Column,
    Constraint,
    ForeignKeyConstraint,
    Index,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    UniqueConstraint,
)
from sqlalchemy.schema import conv

from tenantry.models.ownership import TENANT_COLUMN

# PostgreSQL cuts an identifier after 63 bytes without an error, so two long names can become one.
LONGEST_NAME: Final = 63


def shortened(name: str, *, longest: int = LONGEST_NAME) -> str:
    """Returns *name*, or its beginning and a digest of the whole where it is longer than *longest* bytes."""
    if len(name.encode()) <= longest:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{name.encode()[: longest - 9].decode(errors='ignore')}_{digest}"


def conventional_name(constraint: Constraint | Index, table: Table) -> str:
    """Returns the name that a constraint or an index without one gets; lifting does not change it."""
    if isinstance(constraint, PrimaryKeyConstraint):
        return shortened(f"pk_{table.name}")
    if isinstance(constraint, CheckConstraint):
        return shortened(f"ck_{table.name}_{_digest(constraint)}")
    kinds = {UniqueConstraint: "uq", ForeignKeyConstraint: "fk", Index: "ix"}
    prefix = next((short for kind, short in kinds.items() if isinstance(constraint, kind)), "ex")
    return shortened(f"{prefix}_{table.name}_{_own_columns(constraint)}")


# One callable token names everything: the stock tokens would call every lifted key after its first column, tenant_id.
naming_convention: Final = {
    "pk": "%(conventional_name)s",
    "uq": "%(conventional_name)s",
    "fk": "%(conventional_name)s",
    "ix": "%(conventional_name)s",
    "ck": "%(conventional_name)s",
    "conventional_name": conventional_name,
}


def name_constraints(table: Table) -> None:
    """Names what on *table* has no name yet, and gives the metadata the convention if it has none of its own."""
    if dict(table.metadata.naming_convention) == dict(MetaData().naming_convention):
        table.metadata.naming_convention = naming_convention  # type: ignore[assignment]  # the stubs say immutabledict
    if table.metadata.naming_convention is not naming_convention:
        return
    for constraint in table.constraints:
        if constraint.name is None:
            constraint.name = conv(conventional_name(constraint, table))


def _own_columns(constraint: Constraint | Index) -> str:
    columns: list[Column[object]] = list(getattr(constraint, "columns", ()))
    own = [column.name for column in columns if column.name != TENANT_COLUMN]
    return "_".join(own or [TENANT_COLUMN])


def _digest(constraint: CheckConstraint) -> str:
    return hashlib.sha256(str(constraint.sqltext).encode()).hexdigest()[:8]
