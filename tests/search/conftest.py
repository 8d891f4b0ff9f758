"""One ground for the room: both databases, with a tenant and a neighbour in each cell."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from cells import SYNC_PLACES, Ground, opened

from .library import CONFIG, Base, Room, papers


@pytest.fixture(scope="package")
def ground(postgres: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    with opened(postgres, tmp_path_factory.mktemp("search"), Base, Room, config=CONFIG) as ground:
        for place in SYNC_PLACES:
            for side, mark in (("near", ""), ("far", "far ")):
                with ground.session(place, side) as door:
                    door.run(lambda session, mark=mark: session.add_all(papers(mark)))
                    door.commit()
        yield ground
