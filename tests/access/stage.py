"""What is tested, made of one tenancy on each database, and the doors behind one spelling."""

from __future__ import annotations

import asyncio
import inspect
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cells import drop_roles
from sqlalchemy import delete
from sqlalchemy.orm import DeclarativeBase, Mapped

from tenantry import Tenancy, Tenant
from tenantry.access import SEEDED, Access, Accounts, Passwords, TokenKey, TokenPair, Tokens
from tenantry.audit import Audit
from tenantry.models import TenantOwned

DOORS = ("postgresql-sync", "postgresql-psycopg", "postgresql-asyncpg", "sqlite-sync", "sqlite-aiosqlite")
SYNC_DOORS = ("postgresql-sync", "sqlite-sync")
PASSWORD = "correct horse battery staple"
# As cheap as argon2 can be: what is tested is who gets in.
PASSWORDS = Passwords(time_cost=1, memory_cost=8, parallelism=1)
ISSUER, AUDIENCE = "https://login.example.com", "shop"


class Base(DeclarativeBase):
    pass


class Document(TenantOwned, Base):
    """Something that some may read and fewer write."""

    __tablename__ = "documents"

    title: Mapped[str]


@dataclass
class Stage:
    """One tenancy with what is tested made of it, entered through one door."""

    tenancy: Tenancy
    door: str
    runner: asyncio.Runner
    access: Access = field(init=False)
    accounts: Accounts = field(init=False)
    audit: Audit = field(init=False)

    def __post_init__(self) -> None:
        self.audit = Audit(self.tenancy)
        self.accounts = Accounts(self.tenancy, passwords=PASSWORDS)
        tokens = Tokens([TokenKey.new("first")], issuer=ISSUER, audience=AUDIENCE, roles=SEEDED)
        self.access = Access(self.tenancy, tokens=tokens, accounts=self.accounts, audit=self.audit.record)

    @property
    def awaited(self) -> bool:
        """Whether the door is an asynchronous one."""
        return not self.door.endswith("sync")

    def call(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """Calls a method of the access through the door."""
        if not self.awaited:
            return getattr(self.access, method)(*args, **kwargs)
        found = getattr(self.access.aio, method)(*args, **kwargs)
        return self.runner.run(found) if inspect.iscoroutine(found) else found

    def run(self, work: Callable[[Any], Any]) -> Any:
        """Runs *work* in a session of the platform, entered through the door, and commits."""
        if self.awaited:
            return self.runner.run(self._run_async(work))
        with self.tenancy.platform() as session:
            found = work(session)
            session.commit()
        return found

    async def _run_async(self, work: Callable[[Any], Any]) -> Any:
        async with self.tenancy.aio.platform() as session:
            found = await session.run_sync(work)
            await session.commit()
        return found

    def tenant(self, slug: str) -> Tenant:
        """Returns one of the tenants."""
        with self.tenancy.session(slug) as session:
            return session.tenant

    def account(self, name: str, tenant: str | None, *roles: str, **options: Any) -> str:
        """Creates an account with the password that all have, and returns its subject."""
        home = None if tenant is None else self.tenant(tenant).id
        options = {"password": PASSWORD, **options}
        return self.run(lambda s: self.accounts.create(s, name, tenant=home, roles=roles, **options)).subject

    def enter(self, name: str) -> TokenPair:
        """Logs in."""
        return self.call("log_in", name, PASSWORD)

    def forget_all(self) -> None:
        """Deletes every account and every log-in."""
        logins = self.access.desk.logins
        for table in (logins.refreshes, logins.table, self.access.desk.attempts.table, self.accounts.table):
            self.run(lambda session, table=table: session.execute(delete(table)))


@contextmanager
def stages(postgres: Any, directory: Path) -> Iterator[dict[str, Stage]]:
    """Opens a stage for each door, with the tenants ``near`` and ``far`` in both databases, and leaves nothing."""
    with ExitStack() as ends:
        owner_url = ends.enter_context(postgres.lend_database())
        owner = Stage(Tenancy(owner_url, models=Base), "", ends.enter_context(asyncio.Runner()))
        owner.tenancy.install(create_tables=True)
        names = {role: f"access_{role}_{uuid.uuid4().hex[:8]}" for role in ("app", "operator", "platform")}
        ends.callback(drop_roles, postgres, list(names.values()))
        urls = {role: owner.tenancy.create_login(name, role=role) for role, name in names.items()}
        owner.tenancy.close()
        made = {door: _open(door, urls, owner_url, directory, owner.runner) for door in DOORS}
        made["sqlite-sync"].tenancy.install(create_tables=True)
        for door in SYNC_DOORS:
            for slug in ("near", "far"):
                made[door].tenancy.tenants.create(slug)
        try:
            yield made
        finally:
            for stage in made.values():
                owner.runner.run(stage.tenancy.aio.close())
                stage.tenancy.close()


def _open(door: str, urls: dict[str, str], owner_url: str, directory: Path, runner: asyncio.Runner) -> Stage:
    if door.startswith("sqlite"):
        return Stage(Tenancy(f"sqlite:///{directory}", models=Base), door, runner)
    driver = "postgresql+asyncpg:" if door.endswith("asyncpg") else "postgresql:"
    # A fresh copy of the models' tables is not needed: each stage declares the same ones.
    logins = {f"{role}_url": urls[role] for role in ("operator", "platform")}
    app = urls["app"].replace("postgresql:", driver)
    return Stage(Tenancy(app, models=Base, owner_url=owner_url, **logins), door, runner)
