"""The suite for APIs finds nothing in the API of the helpdesk, whose routes it makes rows by itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tenantry import Tenancy
from tenantry.access import Tokens
from tenantry.packs.helpdesk import DESK_ROLES, Agent, Helpdesk, HelpdeskBase, router
from tenantry.testing.apps import Caller
from tenantry.web import application

from .serving import ENGINES, SIDES, caller, found, installed, new_slug, new_tokens

pytestmark = pytest.mark.soak

# What is no article yet is shown to nobody.
BODIES = {"POST /api/articles/{article_id}/steps": {"status": "published"}}


@pytest.fixture(params=ENGINES)
def served(request: pytest.FixtureRequest, postgres: Any, tmp_path: Path) -> Iterator[tuple[Any, list[Caller]]]:
    tenancy = Tenancy("postgresql://app@production.invalid/desk", models=HelpdeskBase)
    pack = Helpdesk(tenancy)
    tokens = new_tokens(DESK_ROLES, "desk")
    with installed(request.param, tenancy, postgres, tmp_path):
        callers = [_caller(tenancy, tokens, new_slug(side)) for side in SIDES]
        yield application(tenancy, [router(pack)], tokens=tokens, title="Desk"), callers


def _caller(tenancy: Tenancy, tokens: Tokens, slug: str) -> Caller:
    made = tenancy.tenants.create(slug, record={"name": slug, "platform": "freshdesk"})
    with tenancy.transaction(made) as session:
        session.add(Agent(agent_id=f"agent-{slug}", name=f"Agent of {slug}"))
    return caller(tokens, made, "admin", bodies=BODIES)


def test_nothing_is_found_in_the_helpdesk(served: tuple[Any, list[Caller]]) -> None:
    assert found(*served) == ""
