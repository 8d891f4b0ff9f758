"""The suite for APIs finds nothing in the API of the meetings, whose notes are handed over while it looks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tenantry import Tenancy
from tenantry.access import Tokens
from tenantry.outbox import Relay
from tenantry.packs.meetings import ROLES, Meetings, MeetingsBase, Note, router
from tenantry.testing.apps import Caller
from tenantry.web import application

from .serving import ENGINES, SIDES, Relayed, caller, found, installed, new_slug, new_tokens

pytestmark = pytest.mark.soak

# The plan by which none is refused for what the suite makes, and a domain that both sides' clients have.
BODIES = {
    "PUT /api/workspace/plan": {"plan_tier": "enterprise"},
    "POST /api/accounts": {"email": "bob@client.example", "crm_account_id": "{mark}", "crm_account_name": "{mark}"},
}


class Book:
    """A CRM that takes every note."""

    def write_note(self, note: Note) -> str:
        return f"note-{note.key}"


@pytest.fixture(params=ENGINES)
def served(request: pytest.FixtureRequest, postgres: Any, tmp_path: Path) -> Iterator[tuple[Any, list[Caller]]]:
    tenancy = Tenancy("postgresql://app@production.invalid/meetings", models=MeetingsBase)
    pack = Meetings(tenancy, crms={"hubspot": Book()})
    tokens = new_tokens(ROLES, "meetings")
    with installed(request.param, tenancy, postgres, tmp_path):
        callers = [_caller(pack, tokens, side) for side in SIDES]
        app = application(tenancy, [router(pack)], tokens=tokens, title="Meetings")
        yield Relayed(app, Relay(pack.outbox)), callers


def _caller(pack: Meetings, tokens: Tokens, side: str) -> Caller:
    made = pack.workspaces.install(new_slug(side).upper().replace("-", "_"), side, plan_tier="enterprise")
    return caller(tokens, made, "admin", "billing", ids={"email": ["ann@client.example"]}, bodies=BODIES)


def test_nothing_is_found_in_the_meetings(served: tuple[Any, list[Caller]]) -> None:
    assert found(*served) == ""
