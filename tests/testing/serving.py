"""What the tries of the packs' APIs share: a pack installed on either database, and callers with tokens."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from tenantry import Tenancy
from tenantry.access import Roles, TokenKey, Tokens
from tenantry.outbox import Relay
from tenantry.testing import installing
from tenantry.testing.apps import Caller, leaks_of
from tenantry.testing.servers import Server
from tenantry.types import Tenant

ENGINES = ("postgresql", "sqlite")
SIDES = ("near", "far")


def installed(engine: str, tenancy: Tenancy, postgres: Any, directory: Path) -> AbstractContextManager[Tenancy]:
    """Leads a tenancy to a database of its own, entered as in production, for one block."""
    if engine == "sqlite":
        return installing.installed_on_sqlite(tenancy, directory)
    return installing.installed_on_postgresql(tenancy, Server(postgres.url()))


def new_tokens(roles: Roles, audience: str) -> Tokens:
    """Returns tokens with a key of their own."""
    key = TokenKey("test", secrets.token_bytes(32))
    return Tokens([key], issuer="https://id.example", audience=audience, roles=roles)


def new_slug(side: str) -> str:
    """Returns a slug that stands nowhere yet."""
    return f"{side}-{secrets.token_hex(4)}"


def bearer(tokens: Tokens, tenant: Tenant, *roles: str, subject: str = "ann") -> dict[str, str]:
    """Returns the header of somebody of a tenant's."""
    return {"Authorization": f"Bearer {tokens.issue(subject, tenant=tenant.id, roles=list(roles))}"}


def caller(
    tokens: Tokens,
    tenant: Tenant,
    *roles: str,
    subject: str = "ann",
    ids: Mapping[str, Sequence[str]] | None = None,
    bodies: Mapping[str, Any] | None = None,
) -> Caller:
    """Returns who calls for a tenant, known by its slug and its id."""
    return Caller(
        bearer(tokens, tenant, *roles, subject=subject), [tenant.slug, str(tenant.id)], ids or {}, bodies or {}
    )


def found(app: Any, callers: Sequence[Caller], *, untried: Sequence[str] = ()) -> str:
    """Returns what the suite finds, a line each."""
    near, far = callers
    return "\n".join(str(each) for each in leaks_of(app, a=near, b=far, untried=untried))


class Relayed:
    """An application that hands over, after each request, what that left in the outbox."""

    def __init__(self, app: Any, relay: Relay) -> None:
        self.app, self.relay, self.routes = app, relay, app.routes

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(scope, receive, send)
        if scope["type"] == "http" and scope["method"] != "GET":
            await asyncio.to_thread(self.relay.sweep)
