"""What the assistant's routes have in common: who asks, what they may, and the session that they get."""

import dataclasses
from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import Depends, Path
from starlette.requests import HTTPConnection

from tenantry.access import Claims
from tenantry.errors import PermissionDenied, TenantRequired
from tenantry.packs.assistant.pack import Assistant
from tenantry.packs.assistant.users import Person
from tenantry.web.context import context_of
from tenantry.web.routes import may

Id = Annotated[int, Path(ge=1, le=2**31 - 1)]

CREATED: Final = HTTPStatus.CREATED
NO_CONTENT: Final = HTTPStatus.NO_CONTENT
# Whoever holds it sees all of the company's conversations, and not only their own.
ADMINISTERS: Final = "admin:access"


def person(pack: Assistant) -> Any:
    """Returns the dependency that says which user asks."""

    async def find(connection: HTTPConnection) -> Person:
        claims = claims_of(connection)
        found = await pack.aio.person(claims)
        # Who looks into a company may there what the look may, not what they may elsewhere.
        return dataclasses.replace(found, permissions=claims.permissions)

    return Depends(find)


def of_platform(permission: str) -> list[Any]:
    """Returns the dependencies of a route for the platform's own people, who have a permission."""

    async def check(connection: HTTPConnection) -> None:
        claims = claims_of(connection)
        if claims.tenant is not None:
            raise PermissionDenied(subject=claims.subject, permission=permission, reason="that is the platform's.")

    return [Depends(check), *may(permission)]


def claims_of(connection: HTTPConnection) -> Claims:
    """Returns what the request's token says.

    Raises: TenantRequired for a request without a token.
    """
    claims = context_of(connection.scope).claims
    if not isinstance(claims, Claims):
        raise TenantRequired
    return claims
