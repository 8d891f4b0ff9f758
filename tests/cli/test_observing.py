"""``tenantry top``, and what ``tenantry tenants show`` says beyond the catalog."""

from __future__ import annotations

import importlib
import sys
import threading
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import psycopg
import pytest

from tenantry.observe import Metrics
from tenantry.observe.prometheus import exposition


def told(path) -> str:
    metrics = Metrics()
    metrics.count_statements("acme", [0.002, 3.0], slow=1)
    metrics.count_statements("globex", [0.002])
    path.write_text(exposition(metrics.snapshot()))
    return path.read_text()


def test_top_reads_what_a_program_tells(program, tmp_path):
    told(tmp_path / "metrics.txt")
    found = program.call("top", "--metrics", str(tmp_path / "metrics.txt"), "--json").data
    assert [one["tenant"] for one in found] == ["acme", "globex"]
    assert (found[0]["slow"], found[0]["most"]) == (1, 5.0)
    assert "acme" in program.call("top", "--metrics", str(tmp_path / "metrics.txt")).out


def test_top_reads_it_over_http(program, tmp_path):
    text = told(tmp_path / "metrics.txt").encode()

    class Metered(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: Any) -> None:
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Metered) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        result = program.call("top", "--metrics", f"http://127.0.0.1:{server.server_port}/metrics", "--json")
        server.shutdown()
        thread.join(10)
    assert [one["tenant"] for one in result.data] == ["acme", "globex"]


def test_what_cannot_be_read_is_a_mistake(program, tmp_path):
    result = program.run("top", "--metrics", str(tmp_path / "none"))
    assert result.code == 2
    assert "cannot be read" in result.said


def test_top_on_sqlite_says_where_to_look(shop):
    result = shop.call("top")
    assert result.code == 0
    assert "Observer.prometheus()" in result.said
    assert shop.call("top", "--json").data == []


def test_show_on_sqlite(shop):
    found = shop.call("tenants", "show", "acme", "--json").data
    assert found["rows"] == {"companies": 1, "tickets": 0}
    assert found["size"]["bytes"] > 0
    assert found["size"]["of"] == "file"
    assert found["backup"] is None
    assert found["revision"] is None
    assert found["slow"] == found["locks"] == []
    said = shop.call("tenants", "show", "acme").said
    assert "none that was verified" in said
    assert "kB (file)" in said
    assert "rows" not in shop.call("tenants", "show", "acme", "--brief", "--json").data


def test_show_of_a_tenant_without_sessions_says_why(shop):
    shop.call("tenants", "suspend", "acme")
    found = shop.call("tenants", "show", "acme", "--json")
    assert found.code == 0
    assert "suspended" in found.data["rows"]["unseen"]
    assert "not seen: Tenant" in shop.call("tenants", "show", "acme").said


@pytest.fixture
def busy(postgres_shop):
    """Two tenants on PostgreSQL; one waits for a lock that the other holds."""
    for slug in ("acme", "globex"):
        assert postgres_shop.call("tenants", "create", slug, "--record", '{"name": "x"}').code == 0
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(postgres_shop.directory)
        for name, value in postgres_shop.environment.items():
            patch.setenv(name, value)
        tenancy = importlib.import_module(postgres_shop.module).tenancy
        sys.modules.pop(postgres_shop.module)
    yield postgres_shop, tenancy
    tenancy.close()


def test_a_stranger_finds_the_slow_tenant_and_whom_it_waits_for(busy):
    program, tenancy = busy
    with tenancy.session("acme") as holder:
        holder.connection().exec_driver_sql("SELECT pg_advisory_xact_lock(4711), 'secret'")
        waiter = threading.Thread(target=wait_for_it, args=(tenancy,))
        waiter.start()
        try:
            running = until_it_waits(program)
            shown = program.call("tenants", "show", "globex", "--json").data
            said = program.call("top").said
        finally:
            holder.rollback()
            waiter.join(20)
    assert set(running) == {"acme", "globex"}
    assert running["globex"]["blocked_by"] == ["acme"]
    assert running["globex"]["state"] == "active"
    assert running["acme"]["state"] == "idle in transaction"
    assert "pg_advisory_xact_lock(?)" in running["acme"]["statement"]
    assert "secret" not in said + str(running)
    assert {(lock["table"], lock["granted"]) for lock in shown["locks"]} == {("tickets", True)}
    assert shown["size"]["of"] == "rows in common tables"
    assert shown["rows"]["companies"] == 1


def wait_for_it(tenancy):
    with tenancy.session("globex") as session:
        session.connection().exec_driver_sql("SELECT count(*) FROM tickets")
        session.connection().exec_driver_sql("SELECT pg_advisory_xact_lock(4711)")


def until_it_waits(program):
    for _ in range(200):
        found = {one["tenant"]: one for one in program.call("top", "--json").data}
        if found.get("globex", {}).get("blocked_by"):
            break
    return found


def test_transactions_of_another_login_are_told_but_not_seen(busy):
    program, tenancy = busy
    del tenancy
    tenant = program.call("tenants", "show", "acme", "--brief", "--json").data["id"]
    url = program.environment["TENANTRY_OWNER_URL"]
    with psycopg.connect(url) as other, psycopg.connect(url) as stranger:
        other.execute(f"SET application_name = 'tenantry:{tenant}'")
        # Of another installation on the same server, which is nobody's business here.
        stranger.execute(f"SET application_name = 'tenantry:{uuid.uuid4()}'")
        result = program.call("top", "--json")
        assert "GRANT pg_read_all_stats" in result.said
        (one,) = result.data
        assert (one["tenant"], one["state"], one["statement"]) == ("acme", "hidden", "")
