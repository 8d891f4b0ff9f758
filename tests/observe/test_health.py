"""Health is told without raising and without secrets; sizes and rows are a tenant's own."""

from __future__ import annotations

import pytest
from sqlalchemy import delete, select
from sqlalchemy.engine import make_url

from tenantry import Tenancy
from tenantry.errors import ServerUnknown
from tenantry.observe import Health

from .models import Base, Folder, Paper


def ask(ground, place, watched, method, *args, **options):
    """Calls a method of Health through the place's door."""
    if place.door == "sync":
        return getattr(watched.health, method)(*args, **options)
    return ground.runner.run(getattr(watched.health.aio, method)(*args, **options))


def test_what_answers_is_healthy(ground, place, watched):
    for check in (
        ask(ground, place, watched, "check", f"near-{place.cell}"),
        ask(ground, place, watched, "check_server"),
    ):
        assert check.ok
        assert check.status == "healthy"
        assert check.response_time > 0
        assert check.error == ""
    assert ask(ground, place, watched, "check_connection") is True


def test_a_tenant_that_is_not_there_is_unhealthy_and_raises_nothing(ground, place, watched):
    check = ask(ground, place, watched, "check", "nobody")
    assert not check.ok
    assert "nobody" in check.error


def test_a_server_nobody_knows_is_a_mistake(ground, place, watched):
    with pytest.raises(ServerUnknown):
        ask(ground, place, watched, "check_connection", "moon")


def test_database_info_has_no_password(ground, place, watched):
    found = ask(ground, place, watched, "get_database_info")
    assert found.version[0].isdigit()
    assert found.dialect == ("postgresql" if place.postgresql else "sqlite")
    assert found.pool.most == 15
    if place.postgresql:
        passwords = [make_url(each).password for each in ground.urls.values() if make_url(each).password]
        assert passwords
        assert not any(str(password) in repr(found) for password in passwords)
        assert found.login.startswith("cells_app_")


def test_rows_and_size_are_the_tenants_own(ground, place, watched):
    for side, count in (("near", 3), ("far", 5)):
        with ground.session(place, side) as door:
            door.run(lambda session: session.execute(delete(Paper)))
            door.run(lambda session, count=count: session.add_all([Paper(title="x" * 100) for _ in range(count)]))
            door.commit()
    near = ask(ground, place, watched, "measure", f"near-{place.cell}")
    far = ask(ground, place, watched, "measure", f"far-{place.cell}")
    assert (near.rows["papers"], far.rows["papers"]) == (3, 5)
    assert set(near.rows) == {"folders", "papers", "slow_statements"}
    assert ask(ground, place, watched, "stats", f"near-{place.cell}", [Paper]) == {"papers": 3}
    if place.cell == "sqlite-rows":
        assert near.size is far.size is None
    else:
        assert near.size >= 300
    if place.cell == "postgresql-rows":
        assert near.size < far.size
    assert "folders" not in ask(ground, place, watched, "measure", f"near-{place.cell}", tables=[Folder.__table__]).of


def test_pools_tell_what_is_out(ground, place, watched):
    assert sum(pool.in_use for pool in watched.health.pools()) == 0
    with ground.session(place) as door:
        door.run(lambda session: session.scalars(select(Paper)).all())
        assert sum(pool.in_use for pool in watched.health.pools()) == 1
        assert 'tenantry_pool_connections{server="main",state="in_use"} 1' in watched.observer.prometheus()


def test_nothing_is_made_where_nothing_is(tmp_path):
    tenancy = Tenancy(f"sqlite:///{tmp_path}/none", models=Base)
    health = Health(tenancy)
    assert health.check_connection() is False
    assert health.get_database_info().version == ""
    assert not health.check("acme").ok
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_does_not_listen_is_unhealthy_and_says_no_secret():
    # Port 1 of loopback: nothing listens there.
    tenancy = Tenancy("postgresql://ann:hush-hush@127.0.0.1:1/none", models=Base)
    check = Health(tenancy).check_server()
    assert not check.ok
    assert check.error == "OperationalError"
    info = Health(tenancy).get_database_info()
    assert info.version == ""
    assert "hush" not in repr(info) + repr(check)
    tenancy.close()
