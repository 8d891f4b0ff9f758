"""SQLModel classes take the mixins like any other."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import MetaData, select
from sqlmodel import Field, SQLModel

from tenantry import Tenancy
from tenantry.errors import AppendOnlyViolation
from tenantry.models import AppendOnly, SoftDelete, TenantOwned


class Base(SQLModel):
    metadata = MetaData()


class Note(AppendOnly, TenantOwned, Base, table=True):
    said: str


class Hero(SoftDelete, TenantOwned, Base, table=True):
    name: str = Field(unique=True)


def test_both_mixins(tmp_path: Path) -> None:
    tenancy = Tenancy(f"sqlite:///{tmp_path}", models=Base.metadata)
    tenancy.install()
    tenancy.tenants.create("acme")
    with tenancy.transaction("acme") as db:
        note, hero = Note(said="so"), Hero(name="one")
        db.add_all([note, hero])
        db.flush()
        hero.soft_delete(by="ann")
        db.add(Hero(name="one"))
    with tenancy.session("acme") as db:
        assert [found.deleted_by for found in db.scalars(select(Hero))] == [None]
        note = db.scalars(select(Note)).one()
        note.said = "otherwise"
        with pytest.raises(AppendOnlyViolation):
            db.flush()
    tenancy.close()
