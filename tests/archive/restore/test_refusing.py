"""A backup that cannot be whole is an error of its own kind, and leaves nothing half-written behind."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from tenantry import Tenant
from tenantry.archive import Archive
from tenantry.errors import BackupFiltered, BackupRefused, StoreFull, StoreUnavailable, TenantSuspended

from ..buckets import broken_line, buckets, new_bucket, nobody
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


def test_a_bucket_that_breaks_off_or_is_out_of_reach(house: House) -> None:
    tenant = house.make("rows")
    before = house.dump(tenant)
    with buckets() as endpoint, broken_line(endpoint, after=2000) as breaking, nobody() as nowhere:
        bucket = new_bucket(endpoint, "backups")
        archive = Archive(house.tenancy, bucket.store(), keys=RING)
        backup = archive.backup(tenant)
        for lost in (breaking, nowhere):
            with pytest.raises(StoreUnavailable, match="s3://backups"):
                Archive(house.tenancy, bucket.store(endpoint=lost), keys=RING).backup(tenant)
        assert list(archive.store.names()) == [backup.name]
        assert archive.status() == []
        house.fill(tenant, rows=1)
        assert archive.verify(backup.name).rows["tickets"] == 10
        archive.restore(tenant, backup.name, in_place=True)
    assert house.dump(tenant) == before
    house.drop(tenant)
