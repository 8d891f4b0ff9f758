"""The desk: who is let in and with what, step by step in a session of the platform; both doors stand on it."""

from __future__ import annotations

import dataclasses
import uuid
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy.orm import Session

from tenantry.access.accounts import Account, AccountSource
from tenantry.access.actors import Claims
from tenantry.access.attempts import Attempts
from tenantry.access.logins import LogIn, LogIns
from tenantry.access.passwords import Passwords
from tenantry.access.permissions import covers, permits
from tenantry.access.roles import IMPERSONATE
from tenantry.access.tokens import Tokens
from tenantry.errors import (
    ImpersonationRefused,
    LogInHeld,
    LogInRefused,
    PasswordChangeRequired,
    PasswordRefused,
    TokenRefused,
    TokenReused,
)
from tenantry.models.columns import utc_now

ELSEWHERE: Final = "they belong to another tenant. Leave it to somebody of the platform."
_ENDED: Final = "its log-in has ended."
_CLOSED: Final = "its account is closed or has moved."


@dataclass(frozen=True, slots=True)
class TokenPair:
    """A token to ask with, and the one that gets the next pair."""

    access: str = field(repr=False)
    refresh: str = field(repr=False)
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Reason:
    """Why somebody is to act as another, and for how long."""

    reason: str
    lasts: timedelta


@dataclass(frozen=True, slots=True)
class Guise:
    """What somebody is to act as: in which tenant, as whom, with which roles, why, and for how long."""

    tenant: uuid.UUID
    subject: str
    roles: frozenset[str]
    reason: str
    lasts: timedelta


class Desk:
    """Admits, renews, checks and ends; a step whose refusal is to be kept returns it, and the door raises it."""

    def __init__(
        self,
        tokens: Tokens,
        accounts: AccountSource,
        *,
        passwords: Passwords,
        logins: LogIns,
        attempts: Attempts,
        lasts: timedelta,
    ) -> None:
        self.tokens, self.accounts, self.passwords = tokens, accounts, passwords
        self.logins, self.attempts = logins, attempts
        self._lasts = lasts

    def arrive(self, session: Session, name: str) -> Account | LogInHeld | None:
        """Counts an attempt and returns the account with this name, or None, or that too many attempts were made."""
        held = self.attempts.take(session, name)
        if held is not None:
            return LogInHeld(retry_after=max(1.0, (held - utc_now()).total_seconds()))
        return self.accounts.by_name(session, name)

    def check_password(self, account: Account | None, password: str) -> Account:
        """Returns the account, if the password is its own and it is open; takes as long if it is not there.

        Raises: LogInRefused.
        """
        right = self.passwords.check(password, account.password_hash if account else None)
        if not right or account is None or not account.is_active:
            raise LogInRefused
        return account

    def renewed(self, account: Account, password: str) -> str | None:
        """Returns a better hash of a password that was checked, or None where the kept one will do.

        Raises: PasswordChangeRequired.
        """
        if account.must_change:
            raise PasswordChangeRequired(name=account.name)
        return self.passwords.renewed(password, account.password_hash or "")

    def chosen(self, old: str, new: str) -> str:
        """Returns the hash of a new password.

        Raises: PasswordRefused.
        """
        if new == old:
            raise PasswordRefused(reason="it is the one that was used before.")
        return self.passwords.hash(new)

    def begin(self, session: Session, account: Account, renewed: str | None) -> TokenPair:
        """Begins a log-in of an account that was checked.

        Raises: LogInRefused where the account has changed since.
        """
        self._check_unchanged(session, account)
        self.attempts.forget(session, account.name)
        if renewed is not None:
            self.accounts.keep_password(session, account.subject, renewed, chosen=False)
        login = self.logins.begin(session, account.subject, tenant=account.tenant, lasts=self._lasts)
        return self._pair(session, login, account)

    def keep_chosen(self, session: Session, account: Account, password_hash: str) -> None:
        """Keeps a password that was chosen, and ends every log-in that began with the old one.

        Raises: LogInRefused where the account has changed since.
        """
        self._check_unchanged(session, account)
        self.attempts.forget(session, account.name)
        self.accounts.keep_password(session, account.subject, password_hash, chosen=True)
        self.logins.end(session, self.logins.whose(account.subject))

    def refresh(self, session: Session, token: str) -> TokenPair | TokenRefused:
        """Returns the next pair; a token that was used before ends the log-in that it was for."""
        used = self.logins.use_refresh(session, token)
        if used is None:
            return self._unusable(session, token)
        login = self.logins.standing(session, used)
        if login is None:
            return TokenRefused(reason=_ENDED)
        account = self._open(session, login.subject)
        if account is None or account.tenant != login.tenant:
            self.logins.end(session, self.logins.table.c.id == login.id)
            return TokenRefused(reason=_CLOSED)
        return self._pair(session, login, account)

    def current(self, session: Session, claims: Claims) -> Claims:
        """Returns what the claims come to now: the log-in stands, the account is open, its roles are today's.

        Raises: TokenRefused.
        """
        login = None if claims.login is None else self.logins.standing(session, claims.login)
        said = (claims.subject, claims.tenant, claims.impersonator)
        if login is None or (login.subject, login.tenant, login.impersonator) != said:
            raise TokenRefused(reason=_ENDED)
        current = claims
        if claims.impersonator is None or claims.impersonator != claims.subject:
            account = self._open(session, claims.subject)
            if account is None or account.tenant != claims.tenant:
                raise TokenRefused(reason=_CLOSED)
            current = dataclasses.replace(claims, roles=account.roles, permissions=self._permissions(account))
        if current.impersonator is not None:
            self._check_impersonator(session, current, current.impersonator)
        return current

    def actor(self, session: Session, claims: Claims) -> Claims:
        """Returns what the claims come to now, if their holder may act as others.

        Raises: ImpersonationRefused, TokenRefused.
        """
        actor = self.current(session, claims)
        if actor.impersonator is not None or not permits(actor.permissions, IMPERSONATE):
            raise ImpersonationRefused(reason=f"it takes {str(IMPERSONATE)!r}, asked for as oneself. Use such a token.")
        return actor

    def guise(
        self, session: Session, claims: Claims, *, tenant: uuid.UUID, subject: str | None, role: str, plan: Reason
    ) -> Guise:
        """Returns what the holder of the claims is to act as.

        Raises: ImpersonationRefused, TokenRefused, ConfigurationError for a role that does not exist.
        """
        actor = self.actor(session, claims)
        if actor.tenant not in (None, tenant):
            raise ImpersonationRefused(reason=ELSEWHERE)
        if subject is None:
            roles = self.tokens.roles.check([role])
            held: frozenset[str] = frozenset(self.tokens.roles.permissions(roles))
        else:
            account = self._open(session, subject)
            if account is None or account.tenant != tenant:
                raise ImpersonationRefused(reason=f"that tenant has no open account {subject!r}. Look at its accounts.")
            roles, held = account.roles, self._permissions(account)
        if not covers(actor.permissions, held):
            raise ImpersonationRefused(reason="they would gain what they do not hold. Choose a smaller role.")
        return Guise(tenant, subject or actor.subject, roles, plan.reason, plan.lasts)

    def put_on(self, session: Session, claims: Claims, guise: Guise) -> str:
        """Begins the log-in of a guise and returns its token, which cannot be refreshed."""
        login = self.logins.begin(
            session,
            guise.subject,
            tenant=guise.tenant,
            lasts=guise.lasts,
            impersonator=claims.subject,
            reason=guise.reason,
        )
        return self.tokens.issue(
            guise.subject,
            tenant=guise.tenant,
            roles=guise.roles,
            impersonator=claims.subject,
            login=login.id,
            lifetime=guise.lasts,
        )

    def purge(self, session: Session) -> int:
        """Deletes the log-ins whose time is over, and returns how many there were."""
        self.attempts.remove_expired(session)
        return self.logins.remove_expired(session)

    def _pair(self, session: Session, login: LogIn, account: Account) -> TokenPair:
        access = self.tokens.issue(
            account.subject,
            tenant=account.tenant,
            roles=account.roles,
            permissions=account.permissions,
            login=login.id,
        )
        return TokenPair(access, self.logins.give_refresh(session, login), self.tokens.verify(access).expires_at)

    def _unusable(self, session: Session, token: str) -> TokenRefused:
        owner = self.logins.owner_of(session, token)
        if owner is None:
            return TokenRefused(reason="it is no refresh token.")
        self.logins.end(session, self.logins.table.c.id == owner)
        return TokenReused(reason="it was used before.")

    def _check_unchanged(self, session: Session, account: Account) -> None:
        if self.accounts.by_subject(session, account.subject) != account:
            raise LogInRefused

    def _check_impersonator(self, session: Session, claims: Claims, subject: str) -> None:
        """Asks again what was asked when the guise was put on: either of the two may have changed since."""
        account = self._open(session, subject)
        held = frozenset[str]() if account is None else self._permissions(account)
        at_home = account is not None and account.tenant in (None, claims.tenant)
        if not (at_home and permits(held, IMPERSONATE) and covers(held, claims.permissions)):
            raise TokenRefused(reason="whoever acts in it may do so no more.")

    def _open(self, session: Session, subject: str) -> Account | None:
        account = self.accounts.by_subject(session, subject)
        return account if account is not None and account.is_active and not account.must_change else None

    def _permissions(self, account: Account) -> frozenset[str]:
        return self.tokens.roles.permissions(account.roles) | account.permissions
