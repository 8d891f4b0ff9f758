"""A server with an installation that a module's tests share, and a directory for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .homes import Directory, Installation


@pytest.fixture(scope="module")
def installation(postgres: Any) -> Iterator[Installation]:
    """Tenantry on PostgreSQL."""
    made = Installation(postgres)
    yield made
    made.close()


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Directory]:
    """Tenantry on SQLite."""
    made = Directory(tmp_path / "data")
    yield made
    made.close()


@pytest.fixture(autouse=True)
def committer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Has ours and the program say the same about who deploys."""
    monkeypatch.setenv("SQITCH_FULLNAME", "Pat Deployer")
    monkeypatch.setenv("SQITCH_EMAIL", "pat@example.org")
