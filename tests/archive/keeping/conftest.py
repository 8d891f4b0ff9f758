"""An installation on each database, with the logins that look after archives, and three tenants."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cells import drop_roles
from sqlalchemy import delete
from sqlalchemy.orm import DeclarativeBase, Mapped

from tenantry import Tenancy
from tenantry.archive.keys import KeyRing
from tenantry.catalog.tables import archives, journal, schedules, tenant_keys
from tenantry.models import TenantOwned

TENANTS = ("acme", "globex", "initech")


class Base(DeclarativeBase):
    pass


class Ticket(TenantOwned, Base):
    __tablename__ = "tickets"
    subject: Mapped[str]


@pytest.fixture(scope="package", params=["postgresql", "sqlite"])
def house(request: pytest.FixtureRequest, postgres: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tenancy]:
    """The tenancy of a program that looks after archives."""
    opened = on_postgres(postgres) if request.param == "postgresql" else on_sqlite(tmp_path_factory.mktemp("keeping"))
    with opened as tenancy:
        for slug in TENANTS:
            tenancy.tenants.create(slug)
        yield tenancy


@contextlib.contextmanager
def on_postgres(postgres: Any) -> Iterator[Tenancy]:
    names = {role: f"keeping_{role}_{uuid.uuid4().hex[:8]}" for role in ("app", "platform", "operator")}
    with postgres.lend_database() as url:
        with contextlib.closing(Tenancy(url, models=Base)) as owner:
            owner.install(create_tables=True)
            urls = {f"{role}_url": owner.create_login(name, role=role) for role, name in names.items()}
        app_url = urls.pop("app_url")
        with contextlib.closing(Tenancy(app_url, models=Base, owner_url=url, **urls)) as tenancy:
            yield tenancy
    drop_roles(postgres, list(names.values()))


@contextlib.contextmanager
def on_sqlite(directory: Path) -> Iterator[Tenancy]:
    with contextlib.closing(Tenancy(f"sqlite:///{directory}/data", models=Base)) as tenancy:
        tenancy.install(create_tables=True)
        yield tenancy


@pytest.fixture
def tenancy(house: Tenancy) -> Tenancy:
    """The same, with nothing scheduled, archived or in hand."""
    with house.catalog("Clearing") as connection:
        for table in (archives, tenant_keys, schedules):
            connection.execute(delete(table))
        connection.execute(delete(journal).where(journal.c.kind.in_(("restore", "backup", "move"))))
    return house


@pytest.fixture
def ring() -> KeyRing:
    return KeyRing({"first": b"1" * 32}, "first")
