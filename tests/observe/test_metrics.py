"""Numbers: threads at once, names with a cap, tracked calls, hits of caches, and what Prometheus is told."""

from __future__ import annotations

import asyncio
import inspect
import logging
from concurrent.futures import ThreadPoolExecutor

import pytest
from cells import Place
from hypothesis import given, strategies

from tenantry.observe import Metrics, track_metrics
from tenantry.observe.metrics import BOUNDS, OTHERS
from tenantry.observe.prometheus import exposition
from tenantry.observe.reading import read_exposition
from tenantry.observe.wording import shown

HERE = Place("sqlite-file", "sync")


def test_threads_lose_no_number():
    metrics = Metrics()

    def count(number):
        for _ in range(500):
            metrics.count_statements(f"t{number % 3}", (0.001,))
            metrics.count_transaction(f"t{number % 3}", (), 0.5, committed=bool(number % 2))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(count, range(8)))
    total = metrics.snapshot().total
    assert total.statements == sum(total.durations) == 4000
    assert total.committed + total.rolled_back == 4000
    assert total.transaction_seconds == 2000


def test_no_more_names_than_were_allowed():
    metrics = Metrics(tenants=2)
    for number in range(50):
        metrics.count_statements(f"t{number}", (0.001,))
        metrics.count_call("work", f"t{number}", 0.001, failed=False)
    metrics.count_statements("", (0.001,))
    found = metrics.snapshot()
    assert set(found.tenants) == {"t0", "t1", OTHERS, ""}
    assert found.tenants[OTHERS].statements == 48
    assert {slug for _, slug in found.calls} == {"t0", "t1", OTHERS}
    nameless = Metrics(tenants=0)
    nameless.count_statements("acme", (0.1,))
    assert set(nameless.snapshot().tenants) == {OTHERS}


@given(strategies.lists(strategies.floats(0, 20), max_size=30))
def test_a_histogram_counts_each_duration_once_and_at_its_place(spent):
    metrics = Metrics()
    metrics.count_statements("acme", spent)
    work = metrics.snapshot().tenants["acme"]
    for place, bound in enumerate(BOUNDS):
        assert sum(work.durations[: place + 1]) == sum(seconds <= bound for seconds in spent)
    assert sum(work.durations) == len(spent)
    assert work.slowest == max(spent, default=0)


def test_a_snapshot_changes_no_more():
    metrics = Metrics()
    metrics.count_statements("acme", (0.001,))
    before = metrics.snapshot()
    metrics.count_statements("acme", (0.001,))
    assert before.tenants["acme"].statements == 1
    assert metrics.snapshot().tenants["acme"].statements == 2


def test_tracked_calls_plain_and_awaited_done_and_failed(ground):
    metrics = Metrics()

    @track_metrics(metrics=metrics, name="sync_crm")
    def plain(session, *, fail=False):
        return 1 / 0 if fail else session.tenant.slug

    @track_metrics(metrics=metrics)
    async def awaited(session):
        return session.tenant.slug

    with ground.session(HERE) as door:
        assert plain(door.session) == "near-sqlite-file"
        with pytest.raises(ZeroDivisionError):
            plain(session=door.session, fail=True)
        assert inspect.iscoroutinefunction(awaited)
        assert asyncio.run(awaited(door.session)) == "near-sqlite-file"
    calls = metrics.snapshot().calls
    found = calls["sync_crm", "near-sqlite-file"]
    assert (found.done, found.failed, sum(found.durations)) == (1, 1, 2)
    assert calls[f"{awaited.__module__}.{awaited.__qualname__}", "near-sqlite-file"].done == 1


def test_track_metrics_without_arguments_counts_for_nobody_and_logs_what_is_slow(caplog):
    @track_metrics
    def bare():
        """Does nothing."""

    @track_metrics(slow_threshold_s=0.0)
    def slow():
        """Takes no time, which is as long as the threshold."""

    with caplog.at_level(logging.WARNING, "tenantry.slow"):
        bare()
        slow()
    assert bare.__doc__ == "Does nothing."
    assert [record.tenantry["event"] for record in caplog.records] == ["slow_call"]
    assert caplog.records[0].tenantry["call"].endswith("slow")


def test_hit_rates():
    metrics = Metrics()
    for hit in (True, True, True, False):
        metrics.count_lookup("topics", hit=hit)
    assert metrics.snapshot().caches["topics"].rate == 0.75
    assert 'tenantry_cache_requests_total{cache="topics",result="hit"} 3' in exposition(metrics.snapshot())


@pytest.mark.ledger("S1-069")
def test_prometheus_text_is_read_back():
    metrics = Metrics()
    metrics.count_statements("acme", [0.002] * 95 + [3.0] * 5, errors=2, slow=5)
    metrics.count_statements("globex", [0.002])
    metrics.count_leak("acme")
    metrics.count_call('odd "name"\n', "acme", 0.1, failed=False)
    text = exposition(metrics.snapshot())
    assert r'function="odd \"name\"\n"' in text
    assert text.endswith("\n")
    for line in text.splitlines():
        assert line.startswith("#") or line.rpartition(" ")[2].replace(".", "").replace("e-", "").isdigit(), line
    names = [line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")]
    assert len(names) == len(set(names))
    found = read_exposition(text)
    assert list(found) == ["acme", "globex"]
    acme = found["acme"]
    assert (acme.statements, acme.errors, acme.slow, acme.leaked) == (100, 2, 5, 1)
    assert acme.most == 0.0025
    assert acme.mean == pytest.approx(0.1519)


@pytest.mark.parametrize(
    ("statement", "wanted"),
    [
        ("SELECT * FROM t WHERE a = 'secret' AND b = 42", "SELECT * FROM t WHERE a = ? AND b = ?"),
        (r"SELECT E'it\'s secret', 'it''s'", "SELECT ?, ?"),
        ("SELECT $$secret$$, $x$ it's $$ x $x$", "SELECT ?, ?"),
        ("-- don't\nSELECT 'secret' /* it's */, 1", "SELECT ? , ?"),
        ("SELECT 'cut off in the midd", "SELECT ?"),
        ('SELECT "a 1"."it\'s", t2.c3 FROM t2', 'SELECT "a 1"."it\'s", t2.c3 FROM t2'),
        ("SELECT a FROM t WHERE id IN (?, ?, ?, ?, ?)", "SELECT a FROM t WHERE id IN (?, ...)"),
        ("SELECT x WHERE id = %(id_1)s::UUID AND n = $1", "SELECT x WHERE id = %(id_1)s::UUID AND n = $1"),
        ("SELECT X'00ff', U&'secret', 0xff, 1.5e-3", "SELECT ?, ?, ?, ?"),
    ],
)
def test_statements_are_shown_without_values(statement, wanted):
    assert shown(statement) == wanted


def test_long_statements_are_cut():
    assert len(shown("SELECT " + ", ".join(f"column_{number}" for number in range(1000)))) == 500
