"""Tables that behaviours add to an application's models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cells import PLACES, Ground, Place, opened
from sqlalchemy import Column, MetaData, String, Table, Uuid, insert, select
from sqlalchemy.orm import DeclarativeBase

from tenantry import Tenancy
from tenantry.errors import ConfigurationError
from tenantry.ids import uuid7
from tenantry.models import is_walled, lint


class Base(DeclarativeBase):
    pass


def _noted(tenancy: Tenancy) -> Table:
    columns = (Column("id", Uuid(), primary_key=True, default=uuid7), Column("said", String, unique=True))
    return tenancy.table("notes", *columns, behaviour="Notes")


@pytest.fixture(scope="module")
def ground(postgres: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    with opened(postgres, tmp_path_factory.mktemp("behaviours"), Base, _noted) as ground:
        yield ground


@pytest.mark.parametrize("place", PLACES, ids=str)
def test_its_rows_are_the_tenants_alone_in_every_cell(ground: Ground, place: Place) -> None:
    table = ground.made(place)
    for side in ("near", "far"):
        with ground.session(place, side) as door:
            # The same value in both: the key is unique per tenant, like any other's.
            row = {"tenant_id": door.session.tenant.id, "said": str(place)}
            door.run(lambda session, row=row: session.execute(insert(table).values(**row)))
            door.commit()
            found = door.run(lambda session: session.scalars(select(table.c.tenant_id).distinct()).all())
            assert found == [door.session.tenant.id]


def test_it_is_walled_and_lifted_and_declared_once(tmp_path: Path) -> None:
    metadata = MetaData()
    first, second = (Tenancy(f"sqlite:///{tmp_path}/{name}", models=metadata) for name in "ab")
    table = _noted(first)
    assert is_walled(table)
    assert not lint(metadata)
    assert _noted(first) is _noted(second) is table


def test_one_made_too_late_is_refused(tmp_path: Path) -> None:
    tenancy = Tenancy(f"sqlite:///{tmp_path}", models=MetaData())
    tenancy.install()
    with pytest.raises(ConfigurationError, match="after its tenancy had opened"):
        _noted(tenancy)
    tenancy.close()


def test_a_table_of_the_applications_own_is_not_taken_for_it(tmp_path: Path) -> None:
    metadata = MetaData()
    Table("notes", metadata, Column("id", Uuid(), primary_key=True))
    with pytest.raises(ConfigurationError, match="not the one Notes keeps"):
        _noted(Tenancy(f"sqlite:///{tmp_path}", models=metadata))
