"""Routes about reports, what was used, and the company's profile."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter
from pydantic import AwareDatetime

from tenantry.access import Access
from tenantry.errors import RecordNotFound
from tenantry.packs.assistant.aio import (
    AsyncProfileRepository,
    AsyncSavedReportRepository,
    AsyncTokenUsageRepository,
)
from tenantry.packs.assistant.http_common import CREATED, NO_CONTENT, person
from tenantry.packs.assistant.models_reports import SavedReport
from tenantry.packs.assistant.pack import Assistant
from tenantry.packs.assistant.schemas import (
    Listing,
    ProfileIn,
    ProfileOut,
    ReportIn,
    ReportOut,
    TotalOut,
    UsageOut,
)
from tenantry.packs.assistant.users import Person
from tenantry.session.aio import AsyncTenantSession
from tenantry.web.routes import Limit, Offset, may, reading_of, writing_of


def reports(routes: APIRouter, pack: Assistant, _: Access) -> None:
    """Adds the routes about the reports that a company keeps."""
    read, write, asks = reading_of(pack.tenancy), writing_of(pack.tenancy), person(pack)

    @routes.get("/reports", dependencies=may("reports:read"), tags=["reports"])
    async def list_reports(
        db: Annotated[AsyncTenantSession, read],
        limit: Limit = 50,
        offset: Offset = 0,
        report_type: str | None = None,
    ) -> Listing[ReportOut]:
        """Lists the reports, the latest first."""
        asked: dict[str, Any] = {} if report_type is None else {"report_type": report_type}
        repository = AsyncSavedReportRepository(db)
        found = await repository.list(order_by="-saved_at", limit=limit, offset=offset, **asked)
        items = [ReportOut.model_validate(report) for report in found]
        return Listing(items=items, total=await repository.count(**asked), limit=limit, offset=offset)

    @routes.post("/reports", status_code=CREATED, dependencies=may("reports:generate"), tags=["reports"])
    async def save_report(
        body: ReportIn, db: Annotated[AsyncTenantSession, write], who: Annotated[Person, asks]
    ) -> ReportOut:
        """Keeps a report, and records what it used."""
        saved = await pack.reports.aio.save(
            db,
            report_type=body.report_type,
            report_data=body.report_data,
            title=body.title,
            tags=body.tags,
            confidence=body.confidence,
            user_id=who.id,
            call=None if body.call is None else body.call.call(),
        )
        return ReportOut.model_validate(saved)

    @routes.get("/reports/{report_id}", dependencies=may("reports:read"), tags=["reports"])
    async def get_report(report_id: str, db: Annotated[AsyncTenantSession, read]) -> ReportOut:
        """Gives one report."""
        return ReportOut.model_validate(await _one(db, report_id))

    @routes.delete("/reports/{report_id}", status_code=NO_CONTENT, dependencies=may("reports:delete"), tags=["reports"])
    async def delete_report(report_id: str, db: Annotated[AsyncTenantSession, write]) -> None:
        """Deletes a report."""
        await AsyncSavedReportRepository(db).delete(await _one(db, report_id))


def usage(routes: APIRouter, pack: Assistant, _: Access) -> None:
    """Adds the route about what the company used."""
    read = reading_of(pack.tenancy)

    @routes.get("/usage", dependencies=may("usage:read"), tags=["usage"])
    async def sum_up(
        db: Annotated[AsyncTenantSession, read],
        by: Literal["user", "provider", "model", "operation"] = "provider",
        since: AwareDatetime | None = None,
        until: AwareDatetime | None = None,
        user_id: int | None = None,
    ) -> UsageOut:
        """Sums up what the company's calls used and cost, from *since* until before *until*."""
        repository = AsyncTokenUsageRepository(db)
        total = await repository.total(user_id=user_id, since=since, until=until)
        found = await repository.totals(by=by, since=since, until=until)
        totals = {_named(key): TotalOut.model_validate(each) for key, each in found.items()}
        return UsageOut(total=TotalOut.model_validate(total), by=by, totals=totals)


def profile(routes: APIRouter, pack: Assistant, _: Access) -> None:
    """Adds the routes about the company's profile."""
    read, write = reading_of(pack.tenancy), writing_of(pack.tenancy)

    @routes.get("/profile", dependencies=may("reports:read"), tags=["profile"])
    async def get_profile(db: Annotated[AsyncTenantSession, read]) -> ProfileOut:
        """Gives the company's profile."""
        found = await AsyncProfileRepository(db).get_own()
        if found is None:
            raise RecordNotFound(model="Profile")
        return ProfileOut.model_validate(found)

    @routes.put("/profile", dependencies=may("settings:update"), tags=["profile"])
    async def change_profile(body: ProfileIn, db: Annotated[AsyncTenantSession, write]) -> ProfileOut:
        """Changes what is said of the company; what is left out stays."""
        changed = await pack.reports.aio.profile(db, **body.model_dump(exclude_unset=True))
        return ProfileOut.model_validate(changed)


def _named(key: Any) -> str:
    return "/".join(str(part) for part in key) if isinstance(key, tuple) else str(key)


async def _one(db: AsyncTenantSession, report_id: str) -> SavedReport:
    found = await AsyncSavedReportRepository(db).get_by_report_id(report_id)
    if found is None:
        raise RecordNotFound(model="SavedReport")
    return found
