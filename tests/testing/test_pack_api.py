"""The suite for APIs finds nothing in the API of the helpdesk, whose routes it makes rows by itself."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tenantry import Tenancy
from tenantry.access import TokenKey, Tokens
from tenantry.packs.helpdesk import DESK_ROLES, Agent, Helpdesk, HelpdeskBase, router
from tenantry.testing import installing
from tenantry.testing.apps import Caller, leaks_of
from tenantry.testing.servers import Server
from tenantry.web import application

pytestmark = pytest.mark.soak

# A step is only granted from where it leads on: each is a body that fits once.
STEPS = ["POST /api/tickets/{ticket_id}/steps", "POST /api/articles/{article_id}/steps"]


@pytest.fixture(params=["postgresql", "sqlite"])
def served(request: pytest.FixtureRequest, postgres: Any, tmp_path: Path) -> Iterator[tuple[Any, list[Caller]]]:
    tenancy = Tenancy("postgresql://app@production.invalid/desk", models=HelpdeskBase)
    pack = Helpdesk(tenancy)
    lending = (
        installing.installed_on_sqlite(tenancy, tmp_path)
        if request.param == "sqlite"
        else installing.installed_on_postgresql(tenancy, Server(postgres.url()))
    )
    key = TokenKey("test", secrets.token_bytes(32))
    tokens = Tokens([key], issuer="https://id.example", audience="desk", roles=DESK_ROLES)
    with lending:
        callers = [_caller(tenancy, tokens, f"{side}-{secrets.token_hex(4)}") for side in ("near", "far")]
        yield application(tenancy, [router(pack)], tokens=tokens, title="Desk"), callers


def _caller(tenancy: Tenancy, tokens: Tokens, slug: str) -> Caller:
    made = tenancy.tenants.create(slug, record={"name": slug, "platform": "freshdesk"})
    with tenancy.transaction(made) as session:
        session.add(Agent(agent_id=f"agent-{slug}", name=f"Agent of {slug}"))
    token = tokens.issue("ann", tenant=made.id, roles=["admin"])
    return Caller({"Authorization": f"Bearer {token}"}, [slug, str(made.id)])


def test_nothing_is_found_in_the_helpdesk(served: tuple[Any, list[Caller]]) -> None:
    app, (near, far) = served
    assert leaks_of(app, a=near, b=far, untried=STEPS) == []
