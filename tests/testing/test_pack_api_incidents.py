"""The suite for APIs finds nothing in the API of incidents, of which every route is exercised."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tenantry import Tenancy
from tenantry.packs.incidents import ROLES, Incidents, IncidentsBase, Workflow, router
from tenantry.testing.apps import Caller, leaks_of
from tenantry.web import application

from .serving import ENGINES, SIDES, caller, installed, new_slug, new_tokens

pytestmark = pytest.mark.soak

# An incident rises from what tells of a failure.
FAILURE = {
    "event_type": "payment.failed",
    "payload": {"error_code": "{mark}"},
    "idempotency_key": "{mark}",
    "occurred_at": "2026-03-02T08:00:00Z",
    "correlation_id": "run-{mark}",
}


@pytest.fixture(params=ENGINES)
def served(request: pytest.FixtureRequest, postgres: Any, tmp_path: Path) -> Iterator[tuple[Any, list[Caller]]]:
    tenancy = Tenancy("postgresql://app@production.invalid/incidents", models=IncidentsBase)
    pack, tokens = Incidents(tenancy), new_tokens(ROLES, "incidents")
    with installed(request.param, tenancy, postgres, tmp_path):
        pack.prepare()
        callers = [_caller(tenancy, tokens, side) for side in SIDES]
        yield application(tenancy, [router(pack)], tokens=tokens, title="Incidents"), callers


def _caller(tenancy: Tenancy, tokens: Any, side: str) -> Caller:
    slug = new_slug(side)
    made = tenancy.tenants.create(slug, record={"name": slug})
    with tenancy.transaction(made) as session:
        workflow = Workflow(name=f"of {slug}")
        session.add(workflow)
        session.flush()
        bodies = {"POST /events": {**FAILURE, "workflow_id": str(workflow.id)}}
    # A vendor is the platform's: no route lists it.
    return caller(tokens, made, "admin", ids={"name": ["payments"]}, bodies=bodies)


def test_nothing_is_found_in_incidents(served: tuple[Any, list[Caller]]) -> None:
    app, (near, far) = served
    assert leaks_of(app, a=near, b=far) == []
