"""One ground for every test of usage."""

from __future__ import annotations

from typing import Any

import pytest
from cells import opened

from tenantry import Tenancy
from tenantry.usage import Usage

from .stage import HEARD, KEPT, PRICES, Base


@pytest.fixture(scope="package")
def ground(postgres: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    def make(tenancy: Tenancy) -> Usage:
        Usage(tenancy, table=KEPT, append_only=True)
        return Usage(tenancy, prices=PRICES, on_threshold=HEARD)

    with opened(postgres, tmp_path_factory.mktemp("usage"), Base, make) as ground:
        yield ground
