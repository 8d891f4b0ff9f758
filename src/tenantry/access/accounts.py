"""Accounts: who may log in, on the platform's side; a table of this room's own, or whatever an application has."""

from __future__ import annotations

import os
import unicodedata
import uuid
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from sqlalchemy import Boolean, Column, ColumnElement, Row, String, Text, Uuid, delete, insert, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from tenantry.access.passwords import Passwords, one_time_password
from tenantry.access.permissions import permissions as parse
from tenantry.access.roles import SEEDED, SUPER_ADMIN, Roles
from tenantry.errors import AccountExists, AccountUnknown, ConfigurationError
from tenantry.ids import parse_uuid, uuid7
from tenantry.models import JSONDocument, Ownership, UTCDateTime
from tenantry.models.columns import utc_now
from tenantry.secrets import Secrets, is_reference
from tenantry.tenancy import Tenancy

ADMIN_NAME: Final = "TENANTRY_ADMIN_NAME"
ADMIN_PASSWORD: Final = "TENANTRY_ADMIN_PASSWORD"  # noqa: S105  # the name of a variable
_LONGEST: Final = 255


@dataclass(frozen=True, slots=True)
class Account:
    """Somebody who may log in: of one tenant, or, where that is None, of the platform."""

    subject: str
    name: str
    tenant: uuid.UUID | None
    roles: frozenset[str]
    permissions: frozenset[str] = frozenset()
    password_hash: str | None = field(default=None, repr=False)
    is_active: bool = True
    must_change: bool = False


class AccountSource(Protocol):
    """Where accounts are read from, in a session of the platform; ``Accounts`` is one."""

    def by_name(self, session: Session, name: str) -> Account | None:
        """Returns the account that logs in with this name, or None."""
        ...

    def by_subject(self, session: Session, subject: str) -> Account | None:
        """Returns the account that tokens name so, or None."""
        ...

    def keep_password(self, session: Session, subject: str, password_hash: str, *, chosen: bool) -> None:
        """Keeps another hash, of a password that was *chosen* anew, or of the same one hashed better."""
        ...


@dataclass(frozen=True, slots=True)
class FirstAdministrator:
    """The first administrator; the password is there, this once, if it was made up."""

    name: str
    password: str | None = field(repr=False)


class Accounts:
    """Keeps accounts in a table of the platform; make it right after the tenancy.

    Its methods take a session of ``tenancy.platform()``, and the caller commits.

    Raises: as ``Tenancy.table``.
    """

    def __init__(
        self,
        tenancy: Tenancy,
        *,
        passwords: Passwords | None = None,
        roles: Roles = SEEDED,
        table: str = "access_accounts",
    ) -> None:
        self.passwords = passwords or Passwords()
        self.roles = roles
        self.table = tenancy.table(
            table,
            Column("id", Uuid, primary_key=True),
            Column("name", String(_LONGEST), nullable=False, unique=True),
            Column("tenant", Uuid, index=True),
            Column("roles", JSONDocument, nullable=False),
            Column("permissions", JSONDocument, nullable=False),
            Column("password_hash", Text),
            Column("is_active", Boolean, nullable=False),
            Column("must_change", Boolean, nullable=False),
            Column("created_at", UTCDateTime, nullable=False),
            behaviour="Accounts",
            owner=Ownership.PLATFORM,
        )

    def __repr__(self) -> str:
        return f"Accounts({self.table.name!r})"

    def create(
        self,
        session: Session,
        name: str,
        *,
        password: str | None,
        tenant: uuid.UUID | None,
        roles: Iterable[str],
        permissions: Iterable[str] = (),
        must_change: bool = False,
    ) -> Account:
        """Creates an account of a tenant, or, with None, of the platform; without a password nobody logs in to it.

        Raises: AccountExists, PasswordRefused, ConfigurationError for a name, role or permission that cannot be.
        """
        account = Account(
            subject=uuid7().hex,
            name=_normal(name),
            tenant=tenant,
            roles=self.roles.check(roles),
            permissions=parse(permissions),
            password_hash=None if password is None else self.passwords.hash(password),
            must_change=must_change,
        )
        try:
            with session.begin_nested():
                session.execute(insert(self.table).values(_row_of(account)))
        except IntegrityError as error:
            raise AccountExists(name=account.name) from error
        return account

    def by_name(self, session: Session, name: str) -> Account | None:
        """Returns the account with this name, in whatever case it is written, or None."""
        folded = _folded(name)
        # No database keeps what cannot be printed, and PostgreSQL refuses to look for some of it.
        return self._one(session, self.table.c.name == folded) if folded.isprintable() else None

    def by_subject(self, session: Session, subject: str) -> Account | None:
        """Returns the account that tokens name so, or None."""
        try:
            own = uuid.UUID(hex=subject)
        except ValueError:
            return None
        return self._one(session, self.table.c.id == own)

    def keep_password(self, session: Session, subject: str, password_hash: str, *, chosen: bool) -> None:
        """Keeps another hash of an account's password."""
        kept: dict[str, Any] = {"password_hash": password_hash, **({"must_change": False} if chosen else {})}
        session.execute(update(self.table).where(self.table.c.id == uuid.UUID(hex=subject)).values(kept))

    def set_roles(self, session: Session, name: str, roles: Iterable[str], *, permissions: Iterable[str] = ()) -> None:
        """Gives an account these roles and no others, from its next request on.

        Raises: AccountUnknown, ConfigurationError for a role or permission that cannot be.
        """
        self._change(
            session, name, {"roles": sorted(self.roles.check(roles)), "permissions": sorted(parse(permissions))}
        )

    def set_password(self, session: Session, name: str, password: str, *, must_change: bool = True) -> None:
        """Gives an account another password, which is good for choosing one's own.

        Raises: AccountUnknown, PasswordRefused.
        """
        changes = {"password_hash": self.passwords.hash(password), "must_change": must_change}
        self._change(session, name, changes)

    def close(self, session: Session, name: str) -> None:
        """Lets nobody in by this account, from its next request on.

        Raises: AccountUnknown.
        """
        self._change(session, name, {"is_active": False})

    def reopen(self, session: Session, name: str) -> None:
        """Lets people in by this account again.

        Raises: AccountUnknown.
        """
        self._change(session, name, {"is_active": True})

    def first_administrator(
        self, session: Session, environ: Mapping[str, str] | None = None
    ) -> FirstAdministrator | None:
        """Creates the first super admin from TENANTRY_ADMIN_NAME and TENANTRY_ADMIN_PASSWORD, unless there is one.

        The password may be a reference, such as ``file:PATH``. Without one it is made up and returned this once, and
        must be changed at the first log-in. Of two programs that start at once one makes it, and the other gets None.

        Raises: PasswordRefused for one in the environment that is too short, SecretUnreadable.
        """
        env = os.environ if environ is None else environ
        if any(SUPER_ADMIN in found.roles for found in self._all(session, self.table.c.tenant.is_(None))):
            return None
        given = _given(env)
        password, name = given or one_time_password(), env.get(ADMIN_NAME) or "admin"
        try:
            made = self.create(
                session, name, password=password, tenant=None, roles=[SUPER_ADMIN], must_change=given is None
            )
        except AccountExists:
            return None
        return FirstAdministrator(made.name, None if given else password)

    def forget(self, session: Session, tenant: uuid.UUID, names: Collection[str] | None) -> list[str]:
        """Deletes a tenant's accounts, or those with one of these names or ids, and returns their subjects."""
        columns = self.table.c
        conditions = [columns.tenant == tenant]
        if names is not None:
            ids = [found for found in map(parse_uuid, names) if found is not None]
            conditions.append(or_(columns.name.in_([_folded(name) for name in names]), columns.id.in_(ids)))
        gone = session.scalars(delete(self.table).where(*conditions).returning(columns.id))
        return [found.hex for found in gone]

    def _one(self, session: Session, condition: ColumnElement[bool]) -> Account | None:
        return next(iter(self._all(session, condition)), None)

    def _all(self, session: Session, condition: ColumnElement[bool]) -> list[Account]:
        return [_account(row) for row in session.execute(select(self.table).where(condition))]

    def _change(self, session: Session, name: str, changes: Mapping[str, Any]) -> None:
        changing = update(self.table).where(self.table.c.name == _folded(name)).values(changes)
        if session.execute(changing.returning(self.table.c.id)).first() is None:
            raise AccountUnknown(name=name)


def _given(env: Mapping[str, str]) -> str | None:
    text, stored = env.get(ADMIN_PASSWORD, ""), Secrets(environ=env)
    if is_reference(text, schemes=stored.schemes):
        return stored.read(text, whose=ADMIN_PASSWORD)
    return text or None


def _row_of(account: Account) -> dict[str, Any]:
    return {
        "id": uuid.UUID(hex=account.subject),
        "name": account.name,
        "tenant": account.tenant,
        "roles": sorted(account.roles),
        "permissions": sorted(account.permissions),
        "password_hash": account.password_hash,
        "is_active": account.is_active,
        "must_change": account.must_change,
        "created_at": utc_now(),
    }


def _account(row: Row[Any]) -> Account:
    return Account(
        subject=row.id.hex,
        name=row.name,
        tenant=row.tenant,
        roles=frozenset(row.roles),
        permissions=frozenset(row.permissions),
        password_hash=row.password_hash,
        is_active=row.is_active,
        must_change=row.must_change,
    )


def _folded(name: str) -> str:
    return unicodedata.normalize("NFKC", name).casefold().strip()


def _normal(name: str) -> str:
    folded = _folded(name)
    if not folded or len(folded) > _LONGEST or not folded.isprintable():
        raise ConfigurationError(
            what=f"{name[:80]!r} is no name of an account.", fix=f"Give 1 to {_LONGEST} printable characters."
        )
    return folded
