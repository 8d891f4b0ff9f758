"""A home made from the models and a home that went through every revision have one shape, whatever kind it is."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import MetaData

from tenantry import Config, Tenancy
from tenantry.fleet.checking import check
from tenantry.fleet.fingerprints import Fingerprint, differences
from tenantry.fleet.fingerprints_homes import shapes_of
from tenantry.fleet.history import Pace
from tenantry.fleet.homes import Home, homes_of
from tenantry.fleet.scripts import AlembicHistory
from tenantry.isolation.postgres import APP

from .growing import write_history
from .installed import on_postgres, on_sqlite
from .models import Base

# One by one through Alembic itself, and replayed as fast as may be.
PACES = {"one by one": Pace(one_by_one=True), "replayed": Pace()}


@contextlib.contextmanager
def grown_up(young: Tenancy, directory: Path) -> Iterator[tuple[Tenancy, AlembicHistory]]:
    """Opens an installation that had no tables yet with the application's models and their history."""
    config = Config(
        role_prefix=young.config.role_prefix, demote=True, migrations=write_history(directory / "migrations")
    )
    main = young.servers.main
    url = main.url(APP, action="Testing").render_as_string(hide_password=False) if main.kind == "postgresql" else None
    tenancy = Tenancy(url or f"sqlite:///{main.location}", models=Base, config=config)
    history = AlembicHistory(tenancy)
    try:
        yield tenancy, history
    finally:
        history.close()
        tenancy.close()


def bring(history: AlembicHistory, homes: Sequence[Home], target: str | None, *, pace: Pace) -> None:
    for home in homes:
        history.apply(home, target, pace=pace)


def assert_alike(tenancy: Tenancy, old: Sequence[Home], new: Sequence[Home]) -> None:
    """Says that a home of each kind that grew and one that was made have the same shape, to the last fact."""
    shapes = shapes_of(tenancy, [*old, *new])
    by_kind = {home.kind: shapes[home] for home in new}
    for home in old:
        grown, made = shapes[home], by_kind.get(home.kind)
        if isinstance(made, Fingerprint):
            assert isinstance(grown, Fingerprint)
            assert differences(grown, made, here="grown", there="made") == []
            assert grown.digest == made.digest


def assert_grows(young: Tenancy, directory: Path, pace: Pace, *, isolations: Sequence[str]) -> None:
    old = list(homes_of(young))
    with grown_up(young, directory) as (tenancy, history):
        bring(history, old, "r4", pace=pace)
        bring(history, old, "r6", pace=pace)
        for isolation in isolations:
            tenancy.tenants.create(f"new-{isolation}", isolation=isolation)
        new = [home for home in homes_of(tenancy) if home not in old]
        assert len(new) == len([isolation for isolation in isolations if isolation != "rows"])
        assert check(tenancy, history) == ()
        assert_alike(tenancy, old, new)
        everywhere = [*old, *new]
        bring(history, everywhere, "r2", pace=pace)
        bring(history, everywhere, None, pace=pace)
        bring(history, everywhere, "r6", pace=pace)
        assert check(tenancy, history) == ()
        assert_alike(tenancy, old, new)


@pytest.mark.mainly("one by one")
@pytest.mark.parametrize("pace", PACES)
def test_on_postgresql(postgres: Any, tmp_path: Path, pace: str) -> None:
    kinds = {"rows": "rows", "schema": "schema", "database": "database"}
    with on_postgres(postgres, models=MetaData(), tenants=kinds) as young:
        assert_grows(young, tmp_path, PACES[pace], isolations=list(kinds))


@pytest.mark.parametrize("pace", PACES)
def test_on_sqlite(tmp_path: Path, pace: str) -> None:
    with on_sqlite(tmp_path / "data", models=MetaData(), tenants=["first", "second"]) as young:
        assert_grows(young, tmp_path, PACES[pace], isolations=["rows", "database"])
