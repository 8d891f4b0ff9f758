"""Routes ask who may: over real sockets, with tokens of real log-ins, of one tenant and of its neighbour."""

import contextlib
import itertools
from collections.abc import AsyncIterator, Iterator
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI
from web.serving import Server, serving

from tenantry import AsyncTenantSession, Tenancy, TenantSession
from tenantry.access import SEEDED, requires
from tenantry.web import TenancyMiddleware, from_header, from_jwt, permitted, tenant_session

from .stage import Stage

DOORS = ["postgresql-psycopg", "sqlite-aiosqlite"]
ASKED = ("documents:read", "documents:create", "users:delete", "companies:create")
ROLES = tuple(SEEDED)


def application(stage: Stage) -> FastAPI:
    """Returns an application with a route for each permission, asked for in each way."""
    tenancy = stage.tenancy

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await tenancy.aio.close()

    app = FastAPI(lifespan=lifespan)
    app.add_middleware(
        TenancyMiddleware, tenancy=tenancy, resolvers=[from_jwt(stage.access.aio), from_header("X-Tenant")]
    )
    for permission in ASKED:
        _add_routes(app, tenancy, permission)
    return app


def _add_routes(app: FastAPI, tenancy: Tenancy, permission: str) -> None:
    plain, awaited = tenant_session(tenancy, sync=True), tenant_session(tenancy)

    @app.get(f"/dependency/{permission}", dependencies=[Depends(permitted(permission))])
    def dependency() -> str:
        return "done"

    @app.get(f"/decorated/{permission}")
    @requires(permission)
    def decorated(db: Annotated[TenantSession, Depends(plain)]) -> str:
        return db.info["actor"]

    @app.get(f"/awaited/{permission}")
    @requires(permission)
    async def decorated_async(db: Annotated[AsyncTenantSession, Depends(awaited)]) -> str:
        return db.info["actor"]


@pytest.fixture
def server(stage: Stage) -> Iterator[Server]:
    with serving(application(stage)) as running:
        yield running


def bearer(token: str, **headers: str) -> dict[str, Any]:
    return {"authorization": f"Bearer {token}", **headers}


@pytest.mark.parametrize("door", DOORS)
def test_every_role_gets_through_where_it_may_and_nowhere_else(stage: Stage, server: Server) -> None:
    tokens = {}
    for role in ROLES:
        stage.account(role, "near", role)
        tokens[role] = stage.enter(role).access
    wrong = []
    for role, permission, way in itertools.product(ROLES, ASKED, ("dependency", "decorated", "awaited")):
        status = server.get(f"/{way}/{permission}", **bearer(tokens[role])).status
        wrong += (
            [] if status == (200 if SEEDED.allows(role, permission) else 403) else [(role, permission, way, status)]
        )
    assert wrong == []


@pytest.mark.parametrize("door", DOORS)
def test_nobody_gets_into_another_tenant_or_in_after_the_end(stage: Stage, server: Server) -> None:
    for name, tenant, role in (("ann", "near", "admin"), ("root", None, "super_admin")):
        stage.account(name, tenant, role)
    path, pair, root = "/awaited/documents:read", stage.enter("ann"), stage.enter("root")
    guise = stage.call("impersonate", stage.call("verify", root.access), "far", reason="ticket 4711")
    asked = {
        "hers": (path, bearer(pair.access)),
        "hers, and said so": (path, bearer(pair.access, x_tenant="near")),
        "the neighbour's": (path, bearer(pair.access, x_tenant="far")),
        "of the platform": (path, bearer(root.access)),
        "of the platform, with a company named": (path, bearer(root.access, x_tenant="near")),
        "a look into the company": (path, bearer(guise)),
        "a look, and more": ("/awaited/documents:create", bearer(guise)),
        "no token": (path, {"x_tenant": "near"}),
        "a refresh token": (path, bearer(pair.refresh)),
    }
    found = {name: server.get(where, **headers).status for name, (where, headers) in asked.items()}
    assert found == {
        "hers": 200,
        "hers, and said so": 200,
        "the neighbour's": 403,
        "of the platform": 401,
        "of the platform, with a company named": 403,
        "a look into the company": 200,
        "a look, and more": 403,
        "no token": 401,
        "a refresh token": 401,
    }
    stage.run(lambda session: stage.accounts.set_roles(session, "ann", []))
    assert server.get(path, **bearer(pair.access)).status == 403
    stage.call("log_out", stage.call("verify", pair.access))
    assert server.get(path, **bearer(pair.access)).status == 401
