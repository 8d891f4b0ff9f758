"""The HTTP routes of incidents: ``application(tenancy, [router(Incidents(tenancy))], …)`` serves them."""

import uuid
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final

from tenantry.errors import ExtraMissing, RecordNotFound
from tenantry.packs.incidents.models import Action, Decision, Event, Incident, Workflow
from tenantry.packs.incidents.pack import Incidents
from tenantry.packs.incidents.repositories import (
    ActionRepository,
    BaseRepository,
    DecisionRepository,
    EventRepository,
    IncidentRepository,
    KillSwitchRepository,
    WorkflowRepository,
)
from tenantry.packs.incidents.states import ActionStatus, IncidentStatus, Severity
from tenantry.session.aio import AsyncTenantSession

try:
    from fastapi import APIRouter, Depends, Request, Response
except ImportError as error:
    raise ExtraMissing(module="tenantry.packs.incidents.http", extra="web") from error

from tenantry.packs.incidents.schemas import (
    ActionIn,
    ActionOut,
    DecisionIn,
    DecisionOut,
    EventIn,
    EventOut,
    FailureIn,
    IncidentOut,
    IngestedOut,
    Listed,
    ReleasedOut,
    ReleaseIn,
    SuccessIn,
    SwitchIn,
    SwitchOut,
    VendorOut,
    WorkflowChange,
    WorkflowIn,
    WorkflowOut,
)
from tenantry.web import context_of, get_tenant_context
from tenantry.web.routes import Limit, Offset, may, reading_of, writing_of

_CREATED: Final = 201


def router(pack: Incidents, *, prefix: str = "") -> APIRouter:
    """Returns the routes of incidents: each asks for a permission, and for the tenant that the request is bound to."""
    # Whoever says nothing of who they are is asked that first.
    routes = APIRouter(prefix=prefix, tags=["incidents"], dependencies=[Depends(get_tenant_context)])
    for add in (_workflows, _events, _incidents, _steps, _decisions, _actions, _outcomes, _switches, _vendors):
        add(routes, pack)
    return routes


async def _list(
    repository: BaseRepository[Any], limit: int, offset: int, order_by: str, filters: Mapping[str, Any]
) -> dict[str, Any]:
    asked = {name: value for name, value in filters.items() if value is not None}
    query = repository.query().filter_by(**asked)
    items = await query.order_by(order_by, "-id").limit(limit).offset(offset).all()
    return {"items": items, "total": await query.count(), "limit": limit, "offset": offset}


async def _one(repository: BaseRepository[Any], row_id: uuid.UUID) -> Any:
    found = await repository.get_by_id(row_id)
    if found is None:
        raise RecordNotFound(model=repository.model.__name__)
    return found


def _workflows(routes: APIRouter, pack: Incidents) -> None:
    reading, writing = reading_of(pack.tenancy), writing_of(pack.tenancy)

    @routes.post("/workflows", status_code=_CREATED, dependencies=may("workflows:create"))
    async def create_workflow(body: WorkflowIn, db: Annotated[AsyncTenantSession, writing]) -> WorkflowOut:
        """Adds a workflow, under a name that no other has."""
        return WorkflowOut.model_validate(await WorkflowRepository(db).create(body.model_dump()))

    @routes.get("/workflows", response_model=Listed[WorkflowOut], dependencies=may("workflows:read"))
    async def list_workflows(
        db: Annotated[AsyncTenantSession, reading],
        limit: Limit = 50,
        offset: Offset = 0,
        is_active: bool | None = None,
    ) -> dict[str, Any]:
        """Lists the workflows, by name."""
        return await _list(WorkflowRepository(db), limit, offset, "name", {"is_active": is_active})

    @routes.get("/workflows/{workflow_id}", dependencies=may("workflows:read"))
    async def get_workflow(workflow_id: uuid.UUID, db: Annotated[AsyncTenantSession, reading]) -> WorkflowOut:
        """Gives one workflow."""
        found: Workflow = await _one(WorkflowRepository(db), workflow_id)
        return WorkflowOut.model_validate(found)

    @routes.patch("/workflows/{workflow_id}", dependencies=may("workflows:update"))
    async def change_workflow(
        workflow_id: uuid.UUID, body: WorkflowChange, db: Annotated[AsyncTenantSession, writing]
    ) -> WorkflowOut:
        """Changes what is said of a workflow, or takes it out of use."""
        changes = body.model_dump(exclude_none=True)
        return WorkflowOut.model_validate(await WorkflowRepository(db).update(workflow_id, **changes))


def _events(routes: APIRouter, pack: Incidents) -> None:
    reading, writing = reading_of(pack.tenancy), writing_of(pack.tenancy)

    @routes.post("/events", status_code=_CREATED, dependencies=may("events:create"))
    async def ingest_event(
        body: EventIn, response: Response, db: Annotated[AsyncTenantSession, writing]
    ) -> IngestedOut:
        """Takes an event; one that tells of a failure is counted on its incident. Sent again, it changes nothing."""
        found = await pack.flow.aio.ingest(db, body.model_dump(exclude_none=True))
        response.status_code = _CREATED if found.new else 200
        return IngestedOut.model_validate(found)

    @routes.get("/events", response_model=Listed[EventOut], dependencies=may("events:read"))
    async def list_events(
        db: Annotated[AsyncTenantSession, reading],
        limit: Limit = 50,
        offset: Offset = 0,
        workflow_id: uuid.UUID | None = None,
        event_type: str | None = None,
        correlation_id: str | None = None,
    ) -> dict[str, Any]:
        """Lists the events, the latest first."""
        filters = {"workflow_id": workflow_id, "event_type": event_type, "correlation_id": correlation_id}
        return await _list(EventRepository(db), limit, offset, "-occurred_at", filters)

    @routes.get("/events/{event_id}", dependencies=may("events:read"))
    async def get_event(event_id: uuid.UUID, db: Annotated[AsyncTenantSession, reading]) -> EventOut:
        """Gives one event."""
        found: Event = await _one(EventRepository(db), event_id)
        return EventOut.model_validate(found)


def _incidents(routes: APIRouter, pack: Incidents) -> None:
    reading = reading_of(pack.tenancy)

    @routes.get("/incidents", response_model=Listed[IncidentOut], dependencies=may("incidents:read"))
    async def list_incidents(
        db: Annotated[AsyncTenantSession, reading],
        limit: Limit = 50,
        offset: Offset = 0,
        status: IncidentStatus | None = None,
        severity: Severity | None = None,
        workflow_id: uuid.UUID | None = None,
    ) -> dict[str, Any]:
        """Lists the incidents, the latest first."""
        filters = {"status": status, "severity": severity, "workflow_id": workflow_id}
        return await _list(IncidentRepository(db), limit, offset, "-created_at", filters)

    @routes.get("/incidents/{incident_id}", dependencies=may("incidents:read"))
    async def get_incident(incident_id: uuid.UUID, db: Annotated[AsyncTenantSession, reading]) -> IncidentOut:
        """Gives one incident."""
        found: Incident = await _one(IncidentRepository(db), incident_id)
        return IncidentOut.model_validate(found)


def _steps(routes: APIRouter, pack: Incidents) -> None:
    writing, flow = writing_of(pack.tenancy), pack.flow.aio

    def add(name: str, step: Callable[..., Any], says: str) -> None:
        async def take(incident_id: uuid.UUID, db: Annotated[AsyncTenantSession, writing]) -> IncidentOut:
            return IncidentOut.model_validate(await step(db, incident_id))

        path = f"/incidents/{{incident_id}}/{name}"
        routes.post(path, name=f"{name}_incident", description=says, dependencies=may("incidents:update"))(take)

    add("analyse", flow.analyse, "Takes an incident up.")
    add("resolve", flow.resolve, "Closes an incident: the same failure raises a new one.")
    add("ignore", flow.ignore, "Leaves an incident alone: the same failure is counted on it.")


def _decisions(routes: APIRouter, pack: Incidents) -> None:
    reading, writing = reading_of(pack.tenancy), writing_of(pack.tenancy)

    @routes.post("/incidents/{incident_id}/decisions", status_code=_CREATED, dependencies=may("decisions:create"))
    async def decide(
        incident_id: uuid.UUID, body: DecisionIn, db: Annotated[AsyncTenantSession, writing]
    ) -> DecisionOut:
        """Keeps what was decided about an incident, for good."""
        made: Decision = await pack.flow.aio.decide(db, incident_id, **body.model_dump())
        return DecisionOut.model_validate(made)

    @routes.get(
        "/incidents/{incident_id}/decisions", response_model=Listed[DecisionOut], dependencies=may("decisions:read")
    )
    async def list_decisions(
        incident_id: uuid.UUID, db: Annotated[AsyncTenantSession, reading], limit: Limit = 50, offset: Offset = 0
    ) -> dict[str, Any]:
        """Lists what was decided about an incident, the first first."""
        await _one(IncidentRepository(db), incident_id)
        return await _list(DecisionRepository(db), limit, offset, "created_at", {"incident_id": incident_id})


def _actions(routes: APIRouter, pack: Incidents) -> None:
    reading, writing = reading_of(pack.tenancy), writing_of(pack.tenancy)

    @routes.post("/incidents/{incident_id}/actions", status_code=_CREATED, dependencies=may("actions:create"))
    async def plan_action(
        incident_id: uuid.UUID, body: ActionIn, db: Annotated[AsyncTenantSession, writing]
    ) -> ActionOut:
        """Adds what is to be done about an incident."""
        made: Action = await pack.flow.aio.plan(db, incident_id, **body.model_dump())
        return ActionOut.model_validate(made)

    @routes.get("/incidents/{incident_id}/actions", response_model=Listed[ActionOut], dependencies=may("actions:read"))
    async def list_actions(
        incident_id: uuid.UUID,
        db: Annotated[AsyncTenantSession, reading],
        limit: Limit = 50,
        offset: Offset = 0,
        status: ActionStatus | None = None,
    ) -> dict[str, Any]:
        """Lists what is done about an incident, the first first."""
        await _one(IncidentRepository(db), incident_id)
        filters = {"incident_id": incident_id, "status": status}
        return await _list(ActionRepository(db), limit, offset, "created_at", filters)


def _outcomes(routes: APIRouter, pack: Incidents) -> None:
    writing, flow = writing_of(pack.tenancy), pack.flow.aio

    @routes.post("/actions/{action_id}/start", dependencies=may("actions:update"))
    async def start_action(action_id: uuid.UUID, db: Annotated[AsyncTenantSession, writing]) -> ActionOut:
        """Starts an action; of two who do at once, one may go on."""
        return ActionOut.model_validate(await flow.start(db, action_id))

    @routes.post("/actions/{action_id}/succeed", dependencies=may("actions:update"))
    async def end_action_well(
        action_id: uuid.UUID, body: SuccessIn, db: Annotated[AsyncTenantSession, writing]
    ) -> ActionOut:
        """Ends an action well; its incident is resolved when nothing else is under way for it."""
        return ActionOut.model_validate(await flow.succeed(db, action_id, result=body.result))

    @routes.post("/actions/{action_id}/fail", dependencies=may("actions:update"))
    async def end_action_badly(
        action_id: uuid.UUID, body: FailureIn, db: Annotated[AsyncTenantSession, writing]
    ) -> ActionOut:
        """Ends an action badly; its incident is looked at again when nothing else is under way for it."""
        return ActionOut.model_validate(await flow.fail(db, action_id, error=body.error, result=body.result))


def _switches(routes: APIRouter, pack: Incidents) -> None:
    reading, writing = reading_of(pack.tenancy), writing_of(pack.tenancy)

    @routes.get("/kill-switches", dependencies=may("kill_switches:read"))
    async def list_switches(db: Annotated[AsyncTenantSession, reading]) -> list[SwitchOut]:
        """Lists what is stopped now, the whole tenant first."""
        return [SwitchOut.model_validate(found) for found in await KillSwitchRepository(db).get_active()]

    @routes.post("/kill-switches", status_code=_CREATED, dependencies=may("kill_switches:create"))
    async def throw_switch(body: SwitchIn, db: Annotated[AsyncTenantSession, writing]) -> SwitchOut:
        """Stops a workflow, or everything."""
        if body.workflow_id is not None:
            await _one(WorkflowRepository(db), body.workflow_id)
        return SwitchOut.model_validate(await KillSwitchRepository(db).activate(**body.model_dump()))

    @routes.post("/kill-switches/release", dependencies=may("kill_switches:delete"))
    async def release_switch(body: ReleaseIn, db: Annotated[AsyncTenantSession, writing]) -> ReleasedOut:
        """Lets a workflow, or everything, go on."""
        return ReleasedOut(released=await KillSwitchRepository(db).deactivate(**body.model_dump()))


def _vendors(routes: APIRouter, pack: Incidents) -> None:
    @routes.get("/vendors/{name}", dependencies=may("vendors:read"))
    async def get_vendor(name: str, request: Request) -> VendorOut:
        """Says how a vendor stands for this tenant: other tenants' failures have no part in it."""
        standing = await pack.vendors.aio.standing(context_of(request.scope).tenant, name)
        return VendorOut(**standing)
