"""The seed's six pytest fixtures; import them, or name this module in ``pytest_plugins``.

The database is the one that ``POSTGRES_*`` names, and it must be called as test databases are. Nothing is opened before
a test asks for one of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import pytest

from tenantry.errors import DropRefused
from tenantry.packs.documents.seed_config import TEST_NAME, PostgresConnectionConfig
from tenantry.packs.documents.seed_initializer import DatabaseInitializer, DatabaseInitializerConfig
from tenantry.packs.documents.seed_manager import DatabaseManager
from tenantry.session.core import TenantSession
from tenantry.testing.undoing import undone_session

_DATABASE: Final = pytest.StashKey[DatabaseInitializer]()


@pytest.fixture(scope="session")
def axai_db_config() -> PostgresConnectionConfig:
    """Where the test database is, by the environment."""
    return _config().connection_config


@pytest.fixture(scope="session")
def axai_test_db(request: pytest.FixtureRequest) -> DatabaseInitializer:
    """The test database, made once for the run, and dropped after it where ``AXAI_AUTO_DROP_DB`` says so."""
    return _database(request)


@pytest.fixture
def axai_db_manager(request: pytest.FixtureRequest) -> DatabaseManager:
    """The manager of the test database."""
    return _database(request).get_database_manager()


@pytest.fixture
def axai_db_session(request: pytest.FixtureRequest) -> Iterator[TenantSession]:
    """A session of which nothing stays when the test is over, whatever the code under test commits."""
    with _database(request).get_database_manager().door.session() as session, undone_session(session):
        yield session


@pytest.fixture
def axai_clean_db_session(request: pytest.FixtureRequest) -> Iterator[TenantSession]:
    """A session whose commits stay."""
    with _database(request).get_database_manager().door.session() as session:
        yield session


@pytest.fixture
def axai_reset_db(request: pytest.FixtureRequest) -> DatabaseInitializer:
    """The test database, dropped and made anew for this test."""
    found = _database(request)
    found.reset_database()
    return found


def _config() -> DatabaseInitializerConfig:
    config = DatabaseInitializerConfig.from_env()
    if not config.connection_config.is_test:
        # Tests write what they like, and the fixtures reset.
        raise DropRefused(name=config.connection_config.database, pattern=TEST_NAME.pattern)
    return config


def _database(request: pytest.FixtureRequest) -> DatabaseInitializer:
    """Returns the test database of the run, which no fixture owns: each can be imported alone."""
    stash = request.config.stash
    if _DATABASE not in stash:
        made = DatabaseInitializer(_config())
        made.setup_database()
        stash[_DATABASE] = made
        request.session.addfinalizer(made.teardown_database)
    return stash[_DATABASE]
