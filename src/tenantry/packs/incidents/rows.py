"""The repositories over a plain session; ``repositories`` has their awaited faces, by the names of the seed."""

from __future__ import annotations

import builtins
import datetime
import uuid
from collections.abc import Mapping
from typing import Any, Final, Generic, TypeVar

from sqlalchemy import Select, case, func, literal, select, update
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import Session

from tenantry.errors import CrossTenant, RecordNotFound, TenantRequired
from tenantry.idempotency import create_idempotent
from tenantry.models import TENANT_COLUMN
from tenantry.models.columns import utc_now
from tenantry.models.payloads import digest_of
from tenantry.packs.incidents.base import Moment, in_utc
from tenantry.packs.incidents.models import (
    ACTIONS,
    INCIDENTS,
    STANDING,
    Action,
    Decision,
    Event,
    Incident,
    Tenant,
    Workflow,
)
from tenantry.packs.incidents.signatures import severity_of, signature_of, title_of
from tenantry.packs.incidents.states import ActionStatus, IncidentStatus
from tenantry.repository import Repository
from tenantry.repository.pages import check_page
from tenantry.session.clock import on_postgresql
from tenantry.session.core import TenantSession, tenant_id_of

T = TypeVar("T")

_KEY: Final = "idempotency_key"


class Rows(Repository[T], Generic[T]):
    """What every repository does; a ``tenant_id`` that is given must be the session's own."""

    def get_by_id(self, id: uuid.UUID, tenant_id: uuid.UUID | None = None) -> T | None:  # noqa: A002  # the seed's word
        """Returns the row, or None for a missing one.

        Raises: CrossTenant for another tenant's id.
        """
        named: Any = self.model
        return self.first(self.of(tenant_id).where(named.id == id))

    def delete(self, target: Any, /) -> None:
        """Deletes the row, by object or id; one of a class with SoftDelete is stamped.

        Raises: RecordNotFound, AppendOnlyViolation.
        """
        found = target if isinstance(target, self.model) else self.get_by_id(target)
        if found is None:
            raise RecordNotFound(model=self.model.__name__)
        super().delete(found)

    def of(self, tenant_id: uuid.UUID | None) -> Select[Any]:
        """Returns a selection of the tenant's rows, which says whose they are where that is given.

        Raises: CrossTenant for a tenant that is not the session's.
        """
        self.check(tenant_id)
        statement = select(self.model)
        named: Any = self.model
        return statement if tenant_id is None else statement.where(named.tenant_id == tenant_id)

    def check(self, tenant_id: uuid.UUID | None) -> None:
        """Lets the session's own tenant pass, and none.

        Raises: CrossTenant.
        """
        own = tenant_id_of(self.session) if isinstance(self.session, TenantSession) else None
        if own is not None and tenant_id is not None and tenant_id != own:
            raise CrossTenant(model=self.model.__name__, tenant=own)

    def name_tenant(self, tenant_id: uuid.UUID | None) -> None:
        """Has a session that has found no tenant yet take this one, if one is given.

        Raises: CrossTenant for a tenant that is not the session's.
        """
        self.check(tenant_id)
        if tenant_id is not None and tenant_id_of(self.session) is None:
            self.session.execute(self.of(tenant_id).limit(1))

    def first(self, statement: Select[Any]) -> T | None:
        """Returns the only row that is selected, or None."""
        return self.session.execute(statement).scalar_one_or_none()

    def all(self, statement: Select[Any]) -> builtins.list[T]:
        """Returns the rows that are selected."""
        return [*self.session.execute(statement).scalars().all()]


class TenantRows(Rows[Tenant]):
    """The tenant itself."""

    def get_own(self) -> Tenant | None:
        """Returns the session's own tenant, or None while it has no row."""
        return self.first(self.of(None))


class WorkflowRows(Rows[Workflow]):
    """The tenant's workflows."""

    def get_by_name(self, name: str, tenant_id: uuid.UUID | None = None) -> Workflow | None:
        """Returns the workflow of this name, or None.

        Raises: CrossTenant for another tenant's id.
        """
        return self.first(self.of(tenant_id).where(Workflow.name == name))

    def get_active(self, tenant_id: uuid.UUID | None = None) -> builtins.list[Workflow]:
        """Returns the workflows that are in use, by name.

        Raises: CrossTenant for another tenant's id.
        """
        return self.all(self.of(tenant_id).where(Workflow.is_active).order_by(Workflow.name))


class EventRows(Rows[Event]):
    """The tenant's events, which are added and never changed."""

    def create(self, given: Event | Mapping[str, Any] | None = None, /, **values: Any) -> Event:
        """Returns a new event.

        Raises: UnknownField, CrossTenant, and sqlalchemy.exc.IntegrityError for a key that was used.
        """
        if given is None or isinstance(given, Mapping):
            told = {**(given or {}), **values}
            values = {"idempotency_digest": _digest(told), **told}
            given = None
        return super().create(given, **values)

    def record(self, data: Mapping[str, Any]) -> tuple[Event, bool]:
        """Returns the event of this key, and whether this call made it; of many at once one does.

        Raises: IdempotencyConflict where the key came with something else, CrossTenant, UnknownField, TenantRequired.
        """
        self.name_tenant(data.get(TENANT_COLUMN))
        told = _told(data)
        return create_idempotent(bound(self.session), Event, told, key=data[_KEY])

    def get_by_idempotency_key(self, idempotency_key: str, tenant_id: uuid.UUID | None = None) -> Event | None:
        """Returns the tenant's event of this key, or None.

        Raises: CrossTenant for another tenant's id.
        """
        return self.first(self.of(tenant_id).where(Event.idempotency_key == idempotency_key))

    def get_recent_events(
        self, tenant_id: uuid.UUID | None, workflow_id: uuid.UUID, hours: int = 24
    ) -> builtins.list[Event]:
        """Returns the workflow's events of the last hours, the latest first.

        Raises: CrossTenant for another tenant's id.
        """
        since = utc_now() - datetime.timedelta(hours=hours)
        recent = self.of(tenant_id).where(Event.workflow_id == workflow_id, Event.occurred_at >= since)
        return self.all(recent.order_by(Event.occurred_at.desc(), Event.id.desc()))

    def get_by_correlation(self, correlation_id: str, tenant_id: uuid.UUID | None = None) -> builtins.list[Event]:
        """Returns what one request led to, in the order in which it happened.

        Raises: CrossTenant for another tenant's id.
        """
        chain = self.of(tenant_id).where(Event.correlation_id == correlation_id)
        return self.all(chain.order_by(Event.occurred_at, Event.id))

    def count_events(self, tenant_id: uuid.UUID | None, workflow_id: uuid.UUID) -> int:
        """Returns how many events of the workflow there are.

        Raises: CrossTenant for another tenant's id.
        """
        of_workflow = self.of(tenant_id).where(Event.workflow_id == workflow_id)
        return self.session.execute(of_workflow.with_only_columns(func.count(Event.id))).scalar_one()


class IncidentRows(Rows[Incident]):
    """The tenant's incidents, of which one at a time stands for each signature."""

    def create_from_event(self, event: Event, /, **known: Any) -> Incident:
        """Returns the incident that the event belongs to: the one that stands, with one event more, or a new one.

        Args:
            known: what is to be said of a new one, in place of what the event tells: signature, title, severity …

        Raises: CrossTenant for another tenant's event.
        """
        self.check(event.tenant_id)
        signature = known.get("signature") or signature_of(event.workflow_id, event.event_type, event.payload)
        told = {
            "title": title_of(event.event_type, event.payload),
            "severity": severity_of(event.payload),
            "workflow_id": event.workflow_id,
            "correlation_id": event.correlation_id,
            "first_seen_at": event.occurred_at,
            "last_seen_at": event.occurred_at,
            **known,
            "signature": signature,
        }
        if on_postgresql(self.session):
            return self._at_once({TENANT_COLUMN: event.tenant_id, **told}, event)
        # SQLite's one writer holds the file from its first statement on: nobody comes between.
        return self._seen_again(signature, event) or self.create(told)

    def get_by_signature(self, signature: str, tenant_id: uuid.UUID | None = None) -> Incident | None:
        """Returns the incident that stands for a signature, or None.

        Raises: CrossTenant for another tenant's id.
        """
        return self.first(self.of(tenant_id).where(Incident.signature == signature, STANDING))

    def get_incidents_paginated(
        self, tenant_id: uuid.UUID | None = None, page: int = 1, page_size: int = 20
    ) -> builtins.list[Incident]:
        """Returns one page of the incidents, the latest first; the first page is number 1.

        Raises: InvalidPage, CrossTenant for another tenant's id.
        """
        check_page(page, page_size)
        latest = self.of(tenant_id).order_by(Incident.created_at.desc(), Incident.id.desc())
        return self.all(latest.offset((page - 1) * page_size).limit(page_size))

    def get_incidents_by_status(
        self, tenant_id: uuid.UUID | None, status: IncidentStatus | str
    ) -> builtins.list[Incident]:
        """Returns the incidents that have come so far, the latest first.

        Raises: CrossTenant for another tenant's id, ValueError for a status that there is not.
        """
        chosen = self.of(tenant_id).where(Incident.status == IncidentStatus(status).value)
        return self.all(chosen.order_by(Incident.created_at.desc(), Incident.id.desc()))

    def take(self, incident: Incident, status: IncidentStatus, /, **changes: Any) -> Incident:
        """Takes a step in an incident's life; of two callers at once, one takes it.

        Raises: IllegalStep.
        """
        INCIDENTS.take(incident, status, **changes)
        return incident

    def _seen_again(self, signature: str, event: Event) -> Incident | None:
        standing = update(Incident).where(Incident.signature == signature, STANDING).values(_more(event.occurred_at))
        fresh = {"populate_existing": True, "synchronize_session": False}
        return self.session.execute(standing.returning(Incident), execution_options=fresh).scalar_one_or_none()

    def _at_once(self, told: Mapping[str, Any], event: Event) -> Incident:
        # The event stands before what rises from it, and what is pending here before what the statement reads.
        self.session.flush()
        statement = postgresql.insert(Incident).values(dict(told))
        upsert = statement.on_conflict_do_update(
            index_elements=[Incident.tenant_id, Incident.signature], index_where=STANDING, set_=_more(event.occurred_at)
        )
        fresh = {"populate_existing": True}
        return self.session.execute(upsert.returning(Incident), execution_options=fresh).scalar_one()


class DecisionRows(Rows[Decision]):
    """What was decided, which is added and never changed."""

    def get_by_incident(self, incident_id: uuid.UUID, tenant_id: uuid.UUID | None = None) -> builtins.list[Decision]:
        """Returns what was decided about an incident, the first first.

        Raises: CrossTenant for another tenant's id.
        """
        made = self.of(tenant_id).where(Decision.incident_id == incident_id)
        return self.all(made.order_by(Decision.created_at, Decision.id))


class ActionRows(Rows[Action]):
    """What is done about incidents."""

    def get_by_incident(
        self, incident_id: uuid.UUID, tenant_id: uuid.UUID | None = None, *, status: ActionStatus | str | None = None
    ) -> builtins.list[Action]:
        """Returns what is done about an incident, or what of it has come so far, the first first.

        Raises: CrossTenant for another tenant's id, ValueError for a status that there is not.
        """
        taken = self.of(tenant_id).where(Action.incident_id == incident_id)
        if status is not None:
            taken = taken.where(Action.status == ActionStatus(status).value)
        return self.all(taken.order_by(Action.created_at, Action.id))

    def take(self, action: Action, status: ActionStatus, /, **changes: Any) -> Action:
        """Takes a step in an action's life; of two callers at once, one takes it.

        Raises: IllegalStep.
        """
        ACTIONS.take(action, status, **changes)
        return action


def bound(session: Session) -> TenantSession:
    """Returns a session that belongs to a tenant.

    Raises: TenantRequired for any other.
    """
    if not isinstance(session, TenantSession):
        raise TenantRequired
    return session


def _more(seen_at: datetime.datetime) -> dict[str, Any]:
    """Returns what one more event changes in its incident; it may be older than those that are counted."""
    first, last = Incident.first_seen_at, Incident.last_seen_at
    seen = literal(seen_at, Moment())
    return {
        "event_count": Incident.event_count + 1,
        "first_seen_at": case((first > seen, seen), else_=first),
        "last_seen_at": case((last < seen, seen), else_=last),
        "updated_at": utc_now(),
    }


def _told(data: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what an event says, without whose it is and the key: sent again, it is to say the same."""
    told = {name: value for name, value in data.items() if name not in (TENANT_COLUMN, _KEY)}
    return {**told, "occurred_at": in_utc(told["occurred_at"])} if "occurred_at" in told else told


def _digest(data: Mapping[str, Any]) -> str:
    return digest_of(_told(data), what="The event")
