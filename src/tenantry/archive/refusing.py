"""What a database said no to while rows were carried, in our words; never with what stands in a row."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from typing import Any, Final

from tenantry.archive.encoding import Unwritable
from tenantry.archive.shapes import ColumnShape, Kind, TableShape
from tenantry.errors import ArchiveError, BackupFiltered, PlaceUnfit, RowRefused
from tenantry.types import Tenant

try:
    import psycopg
except ImportError:  # then there is no PostgreSQL to say no
    psycopg = None  # type: ignore[assignment]

_UNTRANSLATABLE: Final = "22P05"
_PRIVILEGE: Final = "42501"
_ABSENT: Final = ("42P01", "42703", "3F000")
# Where PostgreSQL says which row of a COPY it was: line 3 of a table, with a column where one is to blame.
_PLACE: Final = re.compile(r"line (\d+)(?:, column ([^:]+))?")
# Of these the first line names a constraint or a limit; that of others may quote the value.
_SAYS_NO_VALUE: Final = ("23", "22001", "22003")


@contextlib.contextmanager
def reading_refused(tenant: Tenant, shape: TableShape) -> Iterator[None]:
    """Has a ``with`` block's errors from PostgreSQL say what could not be read.

    Raises: RowRefused, BackupFiltered, PlaceUnfit, ArchiveError.
    """
    try:
        yield
    except psycopg.DatabaseError as error:
        raise _unread(error, tenant, shape) from error


def _unread(error: psycopg.DatabaseError, tenant: Tenant, shape: TableShape) -> ArchiveError:
    if error.sqlstate == _UNTRANSLATABLE:
        documents = [column.name for column in shape.columns if column.kind is Kind.JSON]
        reason = "a document holds \\u0000, which jsonb and SQLite do not take"
        return RowRefused(table=shape.name, column=" or ".join(documents), key="unknown", reason=reason)
    return _refused(error, tenant, shape)


def filtered(tenant: Tenant, reason: str) -> BackupFiltered:
    """Returns the error of a role that does not see every row."""
    fix = "Give the operator's login as operator_url=, or the owner's, and run `tenantry install`."
    return BackupFiltered(tenant=tenant.id, reason=reason, fix=fix)


def unfit(
    tenant: Tenant, reason: str, *, fix: str = "Bring it to the revision of the rows with the fleet."
) -> PlaceUnfit:
    """Returns the error of a place that lacks what the rows need."""
    return PlaceUnfit(tenant=tenant.id, reason=reason, fix=fix)


@contextlib.contextmanager
def writing_refused(tenant: Tenant, shape: TableShape) -> Iterator[None]:
    """Has a ``with`` block's errors from PostgreSQL say what could not be written.

    Raises: RowRefused, BackupFiltered, PlaceUnfit, ArchiveError.
    """
    try:
        yield
    except psycopg.DatabaseError as error:
        raise _unwritten(error, tenant, shape) from error


def _unwritten(error: psycopg.DatabaseError, tenant: Tenant, shape: TableShape) -> Exception:
    state = error.sqlstate or ""
    if not state.startswith(("22", "23")):
        return _refused(error, tenant, shape)
    place = _PLACE.search(error.diag.context or "")
    number, column = (place[1], place[2]) if place else (None, None)
    said = (error.diag.message_primary or "") if state.startswith(_SAYS_NO_VALUE) else type(error).__name__
    return RowRefused(
        table=shape.name,
        column=column or error.diag.column_name or error.diag.constraint_name or "unknown",
        key=f"number {number}" if number else "unknown",
        reason=said,
    )


def _refused(error: psycopg.DatabaseError, tenant: Tenant, shape: TableShape) -> ArchiveError:
    said = error.diag.message_primary or type(error).__name__
    if error.sqlstate == _PRIVILEGE:
        return filtered(tenant, f"{said}.")
    if error.sqlstate in _ABSENT:
        return unfit(tenant, f"{said}.")
    return ArchiveError(
        what=f"Table {shape.name} of tenant {tenant.id}: {said}.", fix="Remove the cause and begin again."
    )


def not_canonical(shape: TableShape, error: Exception) -> ArchiveError:
    """Returns the error of bytes that are no rows of this table."""
    reason = error if isinstance(error, Unwritable) else "bytes that are no UTF-8"
    return ArchiveError(what=f"What was given as rows of {shape.name} is none: {reason}.", fix="Take another archive.")


def row_refused(shape: TableShape, column: ColumnShape, key: Any, error: Exception) -> RowRefused:
    """Returns the error of a value that cannot be carried."""
    # What Python says of a value quotes it.
    reason = str(error) if isinstance(error, Unwritable) else f"what stands there is no {column.kind}"
    return RowRefused(table=shape.name, column=column.name, key=key, reason=reason)
