"""The meetings' HTTP routes: ``application(tenancy, [router(Meetings(tenancy))], …)`` serves them."""

import uuid
from collections.abc import Callable
from typing import Annotated, Any

from tenantry.errors import ExtraMissing, RecordNotFound
from tenantry.packs.meetings.pack import Meetings
from tenantry.packs.meetings.processing import Findings
from tenantry.packs.meetings.repositories import (
    AccountMappingRepository,
    APIRateLimitRepository,
    AuditLogRepository,
    CRMConnectionRepository,
    MeetingSessionRepository,
    TenantRepository,
    UserRepository,
)
from tenantry.packs.meetings.words import CRMSyncStatus, ProcessingStatus, UserRole
from tenantry.repository import Query as Rows
from tenantry.session.aio import AsyncTenantSession
from tenantry.session.core import TenantSession
from tenantry.types import Tenant

try:
    from fastapi import APIRouter, Depends, Query
except ImportError as error:
    raise ExtraMissing(module="tenantry.packs.meetings.http", extra="web") from error

from tenantry.packs.meetings.schemas import (
    AccountIn,
    AccountOut,
    AccountsOut,
    ConnectionIn,
    ConnectionOut,
    ConnectionsOut,
    FailureIn,
    FindingsIn,
    LimitOut,
    LogsOut,
    MeetingIn,
    MeetingOut,
    MeetingsOut,
    NoteIn,
    PlanIn,
    StatsOut,
    UserChange,
    UserIn,
    UserOut,
    UsersOut,
    WorkspaceOut,
)
from tenantry.web import get_tenant_context
from tenantry.web.routes import Limit, Offset, SearchText, may, part, reading_of, run, writing_of

# Where the credentials of a workspace's CRM are: the service says so, since a client that chose a reference would
# choose what the service reads.
Credentials = Callable[[Tenant, str], str]


def in_environment(tenant: Tenant, provider_type: str) -> str:
    """Returns the variable in which a workspace's credentials for a CRM are expected."""
    return f"env:MEETINGS_{provider_type.upper()}_{tenant.id.hex.upper()}"


def router(pack: Meetings, *, prefix: str = "/api", credentials: Credentials = in_environment) -> APIRouter:
    """Returns the meetings' routes: each asks for a permission, and for the tenant that the request is bound to.

    *credentials* says where those of a workspace's CRM are; the default is a variable of the environment for each.
    """
    # First who asks, then what they may: a request without a token is a 401.
    routes = APIRouter(prefix=prefix, tags=["meetings"], dependencies=[Depends(get_tenant_context)])
    for add in (_workspace, _users, _meetings, _steps, _accounts, _records):
        add(routes, pack)
    _connections(routes, pack, credentials)
    return routes


def _workspace(routes: APIRouter, pack: Meetings) -> None:
    reading, writing = reading_of(pack.tenancy), writing_of(pack.tenancy)

    @routes.get("/workspace", dependencies=may("workspace:read"), summary="The workspace")
    async def get_workspace(db: AsyncTenantSession = reading) -> WorkspaceOut:
        return WorkspaceOut.model_validate(await run(db, _own))

    @routes.get("/workspace/stats", dependencies=may("workspace:read"), summary="How much there is in it")
    async def get_stats(db: AsyncTenantSession = reading) -> StatsOut:
        return StatsOut.model_validate(await run(db, lambda s: TenantRepository(s).stats()))

    @routes.put("/workspace/plan", dependencies=may("billing:update"), summary="Change the plan")
    async def change_plan(new: PlanIn, db: AsyncTenantSession = writing) -> WorkspaceOut:
        return WorkspaceOut.model_validate(await run(db, lambda s: pack.workspaces.change_plan(s, new.plan_tier)))

    @routes.get("/workspace/limits", dependencies=may("workspace:read"), summary="How far the limits are used")
    async def list_limits(db: AsyncTenantSession = reading) -> list[LimitOut]:
        found = await run(db, lambda s: APIRateLimitRepository(s).list())
        return [LimitOut.model_validate(row) for row in found]


def _users(routes: APIRouter, pack: Meetings) -> None:
    reading, writing = reading_of(pack.tenancy), writing_of(pack.tenancy)

    @routes.get("/users", dependencies=may("users:read"), summary="The people of the workspace")
    async def list_users(
        limit: Limit = 50, offset: Offset = 0, role: UserRole | None = None, db: AsyncTenantSession = reading
    ) -> UsersOut:
        def read(session: TenantSession) -> dict[str, Any]:
            found = UserRepository(session).query()
            found = found if role is None else found.filter_by(role=role)
            return part(found.order_by("created_at"), limit, offset, name="users")

        return UsersOut.model_validate(await run(db, read))

    @routes.post("/users", status_code=201, dependencies=may("users:create"), summary="Let somebody in")
    async def add_user(new: UserIn, db: AsyncTenantSession = writing) -> UserOut:
        return UserOut.model_validate(await run(db, lambda s: pack.workspaces.add_user(s, **new.given())))

    @routes.patch("/users/{user_id}", dependencies=may("users:update"), summary="Change what somebody is")
    async def change_user(user_id: uuid.UUID, change: UserChange, db: AsyncTenantSession = writing) -> UserOut:
        found = await run(db, lambda s: pack.workspaces.change_user(s, user_id, **change.given()))
        return UserOut.model_validate(found)

    @routes.delete("/users/{user_id}", status_code=204, dependencies=may("users:delete"), summary="Let somebody go")
    async def remove_user(user_id: uuid.UUID, db: AsyncTenantSession = writing) -> None:
        await run(db, lambda s: pack.workspaces.remove_user(s, user_id))


def _connections(routes: APIRouter, pack: Meetings, credentials: Credentials) -> None:
    reading, writing = reading_of(pack.tenancy), writing_of(pack.tenancy)

    @routes.get("/connections", dependencies=may("connections:read"), summary="The workspace's CRMs")
    async def list_connections(
        limit: Limit = 50, offset: Offset = 0, db: AsyncTenantSession = reading
    ) -> ConnectionsOut:
        def read(session: TenantSession) -> dict[str, Any]:
            found = CRMConnectionRepository(session).query().order_by("created_at")
            return part(found, limit, offset, name="connections")

        return ConnectionsOut.model_validate(await run(db, read))

    @routes.post("/connections", status_code=201, dependencies=may("connections:create"), summary="Connect a CRM")
    async def connect(new: ConnectionIn, db: AsyncTenantSession = writing) -> ConnectionOut:
        def work(session: TenantSession) -> Any:
            given = new.given()
            provider = given.pop("provider_type")
            return pack.connections.connect(session, provider, credentials(session.tenant, provider), **given)

        return ConnectionOut.model_validate(await run(db, work))

    @routes.put(
        "/connections/{connection_id}/default", dependencies=may("connections:update"), summary="Choose the default"
    )
    async def choose_default(connection_id: uuid.UUID, db: AsyncTenantSession = writing) -> ConnectionOut:
        return ConnectionOut.model_validate(await run(db, lambda s: pack.connections.set_default(s, connection_id)))

    @routes.delete(
        "/connections/{connection_id}",
        status_code=204,
        dependencies=may("connections:delete"),
        summary="Disconnect a CRM",
    )
    async def disconnect(connection_id: uuid.UUID, db: AsyncTenantSession = writing) -> None:
        await run(db, lambda s: pack.connections.disconnect(s, connection_id))


def _meetings(routes: APIRouter, pack: Meetings) -> None:
    reading, writing = reading_of(pack.tenancy), writing_of(pack.tenancy)

    @routes.get("/meetings", dependencies=may("meetings:read"), summary="The workspace's meetings, the latest first")
    async def list_meetings(
        limit: Limit = 20,
        offset: Offset = 0,
        status: Annotated[list[ProcessingStatus] | None, Query()] = None,
        crm: Annotated[list[CRMSyncStatus] | None, Query()] = None,
        user_id: uuid.UUID | None = None,
        q: SearchText = "",
        db: AsyncTenantSession = reading,
    ) -> MeetingsOut:
        given = {"processing_status": status, "crm_sync_status": crm, "user_id": user_id}
        return MeetingsOut.model_validate(
            await run(db, lambda s: part(_matching(s, q, given), limit, offset, name="meetings"))
        )

    @routes.post("/meetings", status_code=201, dependencies=may("meetings:create"), summary="Tell of a meeting")
    async def receive(new: MeetingIn, db: AsyncTenantSession = writing) -> MeetingOut:
        return MeetingOut.model_validate(await run(db, lambda s: pack.processing.receive(s, new.given())))

    @routes.get("/meetings/{meeting_id}", dependencies=may("meetings:read"), summary="One meeting")
    async def get_meeting(meeting_id: uuid.UUID, db: AsyncTenantSession = reading) -> MeetingOut:
        return MeetingOut.model_validate(await run(db, lambda s: MeetingSessionRepository(s).get_one(meeting_id)))

    @routes.delete(
        "/meetings/{meeting_id}", status_code=204, dependencies=may("meetings:delete"), summary="Hide a meeting"
    )
    async def delete_meeting(meeting_id: uuid.UUID, db: AsyncTenantSession = writing) -> None:
        await run(db, lambda s: MeetingSessionRepository(s).delete(meeting_id))


def _steps(routes: APIRouter, pack: Meetings) -> None:
    writing, process = writing_of(pack.tenancy), may("meetings:process")

    @routes.post("/meetings/{meeting_id}/start", dependencies=process, summary="Begin to process a meeting")
    async def start(meeting_id: uuid.UUID, db: AsyncTenantSession = writing) -> MeetingOut:
        return MeetingOut.model_validate(await run(db, lambda s: pack.processing.start(s, meeting_id)))

    @routes.post("/meetings/{meeting_id}/complete", dependencies=process, summary="Say what was found")
    async def complete(meeting_id: uuid.UUID, found: FindingsIn, db: AsyncTenantSession = writing) -> MeetingOut:
        findings = Findings(**found.model_dump())
        return MeetingOut.model_validate(await run(db, lambda s: pack.processing.complete(s, meeting_id, findings)))

    @routes.post("/meetings/{meeting_id}/fail", dependencies=process, summary="Say what went wrong")
    async def fail(meeting_id: uuid.UUID, failure: FailureIn, db: AsyncTenantSession = writing) -> MeetingOut:
        return MeetingOut.model_validate(await run(db, lambda s: pack.processing.fail(s, meeting_id, failure.error)))

    @routes.post("/meetings/{meeting_id}/retry", dependencies=process, summary="Have a meeting processed again")
    async def retry(meeting_id: uuid.UUID, db: AsyncTenantSession = writing) -> MeetingOut:
        return MeetingOut.model_validate(await run(db, lambda s: pack.processing.retry(s, meeting_id)))

    @routes.post("/meetings/{meeting_id}/note", dependencies=may("meetings:sync"), summary="Hand the note to the CRM")
    async def hand_over(meeting_id: uuid.UUID, note: NoteIn, db: AsyncTenantSession = writing) -> MeetingOut:
        chosen = note.crm_connection_id
        found = await run(db, lambda s: pack.processing.hand_over(s, meeting_id, crm_connection_id=chosen))
        return MeetingOut.model_validate(found)


def _accounts(routes: APIRouter, pack: Meetings) -> None:
    reading, writing = reading_of(pack.tenancy), writing_of(pack.tenancy)

    @routes.get("/accounts", dependencies=may("accounts:read"), summary="What is known of domains")
    async def list_accounts(
        limit: Limit = 50, offset: Offset = 0, verified: bool | None = None, db: AsyncTenantSession = reading
    ) -> AccountsOut:
        def read(session: TenantSession) -> dict[str, Any]:
            found = AccountMappingRepository(session).query()
            found = found if verified is None else found.filter_by(is_verified=verified)
            return part(found.order_by("email_domain"), limit, offset, name="accounts")

        return AccountsOut.model_validate(await run(db, read))

    @routes.get("/accounts/of", dependencies=may("accounts:read"), summary="The account of an address")
    async def find_account(
        email: Annotated[str, Query(max_length=320)], verified_only: bool = False, db: AsyncTenantSession = reading
    ) -> AccountOut:
        def find(session: TenantSession) -> Any:
            return pack.accounts.find(session, email, verified_only=verified_only, counted=False)

        found = await run(db, find)
        if found is None:
            raise RecordNotFound(model="AccountMapping")
        return AccountOut.model_validate(found)

    @routes.post("/accounts", status_code=201, dependencies=may("accounts:create"), summary="Learn an account")
    async def learn(new: AccountIn, db: AsyncTenantSession = writing) -> AccountOut:
        return AccountOut.model_validate(await run(db, lambda s: pack.accounts.learn(s, **new.given())))

    @routes.post("/accounts/{mapping_id}/verify", dependencies=may("accounts:update"), summary="Confirm an account")
    async def verify(mapping_id: uuid.UUID, db: AsyncTenantSession = writing) -> AccountOut:
        return AccountOut.model_validate(await run(db, lambda s: pack.accounts.verify(s, mapping_id)))


def _records(routes: APIRouter, pack: Meetings) -> None:
    reading = reading_of(pack.tenancy)

    @routes.get("/audit", dependencies=may("audit:read"), summary="What was done, the latest first")
    async def list_logs(
        limit: Limit = 100, offset: Offset = 0, failed: bool = False, db: AsyncTenantSession = reading
    ) -> LogsOut:
        def read(session: TenantSession) -> dict[str, Any]:
            found = AuditLogRepository(session).query()
            found = found.filter_by(status__ne="success") if failed else found
            return part(found.order_by("-seq"), limit, offset, name="logs")

        return LogsOut.model_validate(await run(db, read))


def _matching(session: TenantSession, text: str, given: dict[str, Any]) -> Rows[Any]:
    filters = {name: value for name, value in given.items() if value is not None}
    found = MeetingSessionRepository(session).query().search(text, ["title", "ai_summary"])
    return found.filter_by(**filters).order_by("-created_at")


def _own(session: TenantSession) -> Any:
    found = TenantRepository(session).get_own()
    if found is None:
        raise RecordNotFound(model="Tenant")
    return found
