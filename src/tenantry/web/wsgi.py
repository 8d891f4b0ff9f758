"""The WSGI door: Flask and plain WSGI applications, through the synchronous sessions."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from tenantry.errors import TenantryError
from tenantry.tenancy import Tenancy
from tenantry.web.context import CARRIER, carry
from tenantry.web.entering import CACHING, CORRELATION_HEADER, PRIVATE, Entry, is_personal
from tenantry.web.incoming import of_environ
from tenantry.web.problems import Problem, problem_of
from tenantry.web.problems_sql import UNSENDABLE
from tenantry.web.resolvers import Resolver

Environ = dict[str, Any]
Start = Callable[..., Any]
Application = Callable[[Environ, Start], Iterable[bytes]]


class WSGITenancyMiddleware:
    """Binds each request of a WSGI application to the tenant that all its resolvers mean.

    Args: as ``TenancyMiddleware``; no resolver may be one to await.

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

    def __call__(self, environ: Environ, start_response: Start) -> Iterable[bytes]:
        """Serves one request: refused with an answer, or passed on with its context in the environ."""
        # Threads serve one request after the other.
        carry(None)
        incoming = of_environ(environ)
        named = self._entry.name(incoming)
        own, personal = self._entry.headers(incoming, named), False

        def start(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
            silent = personal and not any(name.lower() == CACHING.lower() for name, _ in headers)
            return start_response(status, [*headers, *own, *([(CACHING, PRIVATE)] if silent else [])], *more)

        try:
            context = self._entry.context(incoming, named)
            personal = is_personal(context)
            environ[CARRIER] = context
            carry(context)
            return _Body(self.app(environ, start))
        except Exception as error:
            carry(None)
            problem = problem_of(error)
            if problem is None:
                raise
            # PEP 3333: with the error it may be called again, and raises it where an answer has gone out.
            start(f"{problem.status} {problem.reason}", problem.headers(), sys.exc_info())
            return [problem.body()]


class _Body:
    """An answer's body, after which the thread serves nobody."""

    def __init__(self, inner: Iterable[bytes]) -> None:
        self._inner = inner

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._inner)

    def close(self) -> None:
        try:
            getattr(self._inner, "close", _nothing)()
        finally:
            carry(None)


def answer_errors(app: Any) -> None:
    """Has a Flask application answer Tenantry's and the database's errors like the middleware does.

    Flask answers what its views raise before the middleware could see it.
    """
    for kind in (TenantryError, SQLAlchemyError, *UNSENDABLE):
        app.register_error_handler(kind, _answer)


def _answer(error: Exception) -> tuple[bytes, int, list[tuple[str, str]]]:
    problem: Problem | None = problem_of(error)
    if problem is None:
        raise error
    return problem.body(), problem.status, problem.headers()


def _nothing() -> None:
    """An iterable without close() has nothing to close."""
