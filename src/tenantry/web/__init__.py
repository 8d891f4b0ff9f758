"""The web's edge: which tenant a request is for, its one session, and what a client is told of an error."""

import importlib
from typing import TYPE_CHECKING, Any

from tenantry.web.asgi import TenancyMiddleware
from tenantry.web.context import TenantContext, context_of, request_context
from tenantry.web.incoming import Incoming
from tenantry.web.opening import request_session, request_session_async
from tenantry.web.problems import Problem, problem_of
from tenantry.web.resolvers import Resolver, Said, from_header, from_jwt, from_path, from_subdomain
from tenantry.web.wsgi import WSGITenancyMiddleware, answer_errors

if TYPE_CHECKING:
    from tenantry.web.applications import application
    from tenantry.web.dependencies import (
        answer_invalid_requests,
        get_tenant_context,
        idempotent,
        permitted,
        rate_limit,
        tenant_session,
        tenant_transaction,
    )

__all__ = [
    "Incoming",
    "Problem",
    "Resolver",
    "Said",
    "TenancyMiddleware",
    "TenantContext",
    "WSGITenancyMiddleware",
    "answer_errors",
    "answer_invalid_requests",
    "application",
    "context_of",
    "from_header",
    "from_jwt",
    "from_path",
    "from_subdomain",
    "get_tenant_context",
    "idempotent",
    "permitted",
    "problem_of",
    "rate_limit",
    "request_context",
    "request_session",
    "request_session_async",
    "tenant_session",
    "tenant_transaction",
]

# Only these need FastAPI: the middleware serves any ASGI or WSGI application.
_FASTAPI = {
    "application": "applications",
    "answer_invalid_requests": "dependencies",
    "get_tenant_context": "dependencies",
    "idempotent": "dependencies",
    "permitted": "dependencies",
    "rate_limit": "dependencies",
    "tenant_session": "dependencies",
    "tenant_transaction": "dependencies",
}


def __getattr__(name: str) -> Any:
    if name not in _FASTAPI:
        raise AttributeError(f"module 'tenantry.web' has no attribute {name!r}")
    found = globals()[name] = getattr(importlib.import_module(f"tenantry.web.{_FASTAPI[name]}"), name)
    return found
