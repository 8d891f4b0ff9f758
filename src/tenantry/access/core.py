"""Access: people log in, go on, are checked at every request, act for others on the record, and log out."""

from __future__ import annotations

import functools
import uuid
from collections.abc import Callable, Collection
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from sqlalchemy import or_
from sqlalchemy.orm import Session

from tenantry.access.accounts import Account, Accounts, AccountSource
from tenantry.access.actors import Claims
from tenantry.access.attempts import Attempts
from tenantry.access.desk import ELSEWHERE, Desk, Guise, Reason, TokenPair
from tenantry.access.logins import LogIns
from tenantry.access.passwords import Passwords
from tenantry.access.tokens import Tokens
from tenantry.errors import ConfigurationError, ImpersonationRefused, LogInHeld, TokenRefused
from tenantry.isolation.binding import READ_ONLY_OPTION
from tenantry.session.core import TenantSession
from tenantry.tenancy import Tenancy
from tenantry.types import TenantKey

if TYPE_CHECKING:
    from tenantry.access.aio import AsyncAccess

R = TypeVar("R")

_QUARTER: Final = timedelta(minutes=15)


class Access:
    """Lets people in by name and password, and says at every request who asks and what they may; make it right after
    the tenancy.

    *accounts* is an ``Accounts`` or reads an application's own users; a log-in can be refreshed until it has lasted
    *lasts*; a name has so many *attempts* in so much time, until one is right. *audit* is called in the tenant's
    transaction before anybody acts in it as somebody else; ``Audit(tenancy).record`` is such a one.

    Raises: as ``Tenancy.table``.
    """

    name = "access"

    def __init__(
        self,
        tenancy: Tenancy,
        *,
        tokens: Tokens,
        accounts: AccountSource,
        passwords: Passwords | None = None,
        audit: Callable[..., Any] | None = None,
        lasts: timedelta = timedelta(days=30),
        longest_impersonation: timedelta = timedelta(hours=1),
        attempts: int = 10,
        attempts_within: timedelta = _QUARTER,
        table: str = "access_logins",
    ) -> None:
        own = accounts.passwords if isinstance(accounts, Accounts) else Passwords()
        self.tenancy = tenancy
        self.tokens = tokens
        self.accounts = accounts
        self.desk = Desk(
            tokens,
            accounts,
            passwords=passwords or own,
            logins=LogIns(tenancy, table),
            attempts=Attempts(tenancy, f"{table}_attempts", most=attempts, within=attempts_within),
            lasts=lasts,
        )
        self._audit = audit
        self._longest = longest_impersonation

    def __repr__(self) -> str:
        return f"Access({self.tokens!r})"

    @functools.cached_property
    def aio(self) -> AsyncAccess:
        """The same, awaited.

        Raises: ExtraMissing without greenlet.
        """
        from tenantry.access.aio import AsyncAccess  # noqa: PLC0415  # needs greenlet

        return AsyncAccess(self)

    def log_in(self, name: str, password: str) -> TokenPair:
        """Returns the first pair of tokens of a new log-in.

        Raises: LogInRefused, as much and as late for a name that is unknown; LogInHeld after too many attempts;
            PasswordChangeRequired.
        """
        # No transaction is open while a password is hashed, which is slow on purpose.
        account = self.desk.check_password(self._arrived(name), password)
        renewed = self.desk.renewed(account, password)
        return self._do(lambda session: self.desk.begin(session, account, renewed))

    def change_password(self, name: str, old: str, new: str) -> None:
        """Gives an account the password that its owner chose, and ends each of its log-ins.

        Raises: LogInRefused, LogInHeld, PasswordRefused.
        """
        account = self.desk.check_password(self._arrived(name), old)
        chosen = self.desk.chosen(old, new)
        self._do(lambda session: self.desk.keep_chosen(session, account, chosen))

    def refresh(self, token: str) -> TokenPair:
        """Returns the next pair; each refresh token is good for one.

        Raises: TokenRefused; TokenReused for one that was used before, which ends the log-in.
        """
        return cast("TokenPair", self._do(lambda session: self.desk.refresh(session, token)))

    def verify(self, token: str) -> Claims:
        """Returns who asks and what they may now: the token is good, its log-in stands, its account is open.

        Raises: TokenExpired, TokenRefused.
        """
        claims = self.tokens.verify(token)
        return self._look(lambda session: self.desk.current(session, claims))

    def log_out(self, claims: Claims) -> bool:
        """Ends the log-in that the claims belong to, with all its tokens, and says whether it had not ended."""
        return self._do(lambda session: self.ended(session, claims))

    def log_out_everywhere(self, subject: str) -> int:
        """Ends every log-in of a subject, those in which it acts as somebody else included, and returns how many."""
        return self._do(lambda session: self.desk.logins.end(session, self.desk.logins.whose(subject)))

    def impersonate(
        self,
        claims: Claims,
        tenant: TenantKey,
        *,
        reason: str,
        subject: str | None = None,
        role: str = "viewer",
        lasts: timedelta = _QUARTER,
    ) -> str:
        """Returns a token with which the holder of the claims acts in a tenant, as *subject* or, with *role*, as
        itself; it is on that tenant's record first, and cannot be refreshed.

        Raises: ImpersonationRefused without a reason, the permission ``admin:impersonate``, or an audit, for too
            long, and for more than the holder may; TokenRefused; as ``Tenancy.session``.
        """
        plan = self.planned(reason, lasts)
        # Before anybody looks for the tenant: who may not act in it is not told whether it is there.
        own = self._look(lambda platform: self.desk.actor(platform, claims)).tenant
        if own is not None and not self.tenancy.router.finds(tenant, own):
            raise ImpersonationRefused(reason=ELSEWHERE)
        with self.tenancy.session(tenant) as session:
            home = session.tenant.id
            guise = self._look(
                lambda platform: self.desk.guise(platform, claims, tenant=home, subject=subject, role=role, plan=plan)
            )
            self.record(session, claims, guise)
            session.commit()
        return self._do(lambda platform: self.desk.put_on(platform, claims, guise))

    def purge(self) -> int:
        """Deletes the log-ins whose time is over, and returns how many there were."""
        return self._do(self.desk.purge)

    def forget(self, tenant: uuid.UUID, subject: Collection[str] | None) -> int:
        """Removes the log-ins of a tenant, or of the person with these names there, and the accounts that this room
        keeps; returns how many: ``Archive(copies=[access])`` calls it.

        Raises: LoginRequired without the platform's login.
        """
        return self._do(lambda session: self._forgotten(session, tenant, subject))

    def planned(self, reason: str, lasts: timedelta) -> Reason:
        """Returns why and for how long somebody is to act as another.

        Raises: ImpersonationRefused.
        """
        if self._audit is None:
            raise ImpersonationRefused(reason="there is no record of it. Give Access(audit=Audit(tenancy).record).")
        if not reason.strip():
            raise ImpersonationRefused(reason="no reason was given. Say why: reason='ticket 4711'.")
        if not timedelta() < lasts <= self._longest:
            raise ImpersonationRefused(reason=f"{lasts} is no time for it. Choose up to {self._longest}.")
        return Reason(reason, lasts)

    def record(self, session: TenantSession, claims: Claims, guise: Guise) -> None:
        """Puts it on the tenant's record that somebody is to act there as another."""
        if self._audit is None:
            raise ConfigurationError(what="Nothing records it.", fix="Give Access(audit=...).")
        self._audit(
            session,
            event_type="access.impersonated",
            category="access",
            description=guise.reason,
            details={"roles": sorted(guise.roles), "seconds": guise.lasts.total_seconds()},
            actor=guise.subject,
            impersonator=claims.subject,
        )

    def ended(self, session: Session, claims: Claims) -> bool:
        """Ends the log-in of the claims in a session of the platform, and says whether it had not ended."""
        return bool(self.desk.logins.end(session, self.desk.logins.table.c.id == claims.login))

    def _forgotten(self, session: Session, tenant: uuid.UUID, subject: Collection[str] | None) -> int:
        own = self.accounts.forget(session, tenant, subject) if isinstance(self.accounts, Accounts) else []
        columns = self.desk.logins.table.c
        names = sorted({*(subject or ()), *own})
        theirs = () if subject is None else (or_(columns.subject.in_(names), columns.impersonator.in_(names)),)
        return len(own) + self.desk.logins.remove(session, columns.tenant == tenant, *theirs)

    def _arrived(self, name: str) -> Account | None:
        return cast("Account | None", self._do(lambda session: self.desk.arrive(session, name)))

    def _do(self, work: Callable[[Session], R]) -> R:
        with self.tenancy.platform() as session:
            found = work(session)
            session.commit()
        return settled(found)

    def _look(self, work: Callable[[Session], R]) -> R:
        with self.tenancy.platform() as session:
            return looking(session, work)


def looking(session: Session, work: Callable[[Session], R]) -> R:
    """Returns what *work* gives in a transaction that only reads: on SQLite no writer waits for it, nor it for one."""
    session.connection(execution_options={READ_ONLY_OPTION: True})
    return work(session)


def settled(found: R) -> R:
    """Returns what a step gave.

    Raises: TokenRefused or LogInHeld where the step gave that, so that what it wrote was committed first.
    """
    if isinstance(found, TokenRefused | LogInHeld):
        raise found
    return found
