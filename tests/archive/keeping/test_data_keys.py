"""Data keys: one for each tenant, wrapped in the catalog, replaced, wrapped anew, and gone for ever once destroyed."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select

from tenantry import Tenancy
from tenantry.archive.keeping import DataKeys, empty_log, key_facts
from tenantry.archive.keys import KeyRing
from tenantry.catalog import archives
from tenantry.catalog.archives import Archived
from tenantry.catalog.tables import now, tenant_keys
from tenantry.errors import ArchiveKeyMissing


@pytest.fixture
def acme(tenancy: Tenancy) -> uuid.UUID:
    return tenancy.tenants.get("acme").id


def test_a_tenant_has_one_key_that_many_ask_for_first(tenancy: Tenancy, ring: KeyRing, acme: uuid.UUID) -> None:
    keys = DataKeys(tenancy, ring)
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda _: keys.current(acme), range(12)))
    assert len({(key.id, key.secret) for key in found}) == 1
    other = keys.current(tenancy.tenants.get("globex").id)
    assert other.secret != found[0].secret
    assert keys.get(acme, found[0].id) == found[0]
    assert keys.get(acme, other.id) is None


def test_the_catalog_holds_no_bare_key(tenancy: Tenancy, ring: KeyRing, acme: uuid.UUID) -> None:
    key = DataKeys(tenancy, ring).current(acme)
    with tenancy.catalog("Looking") as connection:
        (row,) = connection.execute(select(tenant_keys)).all()
    for spelling in (key.secret.hex(), repr(key.secret)):
        assert spelling not in str(row)
    assert key.secret.hex() not in repr(key)
    with pytest.raises(ArchiveKeyMissing, match="first"):
        DataKeys(tenancy, KeyRing({"second": b"2" * 32}, "second")).current(acme)


def test_a_new_key_leaves_the_old_one_for_its_archives(tenancy: Tenancy, ring: KeyRing, acme: uuid.UUID) -> None:
    keys = DataKeys(tenancy, ring)
    old = keys.current(acme)
    new = keys.rotate(acme)
    assert keys.current(acme) == new != old
    assert keys.get(acme, old.id) == old
    assert [fact.state for fact in key_facts(tenancy, acme)] == ["current", "retired"]


def test_a_destroyed_key_never_comes_back(tenancy: Tenancy, ring: KeyRing, acme: uuid.UUID) -> None:
    keys = DataKeys(tenancy, ring)
    old, new = keys.current(acme), keys.rotate(acme)
    assert keys.destroy(acme, [uuid.UUID(old.id)]) == 1
    assert keys.get(acme, old.id) is None
    assert keys.get(acme, new.id) == new
    assert keys.destroy(acme) == 1
    assert keys.destroy(acme) == 0
    assert [(fact.state, fact.under) for fact in key_facts(tenancy, acme)] == [("destroyed", None)] * 2
    assert all(fact.destroyed_at for fact in key_facts(tenancy, acme))
    assert keys.current(acme).id not in (old.id, new.id)


def test_a_destroyed_key_stands_nowhere_in_the_catalogs_file(tenancy: Tenancy, ring: KeyRing, acme: uuid.UUID) -> None:
    keys = DataKeys(tenancy, ring)
    keys.current(acme)
    with tenancy.catalog("Looking") as connection:
        wrapped = connection.scalar(select(tenant_keys.c.wrapped))
    assert wrapped
    if tenancy.servers.main.kind != "sqlite":
        return
    file = tenancy.servers.main.file("catalog.sqlite3")
    assert empty_log(file)
    assert wrapped.encode() in file.read_bytes()
    keys.destroy(acme)
    assert [path for path in file.parent.glob("catalog.sqlite3*") if wrapped.encode() in path.read_bytes()] == []


def test_keys_are_wrapped_anew_by_the_rings_current_key(tenancy: Tenancy, ring: KeyRing, acme: uuid.UUID) -> None:
    keys = DataKeys(tenancy, ring)
    old, new = keys.current(acme), keys.rotate(acme)
    both = DataKeys(tenancy, KeyRing({"first": b"1" * 32, "second": b"2" * 32}, "second"))
    told: list[tuple[int, int]] = []
    assert both.rewrap(lambda done, total: told.append((done, total))) == 2
    assert both.rewrap() == 0
    assert told == [(0, 2), (1, 2)]
    alone = DataKeys(tenancy, KeyRing({"second": b"2" * 32}, "second"))
    assert (alone.get(acme, old.id), alone.current(acme)) == (old, new)
    with pytest.raises(ArchiveKeyMissing):
        keys.current(acme)


def test_archives_are_counted_under_their_keys(tenancy: Tenancy, ring: KeyRing, acme: uuid.UUID) -> None:
    key = uuid.UUID(DataKeys(tenancy, ring).current(acme).id)
    facts = {"tenant_id": acme, "store": "here", "taken_at": now(), "size": 1, "rows": 1}
    with tenancy.catalog("Recording") as connection:
        for name, under in (("a", key), ("b", key), ("c", None)):
            archives.enter(connection, Archived(id=uuid.uuid4(), name=name, key_id=under, **facts))
            archives.enter(connection, Archived(id=uuid.uuid4(), name=name, key_id=under, **facts))
        assert len(archives.listing(connection, tenant=acme)) == 3
    assert [fact.archives for fact in key_facts(tenancy, acme)] == [2]
