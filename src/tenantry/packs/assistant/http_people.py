"""Routes about people: log-ins, the users of a company, and, for the platform, companies."""

import asyncio
from datetime import timedelta
from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import APIRouter
from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.requests import HTTPConnection

from tenantry.access import Access, TokenPair
from tenantry.access.permissions import covers
from tenantry.errors import AccountUnknown, PermissionDenied
from tenantry.packs.assistant.http_common import CREATED, NO_CONTENT, Id, claims_of, of_platform, person
from tenantry.packs.assistant.models_primary import Role, User, given_by
from tenantry.packs.assistant.pack import Assistant
from tenantry.packs.assistant.schemas import Listing
from tenantry.packs.assistant.schemas_people import (
    CompanyIn,
    CompanyOut,
    Credentials,
    LookIn,
    LookOut,
    PasswordChange,
    PersonOut,
    PreferencesIn,
    Refresh,
    TokensOut,
    UserChange,
    UserIn,
    UserOut,
)
from tenantry.packs.assistant.users import Person, company_of
from tenantry.web.context import context_of
from tenantry.web.routes import Limit, Offset, may

PUBLIC: Final = ("/auth/login", "/auth/refresh", "/auth/password")


def log_ins(routes: APIRouter, pack: Assistant, access: Access) -> None:
    """Adds the routes by which people come and go."""
    asks = person(pack)

    @routes.post("/auth/login", tags=["auth"])
    async def log_in(body: Credentials) -> TokensOut:
        """Begins a log-in: the token says who asks, and for which company."""
        return _tokens(await pack.aio.log_in(body.username, body.password))

    @routes.post("/auth/refresh", tags=["auth"])
    async def refresh(body: Refresh) -> TokensOut:
        """Gives the next pair of tokens for the last one's refresh token."""
        return _tokens(await access.aio.refresh(body.refresh_token))

    @routes.post("/auth/password", status_code=NO_CONTENT, tags=["auth"])
    async def change_password(body: PasswordChange) -> None:
        """Chooses another password, which ends every log-in that began with the old one."""
        await access.aio.change_password(body.username, body.password, body.new_password)

    @routes.post("/auth/logout", status_code=NO_CONTENT, tags=["auth"])
    async def log_out(connection: HTTPConnection) -> None:
        """Ends the log-in, with all its tokens."""
        await access.aio.log_out(claims_of(connection))

    @routes.get("/me", tags=["auth"])
    async def me(who: Annotated[Person, asks]) -> PersonOut:
        """Says who asks."""
        return _person(who)

    @routes.patch("/me", tags=["auth"])
    async def prefer(body: PreferencesIn, who: Annotated[Person, asks], connection: HTTPConnection) -> PersonOut:
        """Changes what the user prefers."""

        def work(session: Session) -> None:
            user = pack.users.get(session, who.username)
            for name, value in body.model_dump(exclude_none=True).items():
                setattr(user, name, str(value))

        await pack.aio.on_platform(work)
        return _person(await pack.aio.person(claims_of(connection)))


def users(routes: APIRouter, pack: Assistant, _: Access) -> None:
    """Adds the routes by which a company looks after its users."""

    @routes.get("/users", dependencies=may("users:read"), tags=["users"])
    async def list_users(connection: HTTPConnection, limit: Limit = 50, offset: Offset = 0) -> Listing[UserOut]:
        """Lists the company's users, by name."""

        def work(session: Session) -> Listing[UserOut]:
            company = _company(session, connection)
            found = pack.users.of_company(session, company, limit=limit, offset=offset)
            total = pack.users.count(session, company)
            return Listing(items=[_user(user) for user in found], total=total, limit=limit, offset=offset)

        return await pack.aio.look(work)

    @routes.post("/users", status_code=CREATED, dependencies=may("users:manage"), tags=["users"])
    async def create_user(body: UserIn, connection: HTTPConnection) -> UserOut:
        """Adds a user to the company, with no more than whoever asks may; they log in by the name in the answer."""
        # Hashed beside the event loop: it is slow on purpose.
        hashed = await asyncio.to_thread(pack.users.passwords.hash, body.password)

        def work(session: Session) -> UserOut:
            company = _company(session, connection)
            name = given_by(company, body.username)
            _check_role(session, connection, body.role)
            told: dict[str, Any] = {"email": body.email, "role": body.role, "full_name": body.full_name}
            made = pack.users.create(session, name, hashed=hashed, company_id=company, **told)
            return _user(pack.users.get(session, made.username))

        return await pack.aio.on_platform(work)

    @routes.patch("/users/{username}", dependencies=may("users:manage"), tags=["users"])
    async def change_user(username: str, body: UserChange, connection: HTTPConnection) -> UserOut:
        """Gives a user of the company another role, or closes or reopens the account."""

        def work(session: Session) -> UserOut:
            company = _company(session, connection)
            user = pack.users.get(session, username)
            # Another company's user and nobody's are the same.
            if user.company_id != company:
                raise AccountUnknown(name=username)
            for role in (body.role, None if user.role is None else user.role.name):
                _check_role(session, connection, role)
            return _user(pack.users.change(session, username, role=body.role, is_active=body.is_active))

        return await pack.aio.on_platform(work)


def companies(routes: APIRouter, pack: Assistant, access: Access) -> None:
    """Adds the routes by which the platform looks after companies."""

    @routes.get("/admin/companies", dependencies=of_platform("companies:read"), tags=["admin"])
    async def list_companies(limit: Limit = 50, offset: Offset = 0) -> Listing[CompanyOut]:
        """Lists the companies by their numbers."""
        found = await asyncio.to_thread(pack.companies.list, limit=limit, offset=offset)
        total = await asyncio.to_thread(pack.companies.count)
        items = [CompanyOut.model_validate(company) for company in found]
        return Listing(items=items, total=total, limit=limit, offset=offset)

    @routes.post("/admin/companies", status_code=CREATED, dependencies=of_platform("companies:manage"), tags=["admin"])
    async def create_company(body: CompanyIn) -> CompanyOut:
        """Makes a company, with its database."""
        made = await asyncio.to_thread(pack.companies.create, body.name, industry=body.industry)
        return CompanyOut.model_validate(made)

    @routes.post("/admin/companies/{company_id}/close", dependencies=of_platform("companies:manage"), tags=["admin"])
    async def close_company(company_id: Id) -> CompanyOut:
        """Lets nobody of a company in, until it is reopened."""
        return CompanyOut.model_validate(await asyncio.to_thread(pack.companies.close, company_id))

    @routes.post("/admin/companies/{company_id}/reopen", dependencies=of_platform("companies:manage"), tags=["admin"])
    async def reopen_company(company_id: Id) -> CompanyOut:
        """Lets the people of a company in again."""
        return CompanyOut.model_validate(await asyncio.to_thread(pack.companies.reopen, company_id))

    @routes.post(
        "/admin/companies/{company_id}/look",
        status_code=HTTPStatus.CREATED,
        dependencies=of_platform("admin:impersonate"),
        tags=["admin"],
    )
    async def look_into(company_id: Id, body: LookIn, connection: HTTPConnection) -> LookOut:
        """Gives a token with which to look into a company; the company's record says who did, and why."""
        found = await asyncio.to_thread(pack.companies.get, company_id)
        given = await access.aio.impersonate(
            claims_of(connection),
            pack.companies.key(found.id),
            reason=body.reason,
            role=body.role,
            lasts=timedelta(minutes=body.minutes),
        )
        return LookOut(access_token=given)


def _company(session: Session, connection: HTTPConnection) -> int:
    number = company_of(session, context_of(connection.scope).tenant.id)
    if number is None:
        raise AccountUnknown(name="of this tenant")
    return number


def _check_role(session: Session, connection: HTTPConnection, name: str | None) -> None:
    """Lets a role pass that holds no more than whoever asks; one that is not there is refused elsewhere."""
    claims = claims_of(connection)
    role = session.scalars(select(Role).where(Role.name == name)).one_or_none()
    if role is not None and not covers(claims.permissions, map(str, role.permissions)):
        raise PermissionDenied(subject=claims.subject, permission="users:manage", reason=f"{name} may more than they.")


def _tokens(pair: TokenPair) -> TokensOut:
    return TokensOut(access_token=pair.access, refresh_token=pair.refresh, expires_at=pair.expires_at)


def _person(who: Person) -> PersonOut:
    fields = {name: getattr(who, name) for name in Person.__slots__}
    return PersonOut(**{**fields, "permissions": sorted(who.permissions)})


def _user(user: User) -> UserOut:
    fields = {name: getattr(user, name) for name in UserOut.model_fields}
    return UserOut(**{**fields, "role": None if user.role is None else user.role.name})
