"""The archive's operations in the journal: begun, looked at, and what the crashed ones left swept away."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable, Collection, Iterator
from typing import Any, Final

from tenantry.archive.scratch import sweep_scratch
from tenantry.archive.spooling import sweep_spool
from tenantry.catalog import operations
from tenantry.catalog.operations import UNDONE, Course, Operation
from tenantry.errors import OutcomeUnknown, TenantryError
from tenantry.tenancy import Tenancy

_ACTION: Final = "Working on an archive"


@contextlib.contextmanager
def under_way(
    tenancy: Tenancy,
    kind: str,
    tenant: uuid.UUID,
    *,
    apart_from: Collection[str] = (),
    undo: Callable[[Course], bool] | None = None,
    **detail: Any,
) -> Iterator[Course]:
    """Begins an operation and holds it for the block; where that fails, *undo* removes what it left, or says False.

    One that was done nevertheless, whose outcome is unknown, or that cannot be undone now, is left to be resumed.

    Raises: OperationInProgress, LoginRequired.
    """
    with tenancy.catalog(_ACTION) as connection:
        begun = operations.begin(connection, kind, tenant, step="begin", detail=detail, apart_from=apart_from)
    with operations.on_course(tenancy.catalog, begun) as course:
        try:
            yield course
        except BaseException as error:
            if not isinstance(error, OutcomeUnknown) and (undo is None or undo(course)):
                _note_undone(course, error)
            raise


def _note_undone(course: Course, error: BaseException) -> None:
    said = str(error) if isinstance(error, TenantryError) else type(error).__name__
    # A catalog that is out of reach must not hide what happened.
    with contextlib.suppress(Exception):
        course.end(UNDONE, error=said)


def unfinished(tenancy: Tenancy, *kinds: str) -> list[Operation]:
    """Returns the operations of some kinds that have not come to their end, the newest first.

    Raises: LoginRequired.
    """
    with tenancy.catalog(_ACTION) as connection:
        return operations.unfinished(connection, *kinds)


def get(tenancy: Tenancy, operation: uuid.UUID) -> Operation:
    """Returns one operation.

    Raises: OperationUnknown, LoginRequired.
    """
    with tenancy.catalog(_ACTION) as connection:
        return operations.get(connection, operation)


@contextlib.contextmanager
def taken_up(tenancy: Tenancy, operation: uuid.UUID) -> Iterator[Course]:
    """Takes up an operation that nobody runs any more, without what it left on its way, and holds it for the block.

    Raises: OperationUnknown, OperationInProgress, LoginRequired.
    """
    with tenancy.catalog(_ACTION) as connection:
        taken = operations.take(connection, operation)
    with operations.on_course(tenancy.catalog, taken) as course:
        sweep_spool(taken)
        sweep_scratch(tenancy, taken)
        yield course
