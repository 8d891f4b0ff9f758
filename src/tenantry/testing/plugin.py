"""Fixtures for pytest, all named ``tenantry_…``; nothing is started or imported before a test asks for one.

Override ``tenantry_app`` in a conftest, or set ``tenantry_app = shop.db:tenancy`` in pytest's own settings.
"""

from __future__ import annotations

import importlib
import os
import secrets
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

if TYPE_CHECKING:
    from tenantry import Tenancy, Tenant, TenantSession
    from tenantry.testing.doors import Door
    from tenantry.testing.grounds import Ground
    from tenantry.testing.making import Maker
    from tenantry.testing.rows import Known
    from tenantry.testing.servers import Server

_APP = "the application's Tenancy, as module:name, which the fixtures lead to a database of their own"
_DATABASE = "the database that the fixtures use: postgresql or sqlite; without it that of the application"


class Two(NamedTuple):
    """Two tenants of one test."""

    a: Tenant
    b: Tenant


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addini("tenantry_app", _APP, default="")
    parser.addini("tenantry_database", _DATABASE, default="")


@pytest.fixture(scope="session")
def tenantry_app(pytestconfig: pytest.Config) -> Tenancy:
    """The application's own Tenancy."""
    named = str(pytestconfig.getini("tenantry_app"))
    module, _, name = named.partition(":")
    if not name:
        raise pytest.UsageError(f"tenantry_app={named!r}: set it to module:name, or override the fixture tenantry_app.")
    found: Tenancy = getattr(importlib.import_module(module), name)
    return found


@pytest.fixture(scope="session")
def tenantry_isolation() -> str | None:
    """The isolation of the tenants that tests get; override it, with params for several."""
    return None


@pytest.fixture(scope="session")
def tenantry_known() -> Known:
    """Values, by table and column, for rows of which neither type nor CHECK tells what they take; override it."""
    return {}


@pytest.fixture(scope="session")
def tenantry_server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The PostgreSQL server of the run: that of TENANTRY_TEST_URL, or an embedded one, shared by all workers."""
    from tenantry.testing import servers  # noqa: PLC0415  # pytest loads this module in every run

    if given := os.environ.get("TENANTRY_TEST_URL"):
        yield servers.Server(given)
        return
    # A worker's directory stands in the one of the whole run.
    worker = hasattr(request.config, "workerinput")
    lending = servers.shared(tmp_path_factory.getbasetemp().parent) if worker else servers.embedded()
    with lending as server:
        yield server


@pytest.fixture(scope="session")
def tenantry_tenancy(
    request: pytest.FixtureRequest, tenantry_app: Tenancy, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Tenancy]:
    """The application's Tenancy, led to a database of this worker alone and entered as in production."""
    from tenantry.testing import installing  # noqa: PLC0415  # as above

    kind = str(request.config.getini("tenantry_database")) or tenantry_app.servers.main.kind
    if kind == "sqlite":
        lending = installing.installed_on_sqlite(tenantry_app, tmp_path_factory.mktemp("tenantry"))
    else:
        lending = installing.installed_on_postgresql(tenantry_app, request.getfixturevalue("tenantry_server"))
    with lending as tenancy:
        yield tenancy


@pytest.fixture
def tenantry_tenants(tenantry_tenancy: Tenancy, tenantry_isolation: str | None) -> Two:
    """Two tenants that no other test has."""

    slugs = [f"{name}-{secrets.token_hex(4)}" for name in ("alfa", "bravo")]
    return Two(*(tenantry_tenancy.tenants.create(slug, isolation=tenantry_isolation) for slug in slugs))


@pytest.fixture
def tenantry_undone(tenantry_tenancy: Tenancy) -> Iterator[Tenancy]:
    """The Tenancy; what tenants' sessions of the sync door write in this test is taken back, whatever is committed."""
    from tenantry.testing.undoing import undone  # noqa: PLC0415  # as above

    with undone(tenantry_tenancy):
        yield tenantry_tenancy


@pytest.fixture
def tenantry_session(tenantry_undone: Tenancy, tenantry_tenants: Two) -> Iterator[TenantSession]:
    """A session of the test's tenant ``a``, of which nothing stays."""
    with tenantry_undone.session(tenantry_tenants.a) as session:
        yield session


@pytest.fixture
def tenantry_make(tenantry_session: TenantSession, tenantry_known: Known) -> Maker:
    """Makes rows in ``tenantry_session``: ``tenantry_make(Ticket, subject="Printer")``."""
    from tenantry.testing.making import Maker  # noqa: PLC0415  # as above

    return Maker(tenantry_session, tenantry_known)


@pytest.fixture(params=["sync", "async"])
def tenantry_door(request: pytest.FixtureRequest, tenantry_tenancy: Tenancy) -> Iterator[Door]:
    """Each door in turn: ``tenantry_door.run(tenant, work)`` works in a session of it; what it writes is undone."""
    from tenantry.testing.doors import door  # noqa: PLC0415  # as above

    with door(request.param, tenantry_tenancy) as opened:
        yield opened


@pytest.fixture
def tenantry_count() -> Callable[..., Any]:
    """Counts statements: ``with tenantry_count(session, at_most=2): …``."""
    from tenantry.observe.counting import count_statements  # noqa: PLC0415  # as above

    return count_statements


@pytest.fixture(scope="class")
def tenantry_ground(
    tenantry_tenancy: Tenancy, tenantry_isolation: str | None, tenantry_known: Known
) -> Iterator[Ground]:
    """Two tenants with a row in each table, for the suites."""
    from tenantry.testing.grounds import ground  # noqa: PLC0415  # as above

    with ground(tenantry_tenancy, isolation=tenantry_isolation, known=tenantry_known) as found:
        yield found


@pytest.fixture
def tenantry_assert_isolated(tenantry_tenancy: Tenancy, tenantry_isolation: str | None, tenantry_known: Known) -> Any:
    """Lets pass that no way leads to another tenant's rows of the models named: ``assert_isolated(Ticket)``."""
    from tenantry.testing import leaks  # noqa: PLC0415  # as above

    def check(*models: Any) -> None:
        leaks.assert_isolated(tenantry_tenancy, *models, isolation=tenantry_isolation, known=tenantry_known)

    return check
