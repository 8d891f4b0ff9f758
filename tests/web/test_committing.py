"""A route's transaction is committed before its answer goes out: one that fails is never answered by success."""

import contextlib
import uuid
from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any

import pytest
from cells import Ground, Place
from fastapi import Depends, FastAPI
from fastapi.exceptions import DependencyScopeError, FastAPIError

from tenantry import AsyncTenantSession
from tenantry.errors import ConfigurationError
from tenantry.web import (
    TenancyMiddleware,
    from_header,
    tenant_session,
    tenant_transaction,
)
from tenantry.web.dependencies import check_fastapi

from .conftest import DRIVERS, shop_of, subjects
from .models import Ticket
from .serving import Server, serving
from .shop import Parts
from .tokens import Signed

POSTGRESQL = [
    Place("postgresql-rows", "psycopg"),
    Place("postgresql-schema", "asyncpg"),
]


def test_what_is_answered_is_committed(place: Place, shop: Server, ground: Ground) -> None:
    for path in ("/tickets", "/late", "/late/sync"):
        subject = uuid.uuid4().hex
        answer = shop.post(path, {"subject": subject}, x_tenant=f"near-{place.cell}")
        assert (answer.status, subject in subjects(ground, place)) == (201, True)
        assert subject not in subjects(ground, place, "far")


@pytest.mark.parametrize("place", DRIVERS, ids=str)
@pytest.mark.parametrize("path", ["/tickets", "/late", "/late/sync"])
def test_a_commit_that_fails_is_no_success(place: Place, shop: Server, path: str) -> None:
    taken = {"subject": f"near-{place.cell}"}
    answers = [shop.post(path, taken, x_tenant=f"near-{place.cell}") for _ in range(3)]
    assert [(answer.status, answer.json()["code"]) for answer in answers] == [(409, "conflict")] * 3


def test_an_error_of_the_route_takes_its_rows_along(place: Place, shop: Server, ground: Ground) -> None:
    subject = uuid.uuid4().hex
    assert shop.post("/refused", {"subject": subject}, x_tenant=f"near-{place.cell}").status == 418
    assert subject not in subjects(ground, place)


@pytest.mark.parametrize("place", POSTGRESQL, ids=str)
def test_a_commit_that_nobody_confirmed_is_no_success(
    place: Place,
    ground: Ground,
    postgres: Any,
    parts: Callable[[str], Parts],
    tokens: Signed,
) -> None:
    def end_backend(pid: int) -> None:
        with postgres.admin() as connection:
            assert connection.execute("select pg_terminate_backend(%s, 5000)", (pid,)).fetchone() == (True,)

    app = shop_of(parts(place.door), tokens)
    app.state.end_backend = end_backend
    with serving(app) as server:
        made = {path: uuid.uuid4().hex for path in ("/cut", "/cut/sync")}
        paths = list(made) if place.door == "psycopg" else ["/cut"]
        for path in paths:
            answer = server.post(path, {"subject": made[path]}, x_tenant=f"near-{place.cell}")
            assert answer.status == 503
        # The service goes on.
        assert server.get("/async", x_tenant=f"near-{place.cell}").status == 200
    assert set(made.values()).isdisjoint(subjects(ground, place))


def test_a_dependency_of_the_common_kind_says_success_first(ground: Ground, parts: Callable[[str], Parts]) -> None:
    """The control: what this library does not do."""
    tenancy = parts("aiosqlite").tenancy

    async def committing(
        db: Annotated[AsyncTenantSession, Depends(tenant_session(tenancy))],
    ) -> AsyncIterator[Any]:
        yield db
        await db.commit()

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await tenancy.aio.close()

    app = FastAPI(lifespan=lifespan)
    app.add_middleware(TenancyMiddleware, tenancy=tenancy, resolvers=[from_header("X-Tenant")])

    @app.post("/late", status_code=201)
    async def late(db: Annotated[AsyncTenantSession, Depends(committing)]) -> str:
        db.add(Ticket(subject="near-sqlite-file"))
        return "made"

    with serving(app) as server:
        assert server.post("/late", x_tenant="near-sqlite-file").status == 201
    assert subjects(ground, Place("sqlite-file", "sync")).count("near-sqlite-file") == 1


@pytest.mark.parametrize("sync", [False, True])
def test_a_transaction_without_its_scope_is_refused_at_once(parts: Callable[[str], Parts], sync: bool) -> None:
    app, tenancy = FastAPI(), parts("aiosqlite").tenancy
    with pytest.raises(
        (DependencyScopeError, FastAPIError),
        match="cannot depend on dependencies with scope",
    ):

        @app.post("/late")
        def late(
            db: Annotated[Any, Depends(tenant_transaction(tenancy, sync=sync))],
        ) -> None: ...


def test_a_fastapi_without_scopes_is_refused_in_a_sentence() -> None:
    def depends(dependency: Any = None, *, use_cache: bool = True) -> Any:
        return dependency

    with pytest.raises(ConfigurationError, match=r"FastAPI 0\.120\.4 would answer before"):
        check_fastapi(depends, "0.120.4")


def test_a_tenancy_gives_one_dependency_for_one_wish(
    parts: Callable[[str], Parts],
) -> None:
    tenancy = parts("aiosqlite").tenancy
    assert tenant_session(tenancy) is tenant_session(tenancy)
    assert tenant_session(tenancy) is not tenant_session(tenancy, read_only=True)
    assert tenant_transaction(tenancy) is not tenant_transaction(parts("psycopg").tenancy)
