"""The ASGI door: each request and each websocket gets its tenant on entry, and errors become answers in one place."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Collection, MutableMapping, Sequence
from http import HTTPStatus
from typing import Any, Final

from tenantry.tenancy import Tenancy
from tenantry.web.context import CARRIER, carry
from tenantry.web.entering import CACHING, CORRELATION_HEADER, PRIVATE, Entry, is_personal
from tenantry.web.incoming import of_scope
from tenantry.web.problems import Problem, problem_of
from tenantry.web.resolvers import Resolver

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

LOG: Final = logging.getLogger("tenantry.web")

# RFC 6455, section 7.4.1, and the registry it opened: policy violation; try again later.
_REFUSED, _TRY_AGAIN = 1008, 1013
_DENIAL: Final = "websocket.http.response"
_CACHING: Final = CACHING.lower().encode()


class TenancyMiddleware:
    """Binds each request and each websocket of an ASGI application to the tenant that all its resolvers mean.

    Args:
        resolvers: each says a tenant's key or nothing; those that speak must mean the same tenant.
        public: paths, spelt out, at which no resolver is asked, so that an old token does not bar the way to a new one.
        correlation_header: where a request's correlation id is read and answered.

    Raises: ConfigurationError without a resolver.
    """

    def __init__(
        self,
        app: Application,
        tenancy: Tenancy,
        *,
        resolvers: Sequence[Resolver],
        public: Collection[str] = (),
        correlation_header: str = CORRELATION_HEADER,
    ) -> None:
        self.app = app
        self._entry = Entry(tenancy, resolvers, public=public, correlation_header=correlation_header)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request: refused with an answer, or passed on with its context in the scope."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        # Servers hand a pipelined request the context variables of the one before it, as it left them.
        carry(None)
        incoming = of_scope(scope)
        named = self._entry.name(incoming)
        reply = _Reply(scope, send, headers=self._entry.headers(incoming, named), named=named)
        try:
            context = await self._entry.context_async(incoming, named)
            reply.personal = scope["type"] == "http" and is_personal(context)
            carry(context)
            await self.app({**scope, CARRIER: context}, receive, reply.send)
        except Exception as error:
            await reply.refuse(error)
        finally:
            carry(None)


class _Reply:
    """The way back of one request: adds to its first message what each says, and knows whether it has begun."""

    def __init__(self, scope: Scope, send: Send, *, headers: list[tuple[str, str]], named: str) -> None:
        self.named = named
        self.personal = False
        self._scope = scope
        self._send = send
        self._headers = _encoded(headers)
        self._started = False
        self._closed = False

    async def send(self, message: Message) -> None:
        if message["type"] in ("http.response.start", "websocket.accept", f"{_DENIAL}.start"):
            self._started = True
            message = {**message, "headers": self._completed(list(message.get("headers", ())))}
        self._closed = self._closed or message["type"] == "websocket.close"
        await self._send(message)

    def _completed(self, headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        silent = (
            self.personal and self._scope["type"] == "http" and not any(name.lower() == _CACHING for name, _ in headers)
        )
        return [*headers, *self._headers, *([(_CACHING, PRIVATE.encode())] if silent else [])]

    async def refuse(self, error: Exception) -> None:
        """Answers *error*, or raises it again where no answer is known, or one has begun."""
        problem = problem_of(error)
        websocket = self._scope["type"] == "websocket"
        if problem is None or self._closed or (self._started and not websocket):
            raise error
        if problem.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            LOG.warning("%s answered with %d (request %s)", type(error).__name__, problem.status, self.named)
        if not websocket:
            await self._answer(problem, "http.response")
        elif not self._started and _DENIAL in self._scope.get("extensions", {}):
            await self._answer(problem, _DENIAL)
        else:
            code = _TRY_AGAIN if problem.retry_after is not None else _REFUSED
            await self._send({"type": "websocket.close", "code": code, "reason": problem.code})

    async def _answer(self, problem: Problem, kind: str) -> None:
        await self.send({"type": f"{kind}.start", "status": problem.status, "headers": _encoded(problem.headers())})
        await self._send({"type": f"{kind}.body", "body": problem.body()})


def _encoded(headers: list[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
