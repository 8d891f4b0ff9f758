"""An installation on each kind of database."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from .places import Place, PostgresPlace, SqlitePlace

Make = Callable[..., Place]


@pytest.fixture(params=["postgresql", "sqlite"])
def make(request: pytest.FixtureRequest, postgres: Any, tmp_path: Path) -> Iterator[Make]:
    """Makes an installation on the kind of database under test."""
    made: list[Place] = []

    def build(**options: Any) -> Place:
        directory = tmp_path / f"place{len(made)}"
        directory.mkdir()
        if request.param == "sqlite":
            made.append(SqlitePlace(directory, **options))
        else:
            made.append(PostgresPlace(postgres, directory, **options))
        return made[-1]

    yield build
    for place in made:
        place.close()


@pytest.fixture
def place(make: Make) -> Place:
    """An installation whose common tables were made from the models."""
    return make()


@pytest.fixture
def on_postgres(postgres: Any, tmp_path: Path) -> Iterator[PostgresPlace]:
    """The same on PostgreSQL alone."""
    made = PostgresPlace(postgres, tmp_path)
    yield made
    made.close()


@pytest.fixture
def on_sqlite(tmp_path: Path) -> Iterator[SqlitePlace]:
    """The same on SQLite alone."""
    made = SqlitePlace(tmp_path)
    yield made
    made.close()
