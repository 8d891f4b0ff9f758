"""One ground for all of them, and no row left behind by a test."""

from __future__ import annotations

from typing import Any

import pytest
from cells import opened

from .stage import Base, forget_all, make


@pytest.fixture(scope="package")
def ground(postgres: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    with opened(postgres, tmp_path_factory.mktemp("guards"), Base, make) as ground:
        yield ground


@pytest.fixture(autouse=True)
def _clean(request: pytest.FixtureRequest) -> Any:
    wanted = ("ground", "place") if "place" in request.fixturenames else ()
    found = [request.getfixturevalue(name) for name in wanted]
    yield
    if found:
        ground, place = found
        ground.made(place).said.clear()
        for side in ("near", "far"):
            with ground.session(place, side) as door:
                door.run(forget_all)
                door.commit()
