"""Users as accounts: who logs in, to which company, and with which permissions, as the primary's tables say."""

from __future__ import annotations

import os
import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import ColumnElement, delete, func, or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, joinedload, selectinload

from tenantry.access import Account, Claims, FirstAdministrator, Passwords
from tenantry.access.accounts import ADMIN_NAME, ADMIN_PASSWORD
from tenantry.access.passwords import one_time_password
from tenantry.errors import AccountExists, AccountUnknown, CompanyUnknown, RecordNotFound
from tenantry.models.columns import utc_now
from tenantry.packs.assistant.models_primary import Company, Role, User, folded
from tenantry.packs.assistant.permissions import permissions_of
from tenantry.packs.assistant.words import RoleName
from tenantry.secrets import Secrets, is_reference

ADMIN_EMAIL: Final = "ASSISTANT_ADMIN_EMAIL"
# Before the hash of a password that is good for choosing another; the document's table has no column for that.
_ONE_TIME: Final = "one-time:"
# No hash, so no password is the right one.
_NOBODYS: Final = "none"
_LOADED: Final = (joinedload(User.company), joinedload(User.role).options(selectinload(Role.permissions)))


@dataclass(frozen=True, slots=True)
class Person:
    """A user as the other databases know them: the number that their rows carry, and what they prefer."""

    id: int
    username: str
    company_id: int | None
    role: str | None
    preferred_llm: str
    explainability_level: str
    permissions: frozenset[str] = field(default_factory=frozenset)

    @property
    def is_super_admin(self) -> bool:
        """Whether they are of the platform, and not of a company."""
        return self.role == RoleName.SUPER_ADMIN and self.company_id is None


class Users:
    """Reads and keeps the primary's users; its methods take a session of ``tenancy.platform()``, the caller commits.

    It is what ``tenantry.access`` reads accounts from: roles come as the permissions that the tables give them.
    """

    def __init__(self, passwords: Passwords | None = None) -> None:
        self.passwords = passwords or Passwords()

    def by_name(self, session: Session, name: str) -> Account | None:
        """Returns the account that logs in with this username, or None."""
        user = self._named(session, name)
        return None if user is None else _account(user)

    def by_subject(self, session: Session, subject: str) -> Account | None:
        """Returns the account that tokens name so: by its username."""
        return self.by_name(session, subject)

    def keep_password(self, session: Session, subject: str, password_hash: str, *, chosen: bool) -> None:
        """Keeps another hash of a user's password."""
        self.get(session, subject).hashed_password = password_hash
        session.flush()

    def get(self, session: Session, username: str) -> User:
        """Returns a user with company, role and permissions loaded.

        Raises: AccountUnknown.
        """
        found = self._named(session, username)
        if found is None:
            raise AccountUnknown(name=username)
        return found

    def person(self, session: Session, username: str) -> Person:
        """Returns who a user is, for use beyond the session.

        Raises: AccountUnknown.
        """
        return _person(self.get(session, username))

    def asking(self, session: Session, claims: Claims) -> Person:
        """Returns which user asks: one of the company that the token is for, or one of the platform who looks into it.

        Raises: AccountUnknown, for a user of another company too: whoever made the token may call others so.
        """
        user = self.get(session, claims.subject)
        home = None if user.company is None else user.company.tenant
        looks = user.company_id is None and claims.impersonator == claims.subject
        if home != claims.tenant and not looks:
            raise AccountUnknown(name=claims.subject)
        return _person(user)

    def create(
        self,
        session: Session,
        username: str,
        *,
        email: str,
        role: str,
        password: str | None = None,
        hashed: str | None = None,
        company_id: int | None = None,
        full_name: str | None = None,
        one_time: bool = False,
    ) -> User:
        """Creates a user of a company, or, without one, of the platform; a *one_time* password is for choosing another.

        A caller on an event loop gives the password *hashed*, by ``passwords``; without either nobody logs in.

        Raises: AccountExists, PasswordRefused, CompanyUnknown, RecordNotFound for a role that does not exist.
        """
        if company_id is not None and session.get(Company, company_id) is None:
            raise CompanyUnknown(company_id=company_id)
        kept = hashed or (_NOBODYS if password is None else self.passwords.hash(password))
        user = User(
            username=username,
            email=email,
            hashed_password=(_ONE_TIME if one_time else "") + kept,
            full_name=full_name,
            company_id=company_id,
            role_id=_role(session, role).id,
        )
        try:
            with session.begin_nested():
                session.add(user)
        except IntegrityError as error:
            raise AccountExists(name=user.username) from error
        return user

    def of_company(self, session: Session, company_id: int, *, limit: int = 50, offset: int = 0) -> list[User]:
        """Returns a company's users by name."""
        wanted = select(User).where(User.company_id == company_id).order_by(User.username).options(*_LOADED)
        return [*session.scalars(wanted.limit(limit).offset(offset)).unique()]

    def count(self, session: Session, company_id: int) -> int:
        """Returns how many users a company has."""
        return session.scalar(select(func.count()).select_from(User).where(User.company_id == company_id)) or 0

    def change(
        self, session: Session, username: str, *, role: str | None = None, is_active: bool | None = None
    ) -> User:
        """Gives a user another role, or closes or reopens the account, from the next request on.

        Raises: AccountUnknown, RecordNotFound for a role that does not exist.
        """
        user = self.get(session, username)
        if role is not None:
            user.role_id = _role(session, role).id
        if is_active is not None:
            user.is_active = is_active
        session.flush()
        session.refresh(user, ["role"])
        return user

    def by_ids(self, session: Session, ids: set[int], *, company_id: int | None) -> dict[int, User]:
        """Returns a company's users, and the platform's, by the numbers that rows elsewhere carry, in one statement.

        Users of other companies are not there, whoever wrote down their numbers.
        """
        theirs = or_(User.company_id == company_id, User.company_id.is_(None))
        wanted = select(User).where(User.id.in_(ids), theirs).options(*_LOADED)
        return {user.id: user for user in session.scalars(wanted).unique()} if ids else {}

    def note_login(self, session: Session, username: str) -> None:
        """Keeps that a user has logged in just now."""
        self.get(session, username).last_login = utc_now()
        session.flush()

    def first_administrator(
        self, session: Session, environ: Mapping[str, str] | None = None
    ) -> FirstAdministrator | None:
        """Creates the first super admin from TENANTRY_ADMIN_NAME and TENANTRY_ADMIN_PASSWORD, unless there is one.

        Without a password in the environment it is made up, returned this once, and must be changed at the first
        log-in. Of two programs that start at once one makes it, and the other gets None.

        Raises: PasswordRefused, SecretUnreadable.
        """
        env = os.environ if environ is None else environ
        if self._one(session, User.role.has(Role.name == RoleName.SUPER_ADMIN.value)) is not None:
            return None
        given = _given(env)
        password, name = given or one_time_password(), env.get(ADMIN_NAME) or "admin"
        email = env.get(ADMIN_EMAIL) or f"{name}@localhost"
        try:
            made = self.create(
                session, name, email=email, password=password, role=RoleName.SUPER_ADMIN, one_time=given is None
            )
        except AccountExists:
            return None
        return FirstAdministrator(made.username, None if given else password)

    def _named(self, session: Session, name: str) -> User | None:
        wanted = folded(name)
        # No database keeps what cannot be printed, and PostgreSQL refuses to look for some of it.
        return self._one(session, User.username == wanted) if wanted.isprintable() else None

    def _one(self, session: Session, condition: ColumnElement[bool]) -> User | None:
        found = session.scalars(select(User).where(condition).options(*_LOADED).order_by(User.id).limit(1))
        return found.unique().first()


def company_of(session: Session, tenant: uuid.UUID) -> int | None:
    """Returns the number of the company whose tenant this is, or None where it is no company's."""
    return session.scalar(select(Company.id).where(Company.tenant == tenant))


def people_called(session: Session, tenant: uuid.UUID, names: Collection[str]) -> list[str]:
    """Returns the usernames of a company's users who have one of these usernames or addresses."""
    named = or_(User.username.in_([folded(name) for name in names]), User.email.in_(names))
    return [*session.scalars(select(User.username).join(User.company).where(Company.tenant == tenant, named))]


def forget_people(session: Session, tenant: uuid.UUID, usernames: Collection[str] | None) -> int:
    """Deletes a company and its users, or those of them with these names, and returns how many rows went."""
    company = session.scalars(select(Company).where(Company.tenant == tenant)).one_or_none()
    if company is None:
        return 0
    chosen = () if usernames is None else (User.username.in_(usernames),)
    deleting = delete(User).where(User.company_id == company.id, *chosen)
    gone = len(session.scalars(deleting.returning(User.id)).all())
    if usernames is None:
        session.delete(company)
        gone += 1
    return gone


def _person(user: User) -> Person:
    return Person(
        id=user.id,
        username=user.username,
        company_id=user.company_id,
        role=None if user.role is None else user.role.name,
        preferred_llm=user.preferred_llm,
        explainability_level=user.explainability_level,
        permissions=permissions_of(user),
    )


def _account(user: User) -> Account:
    kept, company = user.hashed_password, user.company
    permissions: Any = permissions_of(user)
    return Account(
        subject=user.username,
        name=user.username,
        tenant=None if company is None else company.tenant,
        roles=frozenset(),
        permissions=permissions,
        password_hash=kept.removeprefix(_ONE_TIME),
        is_active=user.is_active and (company is None or (company.is_active and company.tenant is not None)),
        must_change=kept.startswith(_ONE_TIME),
    )


def _role(session: Session, name: str) -> Role:
    found = session.scalars(select(Role).where(Role.name == str(name))).one_or_none()
    if found is None:
        raise RecordNotFound(model="Role")
    return found


def _given(env: Mapping[str, str]) -> str | None:
    text, stored = env.get(ADMIN_PASSWORD, ""), Secrets(environ=env)
    if is_reference(text, schemes=stored.schemes):
        return stored.read(text, whose=ADMIN_PASSWORD)
    return text or None
