"""What a database says of a tenant that is moved, as our own errors, and who is told that its place is another."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from typing import Final
from weakref import WeakKeyDictionary

from sqlalchemy import event
from sqlalchemy.engine import Dialect, Engine, ExceptionContext

from tenantry.errors import TenantMoved, TenantMoving, TenantryError
from tenantry.isolation.fencing_statements import MOVED, MOVING

# Called with each tenant that was not found at the place it was looked for.
Departed = Callable[[uuid.UUID], None]

_TENANT: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_told: Final[WeakKeyDictionary[Dialect, Departed]] = WeakKeyDictionary()
# For so long whoever was held waits before the next attempt.
RETRY_AFTER: Final = 1.0


def unheard(_: uuid.UUID) -> None:
    """Tells nobody: for servers that no sessions are opened on."""


def typed_by_fence(error: BaseException | None) -> TenantryError | None:
    """Returns what a fence meant by a driver's error, or None for an error of something else."""
    state = getattr(error, "sqlstate", None)
    if state not in (MOVED, MOVING):
        return None
    found = _TENANT.search(str(error))
    tenant = uuid.UUID(found[0]) if found else None
    if state == MOVED:
        return TenantMoved(tenant=tenant)
    return TenantMoving(tenant=tenant, retry_after=RETRY_AFTER)


def hook_departures(engine: Engine, departed: Departed) -> None:
    """Has an engine type what a fence says, and tell *departed* of each tenant that has left."""
    _told[engine.dialect] = departed
    # Of the dialect, as SQLAlchemy has it: an engine's statements cost nothing more for it.
    event.listen(engine, "handle_error", _type_fence)


def tell(error: TenantryError, dialect: Dialect) -> TenantryError:
    """Tells whom an engine's hook named of the tenant that an error says has left, and returns the error."""
    if isinstance(error, TenantMoved) and error.fields["tenant"] is not None:
        _told[dialect](error.fields["tenant"])
    return error


def _type_fence(context: ExceptionContext) -> BaseException | None:
    found = typed_by_fence(context.original_exception)
    return tell(found, context.dialect) if found is not None else None
