"""What sessions do is counted for their tenant, in every cell and through every door."""

from __future__ import annotations

import gc
import logging
import os
import warnings

import pytest
from cells import SYNC_PLACES
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from tenantry import Config, Tenancy
from tenantry.errors import ConfigurationError, PoolExhausted
from tenantry.observe import Metrics, Observer

from .models import Base, Folder, Paper

SECRET = "4711-secret"


def work_of(watched, place):
    return watched.observer.snapshot().tenants[f"near-{place.cell}"]


def test_statements_are_counted_for_their_tenant(ground, place, watched):
    with ground.session(place) as door:
        door.run(lambda session: session.add_all([Folder(name="a"), Folder(name="b")]))
        door.commit()
        door.run(lambda session: session.scalars(select(Folder)).all())
    near = work_of(watched, place)
    # The two rows are one message, or one for each, as the driver likes it.
    assert near.statements in (2, 3)
    assert near.statements == sum(near.durations)
    assert near.committed == 1
    assert near.rolled_back == 1
    assert near.errors == 0
    assert 0 < near.seconds <= near.transaction_seconds
    assert f"far-{place.cell}" not in watched.observer.snapshot().tenants


def test_a_statement_that_fails_is_counted_as_an_error(door, place, watched):
    with pytest.raises(DBAPIError):
        door.run(lambda session: session.execute(text("SELECT nothing_of_that_name")))
    door.rollback()
    assert work_of(watched, place).errors == 1
    assert work_of(watched, place).rolled_back == 1


def test_a_savepoint_is_part_of_its_transaction(door, place, watched):
    def work(session):
        with session.begin_nested():
            session.add(Folder(name="inside"))
        assert session.info["tenantry_observed"].committed is False

    door.run(work)
    assert watched.observer.open_transactions()[0].slug == f"near-{place.cell}"
    door.rollback()
    assert work_of(watched, place).committed == 0
    assert work_of(watched, place).rolled_back == 1


def test_an_open_transaction_says_whose_it_is_and_where_it_began(door, place, watched):
    assert not watched.observer.open_transactions()
    door.session.info["correlation_id"] = "r-1"
    door.run(lambda session: session.scalars(select(Folder).where(Folder.name == SECRET)).all())
    (found,) = watched.observer.open_transactions()
    assert found.slug == f"near-{place.cell}"
    assert found.statements == 1
    assert found.correlation_id == "r-1"
    assert "FROM folders" in found.last
    assert SECRET not in str(found)
    # Through the async doors, where the program waits for its loop.
    assert __file__ in found.place or "cells" in found.place
    assert watched.observer.open_transactions(older_than=found.seconds + 3600) == []
    door.rollback()
    assert not watched.observer.open_transactions()


def test_what_is_slow_is_kept_and_logged_without_values(door, place, watched, caplog):
    slow = SLOW[place.postgresql]
    door.session.info["correlation_id"] = "r-2"
    with caplog.at_level(logging.WARNING, "tenantry.slow"):
        door.run(lambda session: session.execute(text(slow)).all())
        door.rollback()
    kinds = [found.kind for found in watched.observer.slow() if found.correlation_id == "r-2"]
    assert sorted(set(kinds)) == ["statement", "transaction"]
    assert work_of(watched, place).slow_statements == 1
    assert work_of(watched, place).slow_transactions == 1
    facts = [record.tenantry for record in caplog.records if record.name == "tenantry.slow"]
    assert {fact["event"] for fact in facts} == {"slow_statement", "slow_transaction"}
    assert all(fact["tenant"] == f"near-{place.cell}" and fact["correlation_id"] == "r-2" for fact in facts)
    assert SECRET not in caplog.text + str(facts) + str(watched.observer.slow())
    watched.observer._slow.clear()


SLOW = {
    True: f"SELECT pg_sleep(0.06), '{SECRET}'",
    # Long enough on any machine: the threshold is a twentieth of a second.
    False: "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000) "
    f"SELECT count(*), '{SECRET}' FROM n",
}


@pytest.mark.mainly("postgresql-rows", "sqlite-file")
@pytest.mark.parametrize("place", SYNC_PLACES, ids=str)
def test_a_session_that_nobody_closed_is_told_by_name(ground, place, watched, caplog):
    tenancy = ground.tenancy(place)
    session = tenancy.session(f"near-{place.cell}")
    session.scalars(select(Paper)).all()
    with caplog.at_level(logging.WARNING, "tenantry.leaks"):
        del session
        gc.collect()
        assert watched.observer.leaked()[0].slug == f"near-{place.cell}"
    assert f"near-{place.cell}" in caplog.text
    assert "test_watching.py" in caplog.text
    assert work_of(watched, place).leaked == 1
    assert not watched.observer.open_transactions()
    assert all(pool.in_use == 0 for pool in watched.health.pools())


@pytest.mark.mainly("postgresql-rows", "sqlite-file")
def test_a_closed_session_is_no_leak(ground, place, watched):
    before = len(watched.observer.leaked())
    with ground.session(place) as door:
        door.run(lambda session: session.scalars(select(Paper)).all())
    del door
    gc.collect()
    assert len(watched.observer.leaked()) == before


def small(tmp_path, **options):
    tenancy = Tenancy(f"sqlite:///{tmp_path}/data", models=Base, config=Config(**options))
    return tenancy, Observer(tenancy, metrics=Metrics(), traced=True)


def test_an_exhausted_pool_names_who_holds_it(tmp_path):
    tenancy, _ = small(tmp_path, pool_size=1, max_overflow=1, pool_timeout=0.2)
    tenancy.install()
    tenancy.tenants.create("acme")
    with tenancy.session("acme", read_only=True) as one, tenancy.session("acme", read_only=True) as two:
        one.scalars(select(Paper)).all()
        two.scalars(select(Paper)).all()
        with tenancy.session("acme", read_only=True) as three, pytest.raises(PoolExhausted) as raised:
            three.scalars(select(Paper)).all()
    assert str(raised.value).count("acme for ") == 2
    assert "test_watching.py" in str(raised.value)
    assert isinstance(raised.value, PoolTimeout)
    tenancy.close()


def test_a_tenancy_has_one_observer(tmp_path):
    tenancy, observer = small(tmp_path)
    with pytest.raises(ConfigurationError, match="Observer already"):
        Observer(tenancy)
    assert tenancy.watcher is observer


def test_a_server_that_is_added_later_is_watched_too(tmp_path):
    tenancy, observer = small(tmp_path)
    tenancy.servers.add("east", f"sqlite:///{tmp_path}/east")
    tenancy.install()
    tenancy.tenants.create("acme", server="east")
    with tenancy.transaction("acme") as session:
        session.add(Paper(title="x"))
    assert observer.snapshot().tenants["acme"].committed == 1
    tenancy.close()


def test_a_listener_that_fails_stops_nobody(tmp_path, caplog):
    tenancy, observer = small(tmp_path)
    tenancy.install()
    tenancy.tenants.create("acme")

    def fail(_):
        raise RuntimeError("broken")

    end = observer.listen(fail, began=fail)
    with tenancy.transaction("acme") as session:
        session.add(Paper(title="x"))
    end()
    assert caplog.text.count("What listens to transactions failed") == 2
    with tenancy.session("acme") as session:
        assert len(session.scalars(select(Paper)).all()) == 1
    tenancy.close()


def test_a_long_transaction_is_added_up_as_it_goes(tmp_path):
    tenancy, observer = small(tmp_path)
    tenancy.install()
    tenancy.tenants.create("acme")
    with tenancy.session("acme") as session:
        for _ in range(1500):
            session.execute(text("SELECT 1"))
        assert observer.snapshot().tenants["acme"].statements == 1001
        assert observer.open_transactions()[0].statements == 1500
    assert observer.snapshot().tenants["acme"].statements == 1500
    tenancy.close()


def test_a_session_lost_while_numbers_are_added_up_blocks_nobody(tmp_path):
    """The garbage collector comes where it likes, here while the lock of the numbers is held."""
    tenancy, observer = small(tmp_path)
    tenancy.install()
    tenancy.tenants.create("acme")
    session = tenancy.session("acme", read_only=True)
    session.scalars(select(Paper)).all()
    with observer.metrics._lock:
        del session
        gc.collect()
    assert observer.snapshot().tenants["acme"].leaked == 1
    tenancy.close()


def test_a_forked_child_begins_at_nought(tmp_path):
    tenancy, observer = small(tmp_path)
    tenancy.install()
    tenancy.tenants.create("acme")
    with tenancy.session("acme", read_only=True) as session:
        session.scalars(select(Paper)).all()
        assert len(observer.open_transactions()) == 1
        with observer.metrics._lock, warnings.catch_warnings():
            # From Python 3.12 on it warns of threads, of which there are some: the lock is held as if by one of them.
            warnings.simplefilter("ignore", DeprecationWarning)
            child = os.fork()
            if not child:
                clean = not observer.snapshot().tenants and not observer.open_transactions() and not observer.leaked()
                os._exit(0 if clean else 1)
    assert os.waitpid(child, 0)[1] == 0
    tenancy.close()
