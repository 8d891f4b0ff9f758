"""People log in, go on, are checked at every request, and are out at once when they are to be."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import delete, select, update
from sqlalchemy.exc import DBAPIError

from tenantry.access import TokenKey, TokenPair
from tenantry.errors import (
    AccountExists,
    AccountUnknown,
    ConfigurationError,
    LogInHeld,
    LogInRefused,
    PasswordChangeRequired,
    PasswordRefused,
    SecretUnreadable,
    TokenRefused,
    TokenReused,
)

from .crowd import at_once
from .stage import DOORS, PASSWORD, PASSWORDS, SYNC_DOORS, Stage

everywhere = pytest.mark.parametrize("door", DOORS)
in_both_databases = pytest.mark.parametrize("door", SYNC_DOORS)
REFUSED = "permission denied|no such table"


@everywhere
def test_who_logs_in_is_who_asks(stage: Stage) -> None:
    subject = stage.account("Ann@Example.com", "near", "analyst", permissions=["exports:create"])
    claims = stage.call("verify", stage.enter(" ann@example.COM ").access)
    assert (claims.subject, claims.tenant) == (subject, stage.tenant("near").id)
    assert (claims.roles, claims.impersonator) == ({"analyst"}, None)
    assert {"exports:create", "reports:generate"} <= claims.permissions
    assert claims.expires_at - claims.issued_at == timedelta(minutes=15)


@everywhere
def test_nobody_gets_in_without_the_password_and_all_are_told_the_same(stage: Stage) -> None:
    stage.account("ann", "near", "viewer")
    stage.account("closed", "near", "viewer")
    stage.account("machine", "near", "viewer", password=None)
    stage.run(lambda session: stage.accounts.close(session, "closed"))
    tried = [
        ("ann", PASSWORD + "x"),
        ("ann", ""),
        ("ann", "x" * 100_000),
        ("ann", PASSWORD.upper()),
        ("nobody", PASSWORD),
    ]
    tried += [("closed", PASSWORD), ("machine", PASSWORD), ("machine", ""), ("", ""), ("ann\x00", PASSWORD)]
    tried += [("nobody", PASSWORD)]
    tried += [("ann' OR 1=1 --", PASSWORD), ("\ud800", "\ud800"), ("x" * 10_000, PASSWORD)]
    told = set()
    for name, password in tried:
        with pytest.raises(LogInRefused) as refused:
            stage.call("log_in", name, password)
        told.add(str(refused.value))
    assert len(told) == 1


@everywhere
def test_nobody_guesses_for_long(stage: Stage) -> None:
    stage.account("ann", "near", "viewer")
    for name in ("ann", "nobody"):
        for _ in range(10):
            with pytest.raises(LogInRefused):
                stage.call("log_in", name, "wrong")
        for written in (name, f" {name.upper()}"):
            with pytest.raises(LogInHeld) as held:
                stage.call("log_in", written, PASSWORD)
            assert 0 < held.value.retry_after <= 900
            with pytest.raises(LogInHeld):
                stage.call("change_password", written, PASSWORD, "quite another password")
    attempts = stage.access.desk.attempts.table
    past = datetime.now(UTC) - timedelta(seconds=1)
    stage.run(lambda session: session.execute(update(attempts).values(ends_at=past)))
    with pytest.raises(LogInRefused):
        stage.call("log_in", "ann", "wrong")
    assert stage.enter("ann")
    stage.call("purge")
    assert stage.run(lambda session: len(session.execute(select(attempts)).all())) == 0


@everywhere
def test_whoever_is_right_may_be_wrong_again(stage: Stage) -> None:
    stage.account("ann", "near", "viewer")
    for _ in range(2):
        for _ in range(9):
            with pytest.raises(LogInRefused):
                stage.call("log_in", "ANN", "wrong")
        assert stage.enter("ann")


@in_both_databases
def test_many_who_guess_at_once_get_no_more_guesses(stage: Stage) -> None:
    stage.account("ann", "near", "viewer")
    outcomes = at_once(lambda: stage.access.log_in("ann", "wrong"), 16)
    assert sorted(type(found).__name__ for found in outcomes) == ["LogInHeld"] * 6 + ["LogInRefused"] * 10


@everywhere
def test_each_refresh_token_is_good_for_one_pair(stage: Stage) -> None:
    stage.account("ann", "near", "viewer")
    pairs = [stage.enter("ann")]
    for _ in range(3):
        pairs.append(stage.call("refresh", pairs[-1].refresh))
    assert len({pair.refresh for pair in pairs} | {pair.access for pair in pairs}) == 8
    other = stage.enter("ann")
    claims = [stage.call("verify", pair.access) for pair in (*pairs, other)]
    assert len({found.login for found in claims[:4]}) == 1
    with pytest.raises(TokenReused):
        stage.call("refresh", pairs[1].refresh)
    # The thief and the robbed are out, and the other log-in is not.
    for pair in pairs:
        with pytest.raises(TokenRefused):
            stage.call("verify", pair.access)
        with pytest.raises(TokenRefused):
            stage.call("refresh", pair.refresh)
    assert stage.call("verify", other.access).login == claims[-1].login
    assert stage.call("refresh", other.refresh)


@everywhere
def test_what_is_no_refresh_token_gets_nothing_and_ends_nothing(stage: Stage) -> None:
    stage.account("ann", "near", "viewer")
    pair = stage.enter("ann")
    for junk in ("", "x", pair.access, pair.refresh[:-1], pair.refresh + "=", "\x00", "\ud800", "' OR 1=1 --"):
        with pytest.raises(TokenRefused, match="no refresh token"):
            stage.call("refresh", junk)
    assert stage.call("refresh", pair.refresh)


@in_both_databases
def test_of_many_who_refresh_at_once_one_gets_a_pair_and_the_log_in_ends(stage: Stage) -> None:
    stage.account("ann", "near", "viewer")
    for _ in range(3):
        pair = stage.enter("ann")
        outcomes = at_once(lambda pair=pair: stage.access.refresh(pair.refresh), 6)
        won = [found for found in outcomes if isinstance(found, TokenPair)]
        assert len(won) <= 1
        assert sum(isinstance(found, TokenReused) for found in outcomes) >= 5
        for found in (pair, *won):
            with pytest.raises(TokenRefused):
                stage.access.verify(found.access)
            with pytest.raises(TokenRefused):
                stage.access.refresh(found.refresh)


@everywhere
def test_whoever_logs_out_is_out_with_all_tokens(stage: Stage) -> None:
    subject = stage.account("ann", "near", "viewer")
    first, second, third = (stage.enter("ann") for _ in range(3))
    claims = stage.call("verify", first.access)
    assert stage.call("log_out", claims)
    assert not stage.call("log_out", claims)
    _check_out(stage, first)
    assert stage.call("verify", second.access)
    assert stage.call("log_out_everywhere", subject) == 2
    _check_out(stage, second)
    _check_out(stage, third)


@everywhere
def test_what_changes_about_an_account_counts_from_the_next_request_on(stage: Stage) -> None:
    stage.account("ann", "near", "admin")
    pair = stage.enter("ann")
    assert "users:*" in stage.call("verify", pair.access).permissions
    stage.run(lambda session: stage.accounts.set_roles(session, "ann", ["viewer"]))
    claims = stage.call("verify", pair.access)
    assert (claims.roles, "users:*" in claims.permissions) == ({"viewer"}, False)
    stage.run(lambda session: stage.accounts.close(session, "ann"))
    _check_out(stage, pair)
    stage.run(lambda session: stage.accounts.reopen(session, "ann"))
    # The attempt to refresh has ended it for good.
    _check_out(stage, pair)
    assert stage.enter("ann")


@in_both_databases
def test_an_account_that_changes_company_takes_nothing_along(stage: Stage) -> None:
    stage.account("ann", "near", "viewer")
    pair, home = stage.enter("ann"), stage.tenant("far").id
    stage.run(lambda session: session.execute(update(stage.accounts.table).values(tenant=home)))
    _check_out(stage, pair)
    assert stage.access.verify(stage.enter("ann").access).tenant == home


@everywhere
def test_a_password_that_is_chosen_ends_what_began_with_the_old_one(stage: Stage) -> None:
    stage.account("ann", "near", "viewer")
    pair, chosen = stage.enter("ann"), "quite another password"
    for old, new, error in [
        ("wrong", chosen, LogInRefused),
        (PASSWORD, PASSWORD, PasswordRefused),
        (PASSWORD, "short", PasswordRefused),
        (PASSWORD, "x" * 1025, PasswordRefused),
    ]:
        with pytest.raises(error):
            stage.call("change_password", "ann", old, new)
    assert stage.call("verify", pair.access)
    stage.call("change_password", "ann", PASSWORD, chosen)
    _check_out(stage, pair)
    with pytest.raises(LogInRefused):
        stage.enter("ann")
    assert stage.call("log_in", "ann", chosen)


@everywhere
def test_the_first_administrator_has_a_password_for_one_time(stage: Stage) -> None:
    first = stage.run(lambda session: stage.accounts.first_administrator(session, {}))
    assert (first.name, len(first.password) >= 24, first.password in repr(first)) == ("admin", True, False)
    assert stage.run(lambda session: stage.accounts.first_administrator(session, {})) is None
    with pytest.raises(PasswordChangeRequired):
        stage.call("log_in", "admin", first.password)
    stage.call("change_password", "admin", first.password, PASSWORD)
    claims = stage.call("verify", stage.enter("admin").access)
    assert (claims.tenant, claims.roles) == (None, {"super_admin"})


@in_both_databases
def test_the_first_administrator_may_come_from_the_environment(stage: Stage) -> None:
    accounts = stage.accounts
    with pytest.raises(PasswordRefused):
        stage.run(lambda s: accounts.first_administrator(s, {"TENANTRY_ADMIN_PASSWORD": "short"}))
    with pytest.raises(SecretUnreadable):
        stage.run(lambda s: accounts.first_administrator(s, {"TENANTRY_ADMIN_PASSWORD": "env:NOWHERE"}))
    given = {"TENANTRY_ADMIN_NAME": "Root", "TENANTRY_ADMIN_PASSWORD": "env:KEPT", "KEPT": PASSWORD}
    made = at_once(lambda: stage.run(lambda s: accounts.first_administrator(s, given)), 4)
    assert [found.password for found in made if found] == [None]
    assert made.count(None) == 3
    # A tenant's user who is called so is not the platform's.
    assert stage.enter("root")


@in_both_databases
def test_accounts_refuse_what_cannot_be(stage: Stage) -> None:
    stage.account("ann", "near", "viewer")
    for name, options, error in [
        ("ANN ", {}, AccountExists),
        ("", {}, ConfigurationError),
        ("a\nb", {}, ConfigurationError),
        ("x" * 256, {}, ConfigurationError),
        ("bob", {"roles": ["owner"]}, ConfigurationError),
        ("bob", {"roles": "viewer"}, ConfigurationError),
        ("bob", {"permissions": ["documents"]}, ConfigurationError),
        ("bob", {"password": "short"}, PasswordRefused),
    ]:
        said = {"password": PASSWORD, "tenant": None, "roles": ["viewer"], **options}
        with pytest.raises(error):
            stage.run(lambda session, name=name, said=said: stage.accounts.create(session, name, **said))
    for change in ("close", "reopen"):
        with pytest.raises(AccountUnknown):
            stage.run(lambda session, change=change: getattr(stage.accounts, change)(session, "bob"))
    with pytest.raises(AccountUnknown):
        stage.run(lambda session: stage.accounts.set_roles(session, "bob", ["viewer"]))
    assert stage.run(lambda session: len(session.execute(select(stage.accounts.table)).all())) == 1


@in_both_databases
def test_an_administrator_s_new_password_is_for_one_time_and_ends_the_log_ins(stage: Stage) -> None:
    stage.account("ann", "near", "viewer")
    pair = stage.enter("ann")
    stage.run(lambda session: stage.accounts.set_password(session, "ann", "told by telephone"))
    _check_out(stage, pair)
    with pytest.raises(PasswordChangeRequired):
        stage.access.log_in("ann", "told by telephone")
    stage.access.change_password("ann", "told by telephone", PASSWORD)
    assert stage.enter("ann")


@in_both_databases
def test_nobody_gets_in_by_an_account_that_changed_while_the_password_was_checked(stage: Stage) -> None:
    stage.account("ann", "near", "viewer")
    desk = stage.access.desk
    checked = desk.check_password(stage.run(lambda session: stage.accounts.by_name(session, "ann")), PASSWORD)
    stage.run(lambda session: stage.accounts.close(session, "ann"))
    for step in (desk.begin, desk.keep_chosen):
        with pytest.raises(LogInRefused):
            stage.run(lambda session, step=step: step(session, checked, PASSWORDS.hash("quite another password")))
    stage.run(lambda session: stage.accounts.reopen(session, "ann"))
    assert stage.run(lambda session: desk.begin(session, checked, None)).refresh


@in_both_databases
def test_a_hash_that_cost_less_is_made_anew_at_the_next_log_in(stage: Stage) -> None:
    cheaper = type(PASSWORDS)(time_cost=1, memory_cost=16, parallelism=1)
    stage.account("ann", "near", "viewer")
    before = _hash_of(stage)
    kept = cheaper.hash(PASSWORD)
    stage.run(lambda session: session.execute(update(stage.accounts.table).values(password_hash=kept)))
    stage.enter("ann")
    after = _hash_of(stage)
    assert "m=16," in kept
    assert "m=8," in before
    assert "m=8," in after
    stage.enter("ann")
    assert _hash_of(stage) == after


@in_both_databases
def test_a_token_is_good_for_nothing_without_a_log_in_of_its_own(stage: Stage) -> None:
    subject, home = stage.account("ann", "near", "viewer"), stage.tenant("near").id
    other, root = stage.account("bob", "near", "admin"), stage.account("root", None, "super_admin")
    tokens, login = stage.access.tokens, stage.access.verify(stage.enter("ann").access).login
    for said in [
        {"subject": subject, "tenant": home},
        {"subject": other, "tenant": home, "login": login},
        {"subject": subject, "tenant": None, "login": login},
        {"subject": subject, "tenant": home, "login": login, "impersonator": root},
    ]:
        with pytest.raises(TokenRefused):
            stage.access.verify(tokens.issue(said.pop("subject"), **said))
    assert stage.access.verify(tokens.issue(subject, tenant=home, login=login, roles=["admin"])).roles == {"viewer"}


@in_both_databases
def test_a_log_in_ends_by_itself_and_is_purged(stage: Stage) -> None:
    stage.account("ann", "near", "viewer")
    pair, other = stage.enter("ann"), stage.enter("ann")
    logins = stage.access.desk.logins
    over = stage.access.verify(pair.access).expires_at - timedelta(days=1)
    old = logins.table.c.id == stage.access.verify(pair.access).login
    assert stage.access.purge() == 0
    stage.run(lambda session: session.execute(update(logins.table).where(old).values(expires_at=over)))
    _check_out(stage, pair)
    assert stage.access.purge() == 1
    assert stage.run(lambda session: len(session.execute(select(logins.refreshes)).all())) == 1
    assert stage.access.verify(other.access)


@in_both_databases
def test_a_tenant_and_a_person_are_forgotten(stage: Stage) -> None:
    for name, tenant in (("ann", "near"), ("bob", "near"), ("cem", "far")):
        stage.account(name, tenant, "viewer")
        stage.enter(name)
    near = stage.tenant("near").id
    assert (stage.access.name, stage.access.forget(near, ["cem"])) == ("access", 0)
    assert stage.access.forget(near, ["Ann"]) == 2
    with pytest.raises(LogInRefused):
        stage.enter("ann")
    assert stage.access.forget(near, None) == 2
    assert stage.access.forget(near, None) == 0
    assert stage.enter("cem")


@in_both_databases
def test_nothing_that_lets_somebody_in_is_kept_or_shown(stage: Stage) -> None:
    stage.account("ann", "near", "viewer")
    pair = stage.enter("ann")
    tables = (stage.accounts.table, stage.access.desk.logins.table, stage.access.desk.logins.refreshes)
    kept = str([stage.run(lambda session, t=t: session.execute(select(t)).all()) for t in tables])
    account = stage.run(lambda session: stage.accounts.by_name(session, "ann"))
    shown = f"{pair!r} {stage.access!r} {account!r} {stage.access.tokens!r} {TokenKey.new('k')!r} {PASSWORDS!r}"
    for secret in (pair.access, pair.refresh, PASSWORD):
        assert secret not in kept
        assert secret not in shown
    assert "argon2id" in kept
    assert "argon2id" not in shown


@pytest.mark.parametrize("door", ["sqlite-sync", "sqlite-aiosqlite"])
def test_a_request_is_checked_while_somebody_writes(stage: Stage) -> None:
    stage.account("ann", "near", "viewer")
    pair = stage.enter("ann")
    with stage.tenancy.platform() as writing:
        writing.execute(update(stage.accounts.table).values(roles=["admin"]))
        assert stage.call("verify", pair.access).roles == {"viewer"}
        writing.commit()
    assert stage.call("verify", pair.access).roles == {"admin"}


@in_both_databases
def test_no_tenant_s_session_reaches_an_account_or_a_log_in(stage: Stage) -> None:
    stage.account("ann", "near", "viewer")
    stage.enter("ann")
    logins = stage.access.desk.logins
    for table in (stage.accounts.table, logins.table, logins.refreshes):
        for statement in (select(table), update(table).values({next(iter(table.c)).name: None}), delete(table)):
            with stage.tenancy.session("near") as session, pytest.raises(DBAPIError, match=REFUSED):
                session.execute(statement)


def _check_out(stage: Stage, pair: TokenPair) -> None:
    with pytest.raises(TokenRefused):
        stage.call("verify", pair.access)
    with pytest.raises(TokenRefused):
        stage.call("refresh", pair.refresh)


def _hash_of(stage: Stage) -> str:
    return stage.run(lambda session: session.scalars(select(stage.accounts.table.c.password_hash)).one())
