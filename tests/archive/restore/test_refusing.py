"""A backup that cannot be whole is an error of its own kind, and leaves nothing half-written behind."""

from __future__ import annotations

import resource
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest

from tenantry import Tenant
from tenantry.archive import Archive, ObjectStore
from tenantry.errors import BackupFiltered, BackupRefused, StoreFull, StoreUnavailable, TenantSuspended

from .houses import RING, House, open_house


def check_nothing_written(house: House, archive: Archive, tenant: Tenant) -> None:
    assert list(archive.store.names(str(tenant.id))) == []
    assert archive.status() == []
    with house.postgres.admin(house.database) as connection:
        listed = connection.execute("SELECT 1 FROM tenantry.archives WHERE tenant_id = %s", (tenant.id,)).fetchone()
    assert listed is None


def test_a_role_that_the_walls_hold_takes_no_backup(house: House) -> None:
    """Of every row it would see none: PostgreSQL answers such a read with nothing and no error."""
    tenant = house.make("rows")
    logins = {**house.job["logins"], "operator_url": house.urls["app"]}
    wrong = open_house(house.urls["app"], house.directory, **logins)
    with closing(wrong):
        archive = Archive(wrong, house.archive().store, keys=RING)
        with pytest.raises(BackupFiltered):
            archive.backup(tenant)
        check_nothing_written(house, archive, tenant)
    house.drop(tenant)


def test_a_suspended_tenant_is_backed_up_only_where_that_is_said(house: House) -> None:
    archive, tenant = house.archive(), house.make("file")
    house.tenancy.tenants.suspend(tenant)
    with pytest.raises(BackupRefused, match="suspended=True") as refusal:
        archive.backup(tenant)
    assert refusal.value.tenant == tenant.id
    assert not isinstance(refusal.value, TenantSuspended)
    check_nothing_written(house, archive, tenant)
    backup = archive.backup(tenant, suspended=True)
    assert archive.verify(backup.name).rows["tickets"] == 10
    house.drop(tenant)
    with pytest.raises(BackupRefused, match="does not come back"):
        archive.backup(tenant.id, suspended=True)


@contextmanager
def disk_of(size: int) -> Iterator[None]:
    """Lets no file of this process grow beyond a size."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("size", [0, 200, 1000])
def test_a_full_disk(house: House, size: int) -> None:
    archive, tenant = house.archive(), house.make("schema")
    with disk_of(size), pytest.raises(StoreFull):
        archive.backup(tenant)
    check_nothing_written(house, archive, tenant)
    archive.backup(tenant)
    house.drop(tenant)


def test_a_bucket_out_of_reach(house: House) -> None:
    tenant = house.make("rows")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    store: Any = ObjectStore(
        "s3://nowhere",
        endpoint=f"http://127.0.0.1:{port}",
        region="here",
        access_key_id="nobody",
        secret_access_key="nothing",
        client_options={"allow_http": True, "timeout": "2s"},
        retry_config={"max_retries": 0},
    )
    archive = Archive(house.tenancy, store, keys=RING)
    with pytest.raises(StoreUnavailable, match="nowhere"):
        archive.backup(tenant)
    assert archive.status() == []
    house.drop(tenant)
