"""A FastAPI application out of a tenancy and routers: every request bound, every error answered alike, described."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from tenantry.errors import ExtraMissing
from tenantry.observe.health import Health
from tenantry.tenancy import Tenancy
from tenantry.web.asgi import TenancyMiddleware
from tenantry.web.problems import MEDIA_TYPE, NOT_FOUND, Problem
from tenantry.web.resolvers import Resolver, Verifies, from_jwt

try:
    from fastapi import APIRouter, FastAPI, Request, Response
    from starlette.exceptions import HTTPException
except ImportError as error:
    raise ExtraMissing(module="tenantry.web.application", extra="web") from error

from tenantry.web.dependencies import answer_invalid_requests

if TYPE_CHECKING:
    from tenantry.access import Access

HEALTH: Final = "/health"
_PAGES: Final = (HEALTH, "/openapi.json", "/docs", "/docs/oauth2-redirect", "/redoc")
_FAULT: Final = Problem(500, "internal", "That is a mistake of the program. It was noted.")
_BEARER: Final = "bearer"

_FORM: Final = {
    "type": "object",
    "required": ["type", "title", "status", "code", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string", "description": "For programs: it stays the same."},
        "detail": {"type": "string"},
        "errors": {"type": "array", "items": {"type": "object"}, "description": "What is wrong where, in a 422."},
    },
}
_ANSWERS: Final[Any] = {
    status: {"description": words, "content": {MEDIA_TYPE: {"schema": _FORM}}}
    for status, words in {"4XX": "Refused, and nothing was changed.", "5XX": "Not done; see the code."}.items()
}


def application(
    tenancy: Tenancy,
    routers: Sequence[APIRouter],
    *,
    tokens: Verifies,
    access: "Access | None" = None,
    title: str,
    resolvers: Sequence[Resolver] | None = None,
    public: Collection[str] = (),
    **options: Any,
) -> FastAPI:
    """Returns an application that serves *routers* to the tenants of a tenancy; it may be mounted below another.

    Args:
        tokens: verifies the token that each request brings, unless *access* does, which also asks whether its log-in
            still stands.
        resolvers: are asked beside the token, and must mean the same tenant.
        public: paths at which nobody is asked, such as that of the log-in; ``/health`` and the documentation are.
        options: whatever ``FastAPI`` takes.

    Raises: ConfigurationError for a FastAPI that is too old.
    """
    app = FastAPI(title=title, lifespan=_closing(tenancy, options.pop("lifespan", None)), responses=_ANSWERS, **options)
    app.state.tenancy = tenancy
    answer_invalid_requests(app)
    app.add_exception_handler(HTTPException, _answer_refused)
    app.add_exception_handler(Exception, _answer_fault)
    app.add_middleware(
        TenancyMiddleware,
        tenancy=tenancy,
        resolvers=[from_jwt(access.aio if access else tokens), *(resolvers or ())],
        public=[*_PAGES, *public],
    )
    _add_health(app, tenancy)
    for router in routers:
        app.include_router(router)
    _describe(app, frozenset([HEALTH, *public]))
    return app


def _closing(tenancy: Tenancy, inner: Any) -> Any:
    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[Mapping[str, Any] | None]:
        async with contextlib.AsyncExitStack() as stack:
            stack.push_async_callback(tenancy.aio.close)
            yield await stack.enter_async_context(inner(app)) if inner else None

    return lifespan


def _add_health(app: FastAPI, tenancy: Tenancy) -> None:
    health = Health(tenancy).aio

    @app.get(HEALTH, summary="Whether the servers answer", tags=["health"])
    async def look(response: Response) -> dict[str, Any]:
        names = [server.name for server in tenancy.servers.all()]
        found = await asyncio.gather(*(health.check_server(name) for name in names))
        healthy = all(check.ok for check in found)
        if not healthy:
            response.status_code = HTTPStatus.SERVICE_UNAVAILABLE
        servers = {name: check.status for name, check in zip(names, found, strict=True)}
        return {"status": "healthy" if healthy else "unhealthy", "servers": servers}


def _describe(app: FastAPI, public: frozenset[str]) -> None:
    """Says in the description that a token is needed, and where none is."""
    describe = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = describe()
            schemes = schema.setdefault("components", {}).setdefault("securitySchemes", {})
            schemes[_BEARER] = {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
            schema["security"] = [{_BEARER: []}]
            for path in public & schema["paths"].keys():
                for operation in schema["paths"][path].values():
                    operation["security"] = []
        return app.openapi_schema or {}

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's way: docs, "Extending OpenAPI"


async def _answer_refused(_: Request, error: Exception) -> Response:
    """Answers what a route, or no route, refuses in the words of HTTP."""
    if not isinstance(error, HTTPException):
        raise error
    problem, headers = _problem(error), dict(error.headers or {})
    if error.status_code in (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED):
        return Response(status_code=error.status_code, headers=headers)
    return Response(problem.body(), problem.status, headers={**dict(problem.headers()), **headers})


def _problem(error: HTTPException) -> Problem:
    status = HTTPStatus(error.status_code)
    if status is HTTPStatus.NOT_FOUND and error.detail == status.phrase:
        # The same bytes, whether there is no such row or no such route.
        return NOT_FOUND
    return Problem(status.value, status.name.lower(), str(error.detail))


async def _answer_fault(_: Request, __: Exception) -> Response:
    # Starlette raises the error again once it is answered, so that the server notes it.
    return Response(_FAULT.body(), _FAULT.status, headers=dict(_FAULT.headers()))
