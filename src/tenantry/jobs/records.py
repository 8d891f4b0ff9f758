"""What a job is given, held against whose the job is."""

from __future__ import annotations

import inspect
import uuid
from collections.abc import Callable, Iterator, Mapping, Set
from typing import Any, Final

from sqlalchemy import inspect as inspect_mapped
from sqlalchemy.orm import InstanceState, Mapper, Session

from tenantry.errors import JobForeign, JobRecordMissing
from tenantry.jobs.context import Job
from tenantry.models import TENANT_COLUMN, is_walled
from tenantry.session.core import BoundSession, tenant_id_of
from tenantry.types import Tenant

# Deeper than that nobody nests what a job is given; a structure that holds itself would have no end.
_DEPTH: Final = 8


def refuse_foreign(task: str, tenant: uuid.UUID, *given: object) -> None:
    """Lets pass what holds no session, row or Tenant but the tenant's own; sends no statement.

    Raises: JobForeign.
    """
    for value in _leaves(given, _DEPTH):
        owner, what = _owner(value)
        if what is not None and owner != tenant:
            raise JobForeign(task=task, tenant=tenant, what=what)


def find_records(session: Session, named: Mapping[str, tuple[type, Any]], *, job: Job) -> None:
    """Lets pass ids of rows that the tenant has; another tenant's and a missing one are refused alike.

    Raises: JobRecordMissing.
    """
    for argument, (model, ident) in named.items():
        own = _own_id(model, ident)
        if own is None or session.get(model, own) is None:
            raise JobRecordMissing(task=job.task, tenant=job.tenant, model=model.__name__, argument=argument)


def without_first(function: Callable[..., Any], count: int) -> inspect.Signature:
    """Returns the signature of a function whose first parameters somebody else fills."""
    signature = inspect.signature(function)
    return signature.replace(parameters=list(signature.parameters.values())[count:])


def _leaves(value: object, depth: int) -> Iterator[object]:
    if not depth or not isinstance(value, Mapping | list | tuple | Set):
        yield value
        return
    inner = (*value.keys(), *value.values()) if isinstance(value, Mapping) else value
    for item in inner:
        yield from _leaves(item, depth - 1)


def _owner(value: object) -> tuple[uuid.UUID | None, str | None]:
    """Returns whose *value* is and what it is; what belongs to nobody is nothing."""
    if isinstance(value, Tenant):
        return value.id, "a Tenant"
    session = getattr(value, "sync_session", value)
    if isinstance(session, BoundSession):
        return tenant_id_of(session), "a session"
    state = inspect_mapped(value, raiseerr=False)
    if not isinstance(state, InstanceState):
        return None, None
    table = state.mapper.local_table
    if not is_walled(table):  # type: ignore[arg-type]  # mapped to a Table wherever it is walled
        return None, None
    owner = _owner_of_row(state)
    return owner, None if owner is None else f"a {type(value).__name__}"


def _owner_of_row(state: InstanceState[Any]) -> uuid.UUID | None:
    held = state.dict.get(TENANT_COLUMN)
    if held is None and state.identity is not None:
        keys = [column.key for column in state.mapper.primary_key]
        held = dict(zip(keys, state.identity, strict=True)).get(TENANT_COLUMN)
    return held if isinstance(held, uuid.UUID) else None


def _own_id(model: type, ident: Any) -> Any:
    """Returns an id as its column takes it, since a message holds UUIDs as text; None for one that cannot be."""
    mapper: Mapper[Any] = inspect_mapped(model).mapper
    columns = [column for column in mapper.primary_key if column.key != TENANT_COLUMN]
    kind = columns[0].type.python_type if len(columns) == 1 else None
    if kind is uuid.UUID and isinstance(ident, str):
        try:
            return uuid.UUID(ident)
        except ValueError:
            return None
    return ident if kind is None or isinstance(ident, kind) else None
