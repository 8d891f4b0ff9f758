"""The leak suite's worlds, made once per worker, and the table at the end: cells, doors, routes, leaks."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .control import PostgresControl, SQLiteControl
from .walled import PostgresGround, SQLiteGround
from .worlds import Ground, Place, World


class Worlds:
    """Every cell's ground, made when first asked for."""

    def __init__(self, server: Any, directory: Path) -> None:
        self.server = server
        self.directory = directory
        self.databases: list[str] = []
        self.runner = asyncio.Runner()
        self.grounds: dict[str, Ground] = {}

    def at(self, place: Place) -> World:
        if place.cell not in self.grounds:
            self.grounds[place.cell] = self._ground(place.cell)
        return World(place, self.grounds[place.cell], self.runner)

    def close(self) -> None:
        for ground in self.grounds.values():
            ground.close()
        self.runner.close()
        for database in self.databases:
            self.server.drop_database(database)

    def _ground(self, cell: str) -> Ground:
        if cell == "control-postgresql":
            return PostgresControl(self._database(), self.runner)
        if cell == "control-sqlite":
            directory = self.directory / "control"
            directory.mkdir()
            return SQLiteControl(directory, self.runner)
        if cell.startswith("postgresql"):
            return PostgresGround(cell, self.server, self.runner)
        return SQLiteGround(cell, self.directory / cell, self.runner)

    def _database(self) -> str:
        self.databases.append(self.server.create_database())
        return self.server.url(self.databases[-1])


@pytest.fixture(scope="session")
def worlds(postgres: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worlds]:
    """Every cell's world, on the server under test and in a directory of this run."""
    found = Worlds(postgres, tmp_path_factory.mktemp("leak"))
    yield found
    found.close()
