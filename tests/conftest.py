"""The databases that every test may use.

`postgres` is a PostgreSQL server: one embedded server for the whole run, or, in turn, each of the servers that
TENANTRY_TEST_URLS lists, separated by commas: a URL of a login that may create databases and roles, or a directory of
PostgreSQL's programs, of which an embedded server is started.
`fresh_database` and `module_database` are URLs of empty databases on it, dropped afterwards.
With TENANTRY_NO_SKIPS set, a skipped test fails the run. TENANTRY_TEST_DATA is a directory of real rows, used where
there is one.
"""

from __future__ import annotations

import gc
import importlib.metadata
import os
import re
import signal
import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import psycopg
import pytest

from tenantry.embedded import PostgresServer, binaries

from .leak.table import LeakTable
from .repository.table import MethodTable

GIVEN = [url.strip() for url in os.environ.get("TENANTRY_TEST_URLS", "").split(",") if url.strip()]
NO_SKIPS = bool(os.environ.get("TENANTRY_NO_SKIPS"))
LIBRARIES = ("tenantry", "SQLAlchemy", "psycopg", "asyncpg", "aiosqlite")
ADDRESSES = pytest.StashKey[list[str]]()
# Every cell is entered by the sync door, common tables and files by all doors; what else there is, the soak enters.
LONG = {
    ("postgresql-schema", "psycopg"),
    ("postgresql-database", "psycopg"),
    ("postgresql-database", "asyncpg"),
    ("sqlite-rows", "aiosqlite"),
}

# A run in the background may have it ignored, and so would every program that a test starts and interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)

# A developer's settings must not steer the tests; nor may PGHOST and its like redirect them.
for name in [name for name in os.environ if name.startswith(("TENANTRY_", "PG")) and name != "TENANTRY_TEST_DATA"]:
    del os.environ[name]


class Postgres:
    """A PostgreSQL server for tests, reached with a login that may create databases and roles."""

    def __init__(self, address: str) -> None:
        self._address = address

    def __repr__(self) -> str:
        parts = urlsplit(self._address)
        return f"<Postgres {parts.hostname}:{parts.port}>"

    def url(self, database: str = "postgres", *, login: str | None = None, password: str | None = None) -> str:
        """Returns a URL of *database* for the administrator, or for *login*."""
        parts = urlsplit(self._address)
        where = parts.netloc.rpartition("@")[2]
        who = parts.netloc.rpartition("@")[0] if login is None else f"{quote(login)}:{quote(password or '', safe='')}"
        return parts._replace(netloc=f"{who}@{where}", path=f"/{database}").geturl()

    @contextmanager
    def admin(self, database: str = "postgres") -> Iterator[psycopg.Connection]:
        """Lends the administrator's connection, in autocommit, to *database*."""
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            yield connection

    @property
    def version(self) -> int:
        """The server's version as PostgreSQL counts it: 180006 is 18.6."""
        with self.admin() as connection:
            return connection.info.server_version

    def create_database(self, name: str | None = None) -> str:
        """Returns the name of a new, empty database."""
        name = name or f"test_{uuid.uuid4().hex[:16]}"
        with self.admin() as connection:
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE template0')
        return name

    def drop_database(self, name: str) -> None:
        """Drops a database, whoever is still connected to it, with the templates that an installation in it made."""
        templates = "select datname from pg_database where shobj_description(oid, 'pg_database') = %s"
        with self.admin() as connection:
            made = connection.execute(templates, (f"tenantry template: {name}",)).fetchall()
            for database in (name, *(template for (template,) in made)):
                connection.execute(f'DROP DATABASE IF EXISTS "{database}" WITH (FORCE)')

    @contextmanager
    def lend_database(self) -> Iterator[str]:
        """Lends the URL of a new, empty database."""
        name = self.create_database()
        try:
            yield self.url(name)
        finally:
            self.drop_database(name)


@pytest.fixture(scope="session")
def postgres(request: pytest.FixtureRequest) -> Postgres:
    """The server under test; a test that asks for it runs once for each server given."""
    return Postgres(_addresses(request.config)[request.param])


@pytest.fixture
def fresh_database(postgres: Postgres) -> Iterator[str]:
    """The URL of an empty database of this test alone."""
    with postgres.lend_database() as url:
        yield url


@pytest.fixture(scope="module")
def module_database(postgres: Postgres) -> Iterator[str]:
    """The URL of a database that the tests of one module share."""
    with postgres.lend_database() as url:
        yield url


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "postgres" in metafunc.fixturenames:
        given = _given(metafunc.config)
        names = [f"server{number}" for number in range(len(given))] or ["embedded"]
        metafunc.parametrize("postgres", range(len(names)), indirect=True, scope="session", ids=names)


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    # Keys are made at run time, and each process of one run is to name its tests alike.
    return argname if isinstance(val, bytes) else None


def pytest_configure(config: pytest.Config) -> None:
    # Here, since under xdist the process that prints the tables loads no conftest further down.
    config.pluginmanager.register(LeakTable())
    config.pluginmanager.register(MethodTable())


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # Before the marks are looked at.
    for item in items:
        params = getattr(getattr(item, "callspec", None), "params", {})
        if any((getattr(value, "cell", ""), getattr(value, "door", "")) in LONG for value in params.values()):
            item.add_marker(pytest.mark.soak)
    _keep_to_the_main(items)


def _keep_to_the_main(items: list[pytest.Item]) -> None:
    named: dict[str, bool] = {}
    for item in items:
        if marker := item.get_closest_marker("mainly"):
            # On servers of one's own as on the embedded one.
            name = re.sub(r"\bserver\d+\b", "embedded", item.name)
            is_main = any(each in name for each in marker.args)
            test = item.nodeid.partition("[")[0]
            named[test] = named.get(test, False) or is_main or "::" in " ".join(item.config.args)
            if not is_main:
                item.add_marker(pytest.mark.soak)
    if lost := sorted(test for test, found in named.items() if not found):
        raise pytest.UsageError(f"mainly() names no parameter of {', '.join(lost)}")


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    # pytest-xdist: the process that hands out the tests owns the server, since any worker may finish first.
    node.workerinput["tenantry"] = (GIVEN, _addresses(node.config))


def pytest_collection_finish() -> None:
    # Collected tests are no garbage; looking through them again made each collection take a tenth of a second. What
    # tests leave is looked through whole less often: that took a twelfth of all time.
    gc.collect()
    gc.freeze()
    young, middle, _ = gc.get_threshold()
    gc.set_threshold(young, middle, 100)


def pytest_report_header() -> list[str]:
    versions = [f"{name} {importlib.metadata.version(name)}" for name in LIBRARIES]
    servers = [_version(given) for given in GIVEN or [None]]
    return [", ".join([*versions, f"SQLite {sqlite3.sqlite_version}"]), f"PostgreSQL {', '.join(servers)}"]


def pytest_sessionfinish(session: pytest.Session) -> None:
    if NO_SKIPS and _skipped(session.config) and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if NO_SKIPS and (skipped := _skipped(config)):
        terminalreporter.section("skipped, which TENANTRY_NO_SKIPS does not allow", red=True)
        for report in skipped:
            terminalreporter.line(f"{report.nodeid}: {report.longrepr}")


def _given(config: pytest.Config) -> list[str]:
    worker = getattr(config, "workerinput", None)
    return worker["tenantry"][0] if worker else GIVEN


def _addresses(config: pytest.Config) -> list[str]:
    if ADDRESSES not in config.stash:
        worker = getattr(config, "workerinput", None)
        config.stash[ADDRESSES] = (
            worker["tenantry"][1] if worker else [_address(config, each) for each in GIVEN or [None]]
        )
    return config.stash[ADDRESSES]


def _address(config: pytest.Config, given: str | None) -> str:
    if given and "://" in given:
        return given
    # Both workers of a run share it, and each keeps the pools of many tenants open.
    server = PostgresServer(max_connections=500, programs=given).start()
    config.add_cleanup(server.stop)
    return server.url()


def _version(given: str | None) -> str:
    if given and "://" in given:
        return str(Postgres(given).version)
    return f"{binaries.version(binaries.find(Path(given) if given else None))} (embedded)"


def _skipped(config: pytest.Config) -> list[Any]:
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    return reporter.stats.get("skipped", []) if reporter else []
