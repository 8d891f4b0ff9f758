"""Old shops, copied for each test from one that is loaded once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from . import shop
from .places import AnyShop, Office, SqliteShop, engine_of

PLACES = ("postgresql", "sqlite files", "sqlite common")


@pytest.fixture(scope="package")
def office(postgres: Any) -> Iterator[Office]:
    """The installation's logins on the server under test."""
    found = Office(postgres)
    yield found
    found.close()


@pytest.fixture(scope="package")
def old_database(office: Office) -> str:
    """The made-up shop on PostgreSQL."""
    return office.load(lambda url: shop.load_made_up(engine_of(url)))


@pytest.fixture(scope="package")
def old_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The made-up shop in a SQLite file."""
    path = tmp_path_factory.mktemp("old") / "shop.db"
    shop.load_made_up(engine_of(f"sqlite:///{path}"))
    return path


@pytest.fixture
def opening(office: Office, old_database: str, old_file: Path, tmp_path: Path) -> Iterator[Callable[[str], AnyShop]]:
    """Opens the made-up shop in a place of that name; it is closed after the test."""
    opened: list[AnyShop] = []

    def open_at(place: str) -> AnyShop:
        if place == "postgresql":
            found: AnyShop = office.open(old_database)
        else:
            isolation = "database" if place == "sqlite files" else "rows"
            found = SqliteShop(tmp_path, old_file, isolation=isolation)
        opened.append(found)
        return found

    yield open_at
    for one in opened:
        one.close()


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest, opening: Callable[[str], AnyShop]) -> AnyShop:
    """The made-up shop, in each place in turn."""
    return opening(request.param)


@pytest.fixture
def on_postgres(opening: Callable[[str], AnyShop]) -> AnyShop:
    """The made-up shop on PostgreSQL alone."""
    return opening("postgresql")
