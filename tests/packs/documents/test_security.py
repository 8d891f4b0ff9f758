"""Who may what, asked in the repositories themselves; and what is slow is told."""

from __future__ import annotations

import logging

import pytest

from tenantry.access import Actor, act_as
from tenantry.errors import ConfigurationError, PermissionDenied
from tenantry.observe.tracking import SLOW_SECONDS
from tenantry.packs.documents import Document, SecurityManager, User, track_metrics
from tenantry.packs.documents.permissions import ROLES
from tenantry.session.core import TenantSession

from .cells import Ground, Place

CELLS = ("postgresql-rows", "sqlite-file")
MAY = {
    "viewer": (True, False, False),
    "member": (True, True, False),
    "editor": (True, True, True),
    "admin": (True, True, True),
}


def acting(session: TenantSession, role: str) -> TenantSession:
    actor = Actor("ann@acme.example", tenant=session.tenant.id, permissions=ROLES.permissions([role]))
    act_as(session, actor)
    return session


@pytest.mark.ledger("S2-048", "S2-052", "S2-053")
@pytest.mark.parametrize("role", MAY)
@pytest.mark.parametrize("cell", CELLS)
def test_repositories_ask(ground: Ground, cell: str, role: str) -> None:
    security = SecurityManager(cache=ground.pack(Place(cell, "sync")).cache)
    with ground.session(Place(cell, "sync")) as desk:
        session = acting(desk.session, role)
        documents, topics = security.documents(session), security.topics(session)
        owner = session.query(User).one()
        charter = session.query(Document).filter_by(title="Charter").one()
        calls = (
            lambda: (documents.find_related(charter.id), documents.search("x"), topics.most_used()),
            lambda: documents.create_version(documents.create(title="New", owner_id=owner.id), content="more"),
            lambda: documents.delete(charter),
        )
        for call, allowed in zip(calls, MAY[role], strict=True):
            if allowed:
                call()
            else:
                with pytest.raises(PermissionDenied):
                    call()


@pytest.mark.ledger("S2-054")
def test_whoever_was_not_named_may_nothing(ground: Ground) -> None:
    with ground.session(Place("sqlite-file", "sync")) as desk:
        with pytest.raises(PermissionDenied):
            SecurityManager().documents(desk.session).list()
        with pytest.raises(PermissionDenied):
            SecurityManager().require(desk.session, "documents:read")
        with pytest.raises(ConfigurationError):
            SecurityManager().allows("viewer", "documents")


@pytest.mark.ledger("S2-046")
def test_what_takes_a_second_is_told(ground: Ground, caplog: pytest.LogCaptureFixture) -> None:
    assert SLOW_SECONDS == 1.0

    @track_metrics(name="slowly", slow_threshold_s=0.0)
    def slowly(session: TenantSession) -> None:
        session.query(Document).count()

    with ground.session(Place("sqlite-file", "sync")) as desk, caplog.at_level(logging.WARNING, logger="tenantry.slow"):
        slowly(desk.session)
    (record,) = caplog.records
    assert record.tenantry["tenant"] == "acme-sqlite-file"
