"""What was slow is kept beside the tenant's rows: other processes see it, other tenants do not."""

from __future__ import annotations

import contextlib

from cells import PLACES
from sqlalchemy import text

from tenantry import Tenancy
from tenantry.errors import TenantNotFound
from tenantry.observe import Observer, SlowLog
from tenantry.observe.transactions import Slow

from .models import Base
from .test_watching import SECRET, SLOW


def test_another_process_sees_what_was_slow(door, ground, place, watched):
    door.session.info["correlation_id"] = "r-3"
    door.run(lambda session: session.execute(text(SLOW[place.postgresql])).all())
    door.rollback()
    assert watched.slow_log.write() >= 2
    assert watched.slow_log.write() == 0
    url = ground.urls["app_url"] if place.postgresql else ground.sqlite_url
    with contextlib.closing(Tenancy(url, models=Base)) as elsewhere:
        log = SlowLog(Observer(elsewhere))
        mine = [found for found in log.of(f"near-{place.cell}") if found.correlation_id == "r-3"]
        assert {found.kind for found in mine} == {"statement", "transaction"}
        assert all(found.slug == f"near-{place.cell}" and found.seconds >= 0.05 for found in mine)
        assert SECRET not in str(mine)
        assert "r-3" not in str(log.of(f"far-{place.cell}"))


def test_the_newest_are_kept(ground, place, watched):
    tenant = watched.tenancy.tenants.get(f"near-{place.cell}")
    # Each door writes to the same table.
    first = 2e9 + 10 * PLACES.index(place)
    for number in range(5):
        slow = Slow(kind="statement", tenant=tenant.id, slug=tenant.slug, seconds=1, at=first + number, statement="S")
        watched.slow_log._take(slow, {})
        watched.slow_log.write()
    assert [found.at for found in watched.slow_log.of(tenant)] == [first + 4, first + 3, first + 2]


def test_its_own_work_is_not_written_about(place, watched):
    watched.observer.slow_threshold_s = 0.0
    try:
        watched.slow_log.of(f"near-{place.cell}")
        assert watched.slow_log.write() == 0
    finally:
        watched.observer.slow_threshold_s = 0.05


def test_a_tenant_that_is_gone_is_left_out(place, watched, caplog):
    tenant = watched.tenancy.tenants.get(f"near-{place.cell}")
    gone = Slow(kind="statement", tenant=type(tenant.id)(int=1), slug="gone", seconds=1, at=2e9, statement="S")
    watched.slow_log._take(gone, {})
    assert watched.slow_log.write() == 0
    assert TenantNotFound.__name__ in caplog.text


def test_a_thread_writes_in_time(place, watched):
    end = watched.slow_log.keep_writing(every=3600)
    slow = Slow(
        kind="statement", tenant=watched.tenancy.tenants.get(f"far-{place.cell}").id, slug="", seconds=2, at=2e9
    )
    watched.slow_log._take(slow, {})
    end()
    assert watched.slow_log.of(f"far-{place.cell}")[0].seconds == 2
