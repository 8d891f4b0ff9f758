"""The fixtures, used as a project uses them: in a pytest run of its own, with a database of its own."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest_plugins = ["pytester"]

SHOP = Path(__file__).parent / "shop.py"
INSTALLED = any(each.name == "tenantry" for each in importlib.metadata.entry_points(group="pytest11"))
LOADED = () if INSTALLED else ("-p", "tenantry.testing.plugin")

TESTS = """
    import pytest
    import shop
    from shop import Customer, Order
    from sqlalchemy import text
    from tenantry.errors import RebindRefused
    from tenantry.testing import conformance, leaks, rebound


    @pytest.fixture(scope="module")
    def seen():
        return []


    def test_what_is_committed_is_there(tenantry_undone, tenantry_tenants, seen):
        shop.add_customer(tenantry_tenants.a.slug, "ada@example.org")
        assert shop.count_customers(tenantry_tenants.a.slug) == 1
        assert shop.count_customers(tenantry_tenants.b.slug) == 0
        shop.add_customer(tenantry_tenants.b.slug, "ada@example.org")
        with pytest.raises(Exception, match="(?i)unique"):
            shop.add_customer(tenantry_tenants.a.slug, "ada@example.org")
        assert shop.count_customers(tenantry_tenants.a.slug) == 1
        seen.extend(tenantry_tenants)


    def test_and_gone_with_the_test(tenantry_tenancy, seen):
        assert [shop.count_customers(tenant.slug) for tenant in seen] == [0, 0]


    def test_rows_are_made_up(tenantry_make, tenantry_session, tenantry_count, tenantry_tenants, seen):
        order = tenantry_make(Order, amount=7)
        customer = tenantry_session.get(Customer, order.customer_id)
        assert (order.amount, order.status, order.tenant_id) == (7, "open", tenantry_tenants.a.id)
        assert customer.email.startswith("mark")
        assert len(tenantry_make.many(Order, 2, customer_id=customer.id)) == 2
        tenantry_session.commit()
        with tenantry_count(tenantry_session, at_most=1) as counted:
            assert tenantry_session.query(Order).count() == 3
        assert len(counted) == 1
        seen[:] = tenantry_tenants


    def test_nothing_made_up_stays(tenantry_tenancy, seen):
        with tenantry_tenancy.session(seen[0]) as session:
            assert session.query(Order).count() == 0


    def test_each_door(tenantry_door, tenantry_tenants, seen):
        slug = tenantry_tenants.a.slug
        tenantry_door.run(slug, lambda session: session.add(Customer(email=tenantry_door.name)))
        assert tenantry_door.run(slug, lambda session: session.query(Customer).one().email) == tenantry_door.name
        seen.append(tenantry_tenants.a)


    def test_each_door_left_nothing(tenantry_tenancy, seen):
        assert [shop.count_customers(tenant.slug) for tenant in seen[-2:]] == [0, 0]


    def test_the_login_cannot_pass_the_wall(tenantry_tenancy, tenantry_tenants):
        with tenantry_tenancy.session(tenantry_tenants.a) as session:
            asked = "select rolsuper or rolbypassrls from pg_roles where rolname = session_user"
            assert session.scalar(text(asked)) is False


    def test_isolated(tenantry_assert_isolated):
        tenantry_assert_isolated(Customer)


    def test_an_open_session_is_not_led_away(tenantry_tenancy, tenantry_tenants):
        with tenantry_tenancy.session(tenantry_tenants.a) as session:
            session.query(Customer).count()
            with pytest.raises(RebindRefused), rebound(tenantry_tenancy, "sqlite:///elsewhere"):
                pass


    class TestLeaks(leaks.Suite):
        pass


    class TestConformance(conformance.Suite):
        pass
"""

TWO = """
    import os
    from pathlib import Path

    def test_where(tenantry_tenancy, pytestconfig):
        where = tenantry_tenancy.servers.main.location
        Path(pytestconfig.rootpath, os.environ["PYTEST_XDIST_WORKER"]).write_text(where)
"""


@pytest.fixture
def shop(pytester: pytest.Pytester, postgres: Any, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A project with the application and its tests, told of a server that runs already."""
    monkeypatch.setenv("TENANTRY_TEST_URL", postgres.url())
    monkeypatch.delitem(sys.modules, "shop", raising=False)
    pytester.makepyfile(shop=SHOP.read_text(encoding="utf-8"))
    pytester.makepyfile(test_shop=TESTS)
    return pytester


SHORT = "not Leaks and not Conformance"


@pytest.mark.parametrize(
    ("chosen", "passed"), [(SHORT, 10), pytest.param("test", 23, marks=pytest.mark.soak)], ids=["short", "all"]
)
def test_on_postgresql(shop: pytest.Pytester, chosen: str, passed: int) -> None:
    shop.makeini("[pytest]\ntenantry_app = shop:tenancy\npythonpath = .")
    ran = shop.runpytest_inprocess(*LOADED, "-q", "-k", chosen)
    ran.assert_outcomes(passed=passed, deselected=23 - passed)


@pytest.mark.parametrize(
    ("chosen", "passed"), [(SHORT, 9), pytest.param("test", 22, marks=pytest.mark.soak)], ids=["short", "all"]
)
def test_on_sqlite_and_the_application_is_its_own_again(shop: pytest.Pytester, chosen: str, passed: int) -> None:
    shop.makeini("[pytest]\ntenantry_app = shop:tenancy\ntenantry_database = sqlite\npythonpath = .")
    shop.makeconftest("import shop\ndef pytest_unconfigure(): print('then', shop.tenancy.servers)")
    # SQLite has no logins.
    ran = shop.runpytest_inprocess(*LOADED, "-q", "-k", f"{chosen} and not cannot_pass")
    ran.assert_outcomes(passed=passed, deselected=23 - passed)
    ran.stdout.fnmatch_lines("then *production.invalid*")


@pytest.mark.soak
@pytest.mark.soak
def test_workers_share_one_server_and_have_a_database_each(
    shop: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TENANTRY_TEST_URL")
    shop.makeini("[pytest]\ntenantry_app = shop:tenancy\npythonpath = .")
    shop.makepyfile(test_two=TWO)
    ran = shop.runpytest_subprocess(*LOADED, "-q", "-n", "2", "--dist", "each", "test_two.py", "-s", timeout=120)
    ran.assert_outcomes(passed=2)
    seen = [(shop.path / name).read_text(encoding="utf-8").rpartition("/") for name in ("gw0", "gw1")]
    assert len({server for server, _, _ in seen}) == 1
    assert len({database for _, _, database in seen}) == 2


def test_loading_the_plugin_imports_nothing_heavy() -> None:
    program = "import sys, tenantry.testing.plugin; print([n for n in ('sqlalchemy', 'psycopg') if n in sys.modules])"
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert told.stdout.strip() == "[]"
