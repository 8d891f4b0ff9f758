"""The seven repositories of the seed, and one of kill switches, over an ``AsyncSession``; ``rows`` does the work.

A session needs no more than ``execute``, ``add`` and ``flush`` of an ``AsyncSession``, so one can be stood in for.
"""

from __future__ import annotations

import functools
import inspect
import uuid
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, ClassVar, Concatenate, Final, Generic, ParamSpec, TypeVar

from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session
from sqlalchemy.orm.interfaces import ORMOption
from sqlalchemy.util import await_only, greenlet_spawn

from tenantry.packs.incidents.models import (
    Action,
    Decision,
    Event,
    Incident,
    KillSwitch,
    Tenant,
    Vendor,
    Workflow,
)
from tenantry.packs.incidents.rows import (
    ActionRows,
    DecisionRows,
    EventRows,
    IncidentRows,
    Rows,
    TenantRows,
    WorkflowRows,
)
from tenantry.packs.incidents.rows_control import KillSwitchRows, VendorRows
from tenantry.repository import AsyncRepository

T = TypeVar("T")
R = TypeVar("R")
P = ParamSpec("P")
W = TypeVar("W", bound=Rows[Any])


class BaseRepository(AsyncRepository[T], Generic[T]):
    """Reads and writes a model's rows: ``class Notes(BaseRepository[Note])``, then ``Notes(session)``.

    It never commits: who opened the session decides about that, for all repositories on it at once.
    """

    rows: ClassVar[type[Rows[Any]]] = Rows

    def __init__(
        self, session: AsyncSession, *, model: type[T] | None = None, options: Sequence[ORMOption] | None = None
    ) -> None:
        super().__init__(session, model=model, options=options)

    async def get_by_id(self, id: uuid.UUID, tenant_id: uuid.UUID | None = None) -> T | None:  # noqa: A002  # the seed's word
        """Returns the row, or None for a missing one and one of another tenant alike.

        Raises: CrossTenant for another tenant's id.
        """
        return await self.through(lambda rows: rows.get_by_id(id, tenant_id))

    async def create(self, given: T | Mapping[str, Any] | None = None, /, **values: Any) -> T:
        """Returns a new row, made from an object, a mapping or values.

        Raises: UnknownField, CrossTenant.
        """
        return await self.through(lambda rows: rows.create(given, **values))

    async def update(self, target: Any, /, **changes: Any) -> T:
        """Returns the row, by object or id, with what was changed written.

        Raises: RecordNotFound, UnknownField, TenantImmutable, AppendOnlyViolation.
        """
        return await self.through(lambda rows: rows.update(target, **changes))

    async def delete(self, target: Any, /) -> None:
        """Deletes the row, by object or id; one of a class with SoftDelete is stamped.

        Raises: RecordNotFound, AppendOnlyViolation.
        """
        await self.through(lambda rows: rows.delete(target))

    async def through(self, work: Callable[[Any], R]) -> R:
        """Runs *work* with the repository over the plain session, and awaits what that waits for."""
        if issubclass(type(self.session), AsyncSession):
            return await self.session.run_sync(lambda session: work(self._on(session)))
        return await greenlet_spawn(lambda: work(self._on(Waiting(self.session))))  # type: ignore[arg-type]  # as far as it is used

    def _on(self, session: Session) -> Rows[T]:
        return self.rows(session, model=self.model, options=self.options)


class Waiting:
    """What stands in for an ``AsyncSession``, or for what that gives, seen as the plain one; it keeps any object."""

    def __init__(self, behind: object) -> None:
        self._behind = behind

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._behind, name)
        if not callable(found):
            return found
        return lambda *args, **kwargs: _waited(found(*args, **kwargs), again=name in _LEADING_ON)

    def __contains__(self, _: object) -> bool:
        return True


_LEADING_ON: Final = ("execute", "scalars")


def _waited(value: Any, *, again: bool) -> Any:
    settled = await_only(value) if inspect.isawaitable(value) else value
    return Waiting(settled) if again else settled


def awaited(
    method: Callable[Concatenate[W, P], R],
) -> Callable[Concatenate[BaseRepository[Any], P], Coroutine[Any, Any, R]]:
    """Returns a method of a repository over a plain session, with the same parameters, awaited."""

    @functools.wraps(method)
    async def run(self: BaseRepository[Any], /, *args: P.args, **kwargs: P.kwargs) -> R:
        return await self.through(lambda rows: method(rows, *args, **kwargs))

    return run


class TenantRepository(BaseRepository[Tenant]):
    """The tenant itself."""

    rows = TenantRows
    get_own = awaited(TenantRows.get_own)


class WorkflowRepository(BaseRepository[Workflow]):
    """The tenant's workflows."""

    rows = WorkflowRows
    get_active = awaited(WorkflowRows.get_active)
    get_by_name = awaited(WorkflowRows.get_by_name)


class VendorRepository(BaseRepository[Vendor]):
    """The platform's vendors, over a session of ``tenancy.aio.platform()``."""

    rows = VendorRows
    get_active = awaited(VendorRows.get_active)
    get_by_name = awaited(VendorRows.get_by_name)
    keep_in_step = awaited(VendorRows.keep_in_step)


class EventRepository(BaseRepository[Event]):
    """The tenant's events, which are added and never changed."""

    rows = EventRows
    count_events = awaited(EventRows.count_events)
    get_by_correlation = awaited(EventRows.get_by_correlation)
    get_by_idempotency_key = awaited(EventRows.get_by_idempotency_key)
    get_recent_events = awaited(EventRows.get_recent_events)
    record = awaited(EventRows.record)


class IncidentRepository(BaseRepository[Incident]):
    """The tenant's incidents, of which one at a time stands for each signature."""

    rows = IncidentRows
    create_from_event = awaited(IncidentRows.create_from_event)
    get_by_signature = awaited(IncidentRows.get_by_signature)
    get_incidents_by_status = awaited(IncidentRows.get_incidents_by_status)
    get_incidents_paginated = awaited(IncidentRows.get_incidents_paginated)
    take = awaited(IncidentRows.take)


class DecisionRepository(BaseRepository[Decision]):
    """What was decided, which is added and never changed."""

    rows = DecisionRows
    get_by_incident = awaited(DecisionRows.get_by_incident)


class ActionRepository(BaseRepository[Action]):
    """What is done about incidents."""

    rows = ActionRows
    get_by_incident = awaited(ActionRows.get_by_incident)
    take = awaited(ActionRows.take)


class KillSwitchRepository(BaseRepository[KillSwitch]):
    """The tenant's kill switches."""

    rows = KillSwitchRows
    activate = awaited(KillSwitchRows.activate)
    deactivate = awaited(KillSwitchRows.deactivate)
    get_active = awaited(KillSwitchRows.get_active)
    is_active = awaited(KillSwitchRows.is_active)
