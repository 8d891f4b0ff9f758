"""To act as another takes a permission, a reason and an end, and stands on the tenant's record first."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tenantry.access import Access, Claims, act_as, can
from tenantry.errors import ConfigurationError, ImpersonationRefused, PermissionDenied, TenantNotFound, TokenRefused

from .stage import DOORS, Document, Stage

everywhere = pytest.mark.parametrize("door", DOORS)
in_both_databases = pytest.mark.parametrize("door", ["postgresql-sync", "sqlite-sync"])
REASON = "ticket 4711"


def root(stage: Stage) -> Claims:
    stage.account("root", None, "super_admin")
    return stage.call("verify", stage.enter("root").access)


def entries(stage: Stage, slug: str = "near") -> list[Any]:
    with stage.tenancy.session(slug) as session:
        return stage.audit.entries(session, newest_first=True)


@everywhere
def test_a_look_into_a_company_is_explicit_and_on_the_record(stage: Stage) -> None:
    claims, before = root(stage), len(entries(stage))
    with stage.tenancy.session("near") as session, pytest.raises(PermissionDenied):
        act_as(session, claims)
    token = stage.call("impersonate", claims, "near", reason=REASON, lasts=timedelta(minutes=5))
    seen = stage.call("verify", token)
    assert (seen.subject, seen.impersonator) == (claims.subject, claims.subject)
    assert (seen.tenant, seen.roles) == (stage.tenant("near").id, {"viewer"})
    assert seen.expires_at - seen.issued_at == timedelta(minutes=5)
    newest, *others = entries(stage)
    assert len(others) == before
    told = (newest.event_type, newest.description, newest.actor, newest.impersonator)
    assert told == ("access.impersonated", REASON, claims.subject, claims.subject)
    with stage.tenancy.transaction("near") as session:
        act_as(session, seen)
        assert can(session, "documents:read")
        assert not can(session, "documents:create")
        stage.audit.record(session, event_type="document.read", category="data", description="read")
    assert entries(stage)[0].impersonator == claims.subject
    assert stage.call("log_out", seen)
    with pytest.raises(TokenRefused):
        stage.call("verify", token)
    assert stage.call("verify", stage.enter("root").access)


@everywhere
def test_whoever_acts_as_a_user_has_what_the_user_has_and_no_longer_than_both_may(stage: Stage) -> None:
    claims = root(stage)
    ann = stage.account("ann", "near", "analyst")
    token = stage.call("impersonate", claims, "near", subject=ann, reason=REASON)
    seen = stage.call("verify", token)
    assert (seen.subject, seen.impersonator, seen.roles) == (ann, claims.subject, {"analyst"})
    stage.run(lambda session: stage.accounts.set_roles(session, "ann", ["viewer"]))
    assert stage.call("verify", token).roles == {"viewer"}
    stage.run(lambda session: stage.accounts.close(session, "ann"))
    with pytest.raises(TokenRefused):
        stage.call("verify", token)
    stage.run(lambda session: stage.accounts.reopen(session, "ann"))
    assert stage.call("verify", token)
    stage.run(lambda session: stage.accounts.set_roles(session, "root", ["admin"]))
    with pytest.raises(TokenRefused, match="no more"):
        stage.call("verify", token)
    stage.run(lambda session: stage.accounts.set_roles(session, "root", ["super_admin"]))
    assert stage.call("log_out_everywhere", claims.subject) == 2
    with pytest.raises(TokenRefused):
        stage.call("verify", token)


@in_both_databases
def test_whoever_has_moved_away_or_would_gain_more_acts_no_longer(stage: Stage) -> None:
    stage.account("helper", "near", "viewer", permissions=["admin:impersonate"])
    ann = stage.account("ann", "near", "viewer")
    claims = stage.call("verify", stage.enter("helper").access)
    tokens = [stage.call("impersonate", claims, "near", reason=REASON, subject=subject) for subject in (ann, None)]

    def still(token: str) -> bool:
        try:
            return stage.call("verify", token) is not None
        except TokenRefused:
            return False

    accounts = stage.accounts.table
    assert list(map(still, tokens)) == [True, True]
    stage.run(lambda session: stage.accounts.set_roles(session, "ann", ["admin"]))
    assert list(map(still, tokens)) == [False, True]
    stage.run(lambda session: stage.accounts.set_roles(session, "ann", ["viewer"]))
    away = accounts.update().where(accounts.c.name == "helper").values(tenant=stage.tenant("far").id)
    stage.run(lambda session: session.execute(away))
    assert list(map(still, tokens)) == [False, False]


@everywhere
def test_it_is_refused_without_a_trace_where_it_must_not_be(stage: Stage) -> None:
    claims = root(stage)
    ann, far = stage.account("ann", "near", "admin"), stage.account("cem", "far", "viewer")
    helper = stage.account("helper", "near", "viewer", permissions=["admin:impersonate"])
    closed = stage.account("closed", "near", "viewer")
    stage.run(lambda session: stage.accounts.close(session, "closed"))
    users, helpers = (stage.call("verify", stage.enter(name).access) for name in ("ann", "helper"))
    inside = stage.call("verify", stage.call("impersonate", claims, "near", reason=REASON, role="super_admin"))
    before = len(entries(stage)) + len(entries(stage, "far"))
    for who, tenant, options, error in [
        (claims, "near", {"reason": " "}, ImpersonationRefused),
        (claims, "near", {"lasts": timedelta()}, ImpersonationRefused),
        (claims, "near", {"lasts": timedelta(hours=2)}, ImpersonationRefused),
        (claims, "near", {"role": "owner"}, ConfigurationError),
        (claims, "near", {"subject": far}, ImpersonationRefused),
        (claims, "near", {"subject": closed}, ImpersonationRefused),
        (claims, "near", {"subject": "nobody"}, ImpersonationRefused),
        (claims, "nowhere", {}, TenantNotFound),
        (users, "near", {"subject": helper}, ImpersonationRefused),
        (helpers, "near", {"subject": ann}, ImpersonationRefused),
        (helpers, "near", {"role": "analyst"}, ImpersonationRefused),
        (helpers, "far", {}, ImpersonationRefused),
        (inside, "near", {}, ImpersonationRefused),
    ]:
        with pytest.raises(error):
            stage.call("impersonate", who, tenant, **{"reason": REASON, **options})
    assert len(entries(stage)) + len(entries(stage, "far")) == before
    assert stage.call("verify", stage.call("impersonate", helpers, "near", reason=REASON)).roles == {"viewer"}


@everywhere
def test_who_may_not_act_in_a_tenant_is_not_told_whether_it_is_there(stage: Stage) -> None:
    stage.account("ann", "near", "viewer")
    stage.account("helper", "near", "viewer", permissions=["admin:impersonate"])
    for name in ("ann", "helper"):
        claims, refused = stage.call("verify", stage.enter(name).access), []
        for tenant in ("far", "nowhere", stage.tenant("far").id):
            with pytest.raises(ImpersonationRefused) as caught:
                stage.call("impersonate", claims, tenant, reason=REASON)
            refused.append(str(caught.value))
        assert len(set(refused)) == 1


@everywhere
def test_what_the_claims_said_when_they_were_read_does_not_count(stage: Stage) -> None:
    claims = root(stage)
    stage.run(lambda session: stage.accounts.set_roles(session, "root", ["admin"]))
    with pytest.raises(ImpersonationRefused):
        stage.call("impersonate", claims, "near", reason=REASON)
    stage.run(lambda session: stage.accounts.set_roles(session, "root", ["super_admin"]))
    assert stage.call("impersonate", claims, "near", reason=REASON)
    stage.call("log_out", claims)
    with pytest.raises(TokenRefused):
        stage.call("impersonate", claims, "near", reason=REASON)


@in_both_databases
def test_without_a_record_nobody_acts_as_another(stage: Stage) -> None:
    claims = root(stage)
    access = stage.access
    unrecorded = Access(stage.tenancy, tokens=access.tokens, accounts=stage.accounts)
    with pytest.raises(ImpersonationRefused, match="no record"):
        unrecorded.impersonate(claims, "near", reason=REASON)

    def broken(session: Any, **event: Any) -> None:
        session.add(Document(title="half"))
        session.flush()
        raise RuntimeError("the record cannot be written")

    failing = Access(stage.tenancy, tokens=access.tokens, accounts=stage.accounts, audit=broken)
    logins = access.desk.logins
    before = stage.run(lambda session: len(session.execute(logins.table.select()).all()))
    with pytest.raises(RuntimeError):
        failing.impersonate(claims, "near", reason=REASON)
    assert stage.run(lambda session: len(session.execute(logins.table.select()).all())) == before
    with stage.tenancy.session("near") as session:
        assert session.query(Document).count() == 0


@in_both_databases
def test_the_token_of_a_guise_cannot_be_refreshed_and_ends_with_its_log_in(stage: Stage) -> None:
    claims = root(stage)
    token = stage.access.impersonate(claims, "near", reason=REASON)
    logins = stage.access.desk.logins
    login = stage.access.verify(token).login
    owners = stage.run(lambda session: [row.login for row in session.execute(logins.refreshes.select())])
    assert login not in owners
    kept = stage.run(lambda session: logins.standing(session, login))
    assert (kept.reason, kept.impersonator) == (REASON, claims.subject)
