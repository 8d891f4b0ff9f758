"""Installations for trials: one that a worker's trials share, and new ones for those that count or break things."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .installations import PostgresInstallation, SqliteInstallation


@pytest.fixture(scope="session")
def installed(postgres: Any) -> Iterator[PostgresInstallation]:
    """Tenantry on PostgreSQL; tests make tenants of their own in it."""
    installation = PostgresInstallation(postgres)
    yield installation
    installation.close()


@pytest.fixture
def fresh(postgres: Any) -> Iterator[PostgresInstallation]:
    """Tenantry on PostgreSQL, without tenants, for this test alone."""
    installation = PostgresInstallation(postgres)
    yield installation
    installation.close()


@pytest.fixture
def directory(tmp_path: Path) -> SqliteInstallation:
    """Tenantry on SQLite, without tenants, for this test alone."""
    return SqliteInstallation(tmp_path / "data")
