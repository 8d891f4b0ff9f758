"""FastAPI's dependencies: one session per request, committed before the answer goes out; limits; idempotency."""

import functools
import hashlib
import inspect
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, overload

from tenantry.errors import ConfigurationError, ExtraMissing, InvalidIdempotencyKey, TenantRequired
from tenantry.idempotency.core import Call, Idempotency
from tenantry.limits.rates import Rates
from tenantry.limits.rules import Decision, Rule
from tenantry.session.aio import AsyncTenantSession
from tenantry.session.core import TenantSession
from tenantry.tenancy import Tenancy
from tenantry.web.context import TenantContext, context_of
from tenantry.web.opening import request_session, request_session_async
from tenantry.web.problems import INVALID, MEDIA_TYPE

try:
    import fastapi
    from fastapi import Depends, Request, Response
    from fastapi.exceptions import RequestValidationError
    from starlette.requests import HTTPConnection
except ImportError as error:
    raise ExtraMissing(module="tenantry.web's FastAPI dependencies", extra="web") from error

if TYPE_CHECKING:
    from tenantry.access import Actor

REPLAYED: Final = "Idempotency-Replayed"

AsyncSessionDependency = Callable[..., AsyncIterator[AsyncTenantSession]]
SessionDependency = Callable[..., Iterator[TenantSession]]


def check_fastapi(depends: Callable[..., Any], version: str) -> None:
    """Lets a FastAPI pass whose dependencies can end before the answer goes out.

    Raises: ConfigurationError for an older one.
    """
    if "scope" not in inspect.signature(depends).parameters:
        raise ConfigurationError(
            what=f"FastAPI {version} would answer before a dependency commits, and say 200 where nothing was written.",
            fix='Run: pip install --upgrade "tenantry[web]"',
        )


check_fastapi(Depends, fastapi.__version__)


async def ends_before_the_answer() -> AsyncIterator[None]:
    """Makes FastAPI refuse, when a route is declared, whoever needs this and has not the scope "function"."""
    yield


_IN_TIME: Final = Depends(ends_before_the_answer, scope="function")


def answer_invalid_requests(app: fastapi.FastAPI) -> None:
    """Has FastAPI answer requests of the wrong form as problem+json, with what is wrong where, but without the values.

    Its own answer repeats them, and is a 500 where they are no JSON: a number too large, text that is not Unicode.
    """
    app.add_exception_handler(RequestValidationError, _answer_invalid)


def _answer_invalid(_: Request, error: Exception) -> Response:
    found = error.errors() if isinstance(error, RequestValidationError) else []
    wrong = [{name: each[name] for name in ("loc", "type", "msg")} for each in found]
    content = json.dumps({**INVALID.told(), "errors": wrong})
    return Response(content, INVALID.status, media_type=MEDIA_TYPE)


async def get_tenant_context(connection: HTTPConnection) -> TenantContext:
    """Returns who asks and for which tenant; a dependency for routes and websockets, and a function for any ASGI app.

    Raises: TenantRequired for a request without a tenant; ConfigurationError for one that passed no middleware.
    """
    context = context_of(connection.scope)
    _ = context.tenant
    return context


@overload
def tenant_session(
    tenancy: Tenancy, *, sync: Literal[False] = False, read_only: bool = False, isolation_level: str | None = None
) -> AsyncSessionDependency: ...
@overload
def tenant_session(
    tenancy: Tenancy, *, sync: Literal[True], read_only: bool = False, isolation_level: str | None = None
) -> SessionDependency: ...
def tenant_session(
    tenancy: Tenancy, *, sync: bool = False, read_only: bool = False, isolation_level: str | None = None
) -> AsyncSessionDependency | SessionDependency:
    """Makes the dependency that gives a request its one session, of its own tenant; the route commits.

    With *sync* it is a ``TenantSession``, for routes that are plain functions. All who ask for the same in one request
    share one session.

    Raises: ConfigurationError for a FastAPI that is too old; in a request TenantRequired, and as ``Tenancy.session``.
    """
    return (_session if sync else _session_async)(tenancy, read_only, isolation_level)


@overload
def tenant_transaction(
    tenancy: Tenancy, *, sync: Literal[False] = False, isolation_level: str | None = None
) -> AsyncSessionDependency: ...
@overload
def tenant_transaction(
    tenancy: Tenancy, *, sync: Literal[True], isolation_level: str | None = None
) -> SessionDependency: ...
def tenant_transaction(
    tenancy: Tenancy, *, sync: bool = False, isolation_level: str | None = None
) -> AsyncSessionDependency | SessionDependency:
    """Makes the dependency that commits the request's session when the route has returned, and before it is answered.

    Write ``Depends(tenant_transaction(tenancy), scope="function")``: FastAPI refuses to start without the scope.

    Raises: as ``tenant_session``, and OutcomeUnknown.
    """
    return (_transaction if sync else _transaction_async)(tenancy, isolation_level)


# FastAPI knows a dependency by the function itself: the same one for the same tenancy is one session per request.
@functools.cache
def _session(tenancy: Tenancy, read_only: bool, isolation_level: str | None) -> SessionDependency:
    def tenant_session(connection: HTTPConnection) -> Iterator[TenantSession]:
        context = context_of(connection.scope)
        with request_session(tenancy, context, read_only=read_only, isolation_level=isolation_level) as session:
            yield session

    return tenant_session


@functools.cache
def _session_async(tenancy: Tenancy, read_only: bool, isolation_level: str | None) -> AsyncSessionDependency:
    async def tenant_session(connection: HTTPConnection) -> AsyncIterator[AsyncTenantSession]:
        context = context_of(connection.scope)
        opening = request_session_async(tenancy, context, read_only=read_only, isolation_level=isolation_level)
        async with opening as session:
            yield session

    return tenant_session


@functools.cache
def _transaction(tenancy: Tenancy, isolation_level: str | None) -> SessionDependency:
    opened = Depends(_session(tenancy, False, isolation_level))

    def tenant_transaction(
        _: Annotated[None, _IN_TIME], session: Annotated[TenantSession, opened]
    ) -> Iterator[TenantSession]:
        yield session
        session.commit()

    return tenant_transaction


@functools.cache
def _transaction_async(tenancy: Tenancy, isolation_level: str | None) -> AsyncSessionDependency:
    opened = Depends(_session_async(tenancy, False, isolation_level))

    async def tenant_transaction(
        _: Annotated[None, _IN_TIME], session: Annotated[AsyncTenantSession, opened]
    ) -> AsyncIterator[AsyncTenantSession]:
        yield session
        await session.commit()

    return tenant_transaction


def rate_limit(
    rates: Rates, resource: str, *, cost: int = 1, limit: Rule | None = None
) -> Callable[..., Awaitable[Decision]]:
    """Makes the dependency that takes *cost* of a resource for the request's tenant, before the route runs.

    Raises: in a request TenantRequired, and as ``Rates.consume_or_raise``.
    """

    async def take(connection: HTTPConnection) -> Decision:
        tenant = context_of(connection.scope).tenant
        return await rates.aio.consume_or_raise(tenant, resource, cost=cost, limit=limit)

    return take


def permitted(permission: str) -> "Callable[..., Awaitable[Actor]]":
    """Makes the dependency that lets a request in whose token holds a permission, such as ``tickets:read``.

    Raises: in a request TenantRequired where nobody says who they are, PermissionDenied.
    """
    from tenantry.access import require  # noqa: PLC0415  # needs an extra of its own

    async def check(connection: HTTPConnection) -> "Actor":
        claims = context_of(connection.scope).claims
        if claims is None:
            raise TenantRequired
        return require(claims, permission)

    return check


@overload
def idempotent(
    idempotency: Idempotency, tenancy: Tenancy, *, sync: Literal[False] = False, wait: float = 0.0
) -> Callable[..., AsyncIterator[Call]]: ...
@overload
def idempotent(
    idempotency: Idempotency, tenancy: Tenancy, *, sync: Literal[True], wait: float = 0.0
) -> Callable[..., Iterator[Call]]: ...
def idempotent(
    idempotency: Idempotency, tenancy: Tenancy, *, sync: bool = False, wait: float = 0.0
) -> Callable[..., AsyncIterator[Call]] | Callable[..., Iterator[Call]]:
    """Makes the dependency that gives a route its ``Call``, by the header Idempotency-Key, inside its transaction.

    The route works where ``call.first`` is true and sets ``call.answer``, and returns ``call.answer``. The same key is
    the same request only with the same method, path, query, body and actor. Use it with ``scope="function"``.

    Raises: in a request InvalidIdempotencyKey without the header, and as ``Idempotency.once``, ``tenant_transaction``.
    """
    return (_idempotent if sync else _idempotent_async)(idempotency, tenancy, wait)


@dataclass(frozen=True, slots=True)
class _Asked:
    key: str
    scope: str
    payload: str


async def _asked(request: Request) -> _Asked:
    context, keys = context_of(request.scope), request.headers.getlist("Idempotency-Key")
    if len(keys) != 1:
        raise InvalidIdempotencyKey(part="key", reason=f"the request has {len(keys)} headers Idempotency-Key.")
    told = "\n".join([request.method, request.url.path, request.url.query, context.actor or ""])
    try:
        payload = await request.body()
    except RuntimeError as error:
        raise ConfigurationError(
            what="A form was read before its bytes could be compared.", fix="Take JSON in routes that are idempotent."
        ) from error
    return _Asked(keys[0], f"{request.method} {_digest(told.encode())}", _digest(payload))


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@functools.cache
def _idempotent(idempotency: Idempotency, tenancy: Tenancy, wait: float) -> Callable[..., Iterator[Call]]:
    opened = Depends(_transaction(tenancy, None), scope="function")

    def idempotent(
        response: Response, asked: Annotated[_Asked, Depends(_asked)], session: Annotated[TenantSession, opened]
    ) -> Iterator[Call]:
        with idempotency.once(session, asked.key, payload=asked.payload, scope=asked.scope, wait=wait) as call:
            _tell(response, call)
            yield call

    return idempotent


@functools.cache
def _idempotent_async(idempotency: Idempotency, tenancy: Tenancy, wait: float) -> Callable[..., AsyncIterator[Call]]:
    opened = Depends(_transaction_async(tenancy, None), scope="function")

    async def idempotent(
        response: Response, asked: Annotated[_Asked, Depends(_asked)], session: Annotated[AsyncTenantSession, opened]
    ) -> AsyncIterator[Call]:
        once = idempotency.aio.once(session, asked.key, payload=asked.payload, scope=asked.scope, wait=wait)
        async with once as call:
            _tell(response, call)
            yield call

    return idempotent


def _tell(response: Response, call: Call) -> None:
    if not call.first:
        response.headers[REPLAYED] = "true"
