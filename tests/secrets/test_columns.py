"""Columns that hold references, and servers that are named by one."""

from __future__ import annotations

import asyncio
import logging
import uuid
from pathlib import Path
from secrets import token_hex
from typing import Any

import pytest
from sqlalchemy import insert, make_url, select, text, update
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from tenantry import Tenancy
from tenantry.errors import SecretRefused, SecretUnreadable
from tenantry.models import SecretReference, TenantOwned


class Base(DeclarativeBase):
    pass


class Connection(TenantOwned, Base):
    __tablename__ = "connections"

    credentials: Mapped[str | None] = mapped_column(SecretReference("vault"))


@pytest.fixture
def tenancy(tmp_path: Path) -> Tenancy:
    tenancy = Tenancy(f"sqlite:///{tmp_path}", models=Base)
    tenancy.install(create_tables=True)
    tenancy.tenants.create("acme")
    return tenancy


@pytest.mark.parametrize(
    "reference", ["env:CRM", "file:/run/secrets/crm", "arn:aws:secretsmanager:...", "vault:crm", None]
)
def test_a_reference_is_kept_as_it_is(tenancy: Tenancy, reference: str | None) -> None:
    with tenancy.transaction("acme") as db:
        db.add(Connection(credentials=reference))
    with tenancy.session("acme") as db:
        assert db.scalars(select(Connection.credentials)).all() == [reference]
        assert db.scalar(select(Connection.credentials).where(Connection.credentials == "env:OTHER")) is None


def test_a_secret_itself_is_refused_and_neither_stored_nor_shown(
    tenancy: Tenancy, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    password = token_hex()
    with caplog.at_level(logging.DEBUG, logger="sqlalchemy"), tenancy.session("acme") as db:
        db.add(Connection(credentials=password))
        with pytest.raises(SecretRefused) as raised:
            db.commit()
        db.rollback()
        for statement in (insert(Connection).values(tenant_id=db.tenant.id, id=uuid.uuid4()), update(Connection)):
            with pytest.raises(SecretRefused) as again:
                db.execute(statement.values(credentials=password))
            assert password not in str(again.value)
            db.rollback()
    assert password not in str(raised.value)
    assert password not in caplog.text
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert files
    assert not [path for path in files if password.encode() in path.read_bytes()]


def test_a_server_may_be_named_by_a_reference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "url").write_text(f"sqlite:///{tmp_path}/main\n")
    monkeypatch.setenv("SECOND_URL", f"sqlite:///{tmp_path}/second")
    tenancy = Tenancy(f"file:{tmp_path}/url", models=Base)
    tenancy.servers.add("second", "env:SECOND_URL")
    tenancy.install(create_tables=True)
    for server in ("main", "second"):
        tenancy.tenants.create(f"on-{server}", server=server)
        assert list((tmp_path / server).rglob("*.sqlite3"))
    with pytest.raises(SecretUnreadable, match="A database URL stands in env:NOT_SET"):
        tenancy.servers.add("third", "env:NOT_SET")
    tenancy.close()


@pytest.mark.parametrize("driver", ["postgresql", "postgresql+asyncpg"])
def test_each_connection_logs_in_with_what_the_reference_leads_to_then(
    postgres: Any, fresh_database: str, tmp_path: Path, driver: str
) -> None:
    kept, login = tmp_path / "url", f"rotated_{uuid.uuid4().hex[:8]}"
    owner = Tenancy(fresh_database, models=Base)
    owner.install(create_tables=True)
    owner.tenants.create("acme")
    url = owner.create_login(login, role="app").replace("postgresql:", f"{driver}:")
    kept.write_text(url)
    tenancy = Tenancy(f"file:{kept}", models=Base, owner_url=fresh_database)
    rotated = uuid.uuid4().hex

    async def ask() -> None:
        async with tenancy.aio.session("acme") as first:
            await first.execute(text("select 1"))
            rotate()
            async with tenancy.aio.session("acme") as second:
                await second.execute(text("select 1"))
        await tenancy.aio.close()

    def rotate() -> None:
        with postgres.admin() as connection:
            connection.execute(f"alter role \"{login}\" password '{rotated}'")
        kept.write_text(make_url(url).set(password=rotated).render_as_string(hide_password=False))

    try:
        asyncio.run(ask())
        with tenancy.session("acme") as db:
            db.execute(text("select 1"))
            kept.unlink()
            with pytest.raises(SecretUnreadable), tenancy.session("acme") as another:
                another.execute(text("select 1"))
    finally:
        tenancy.close()
        owner.close()
        with postgres.admin() as connection:
            connection.execute(f'drop owned by "{login}"')
            connection.execute(f'drop role "{login}"')
