"""An erase, a restore and a purge take kept results along."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from limits.redis_server import PROGRAM, redis_server
from sqlalchemy import select
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from tenantry import Tenancy
from tenantry.archive import Archive, Certificate, Erasing, KeyRing
from tenantry.cache import Cache
from tenantry.cache.memory import MemoryStore
from tenantry.cache.redis import RedisStore
from tenantry.models import TenantOwned, UTCDateTime


class Base(DeclarativeBase):
    pass


class Customer(TenantOwned, Base, subject="email"):
    __tablename__ = "customers"

    email: Mapped[str]
    seen_at: Mapped[datetime] = mapped_column(UTCDateTime, default=lambda: datetime(2020, 1, 1, tzinfo=UTC))


def emails(db: Any) -> list[str]:
    return sorted(db.scalars(select(Customer.email)))


def erase_and_look(directory: Path, store: Any) -> None:
    tenancy = Tenancy(f"sqlite:///{directory}/data", models=Base)
    cache = Cache(tenancy, store, name="results")
    tenancy.install(create_tables=True)
    for slug in ("acme", "globex"):
        tenancy.tenants.create(slug)
        with tenancy.transaction(slug) as db:
            db.add_all([Customer(email=f"{name}@example.org") for name in ("anna", "ben")])
        assert len(cache.get(slug, "emails", emails)) == 2
    cache.get("acme", "nobody", lambda _: ["somebody else"])
    archive = Archive(tenancy, directory / "archives", keys=KeyRing({"one": b"k" * 32}, "one"))
    erasing = Erasing(archive, copies=[cache])
    certificate = erasing.person("acme", "anna@example.org")
    assert (certificate.clean, _taken(certificate)) == (True, 1)
    assert cache.get("acme", "emails", emails) == ["ben@example.org"]
    certificate = erasing.tenant("acme", confirm="acme")
    assert (certificate.clean, _taken(certificate)) == (True, 1)
    before = cache.stats().hits
    assert len(cache.get("globex", "emails", emails)) == 2
    assert cache.stats().hits == before + 1
    tenancy.close()


def _taken(certificate: Certificate) -> int:
    return next(store.erased["entries"] for store in certificate.stores if store.name == "results")


def test_results_in_memory_go_with_the_person_and_the_tenant(tmp_path: Path) -> None:
    erase_and_look(tmp_path, MemoryStore())


@pytest.mark.redis
@pytest.mark.skipif(PROGRAM is None, reason="redis-server is not installed here")
def test_results_in_redis_go_with_the_person_and_the_tenant(tmp_path: Path) -> None:
    with redis_server(tmp_path) as server:
        store = RedisStore(server.url, timeout=10)
        erase_and_look(tmp_path, store)
        store.close_connections()


def test_a_restore_and_a_purge_drop_what_was_kept(tmp_path: Path) -> None:
    tenancy = Tenancy(f"sqlite:///{tmp_path}/data", models=Base)
    cache = Cache(tenancy, MemoryStore())
    tenancy.install(create_tables=True)
    archive = Archive(tenancy, tmp_path / "archives", keys=KeyRing({"one": b"k" * 32}, "one"))
    for slug in ("acme", "globex"):
        tenancy.tenants.create(slug)
        with tenancy.transaction(slug) as db:
            db.add(Customer(email="anna@example.org"))
    archive.backup("acme")
    with tenancy.transaction("acme") as db:
        db.add(Customer(email="ben@example.org"))
    for slug, count in (("acme", 2), ("globex", 1)):
        assert len(cache.get(slug, "emails", emails)) == count
    archive.restore("acme", in_place=True, keep=False)
    assert cache.get("acme", "emails", emails) == ["anna@example.org"]
    tenancy.purge("acme", Customer, older_than=timedelta(0), column="seen_at", reason="a test")
    assert cache.get("acme", "emails", emails) == []
    # The neighbour's results are still there.
    hits = cache.stats(tenancy.tenants.get("globex")).hits
    cache.get("globex", "emails", emails)
    assert cache.stats(tenancy.tenants.get("globex")).hits == hits + 1
    tenancy.close()
