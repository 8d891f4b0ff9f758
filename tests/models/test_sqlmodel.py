"""SQLModel classes: the same mixins, the key as fields.

SQLModel reads the annotations of relationships as objects, so this module does without postponed annotations.
"""

import uuid
from typing import Any, ClassVar, Optional

import pytest
from pydantic import BaseModel
from sqlalchemy import Engine, Table, inspect, select
from sqlalchemy.orm import registry
from sqlmodel import Field, Relationship, SQLModel

from tenantry.errors import TenantImmutable
from tenantry.models import (
    Ownership,
    Platform,
    Shared,
    TenantOwned,
    TenantRecord,
    Timestamps,
    is_walled,
    lint,
    ownership,
    stamp,
)

from .conftest import StampedSession, created


class Base(SQLModel, registry=registry()):
    pass


class HeroTeam(TenantOwned, Base, table=True):
    __tablename__: ClassVar[str] = "hero_teams"
    hero_id: uuid.UUID | None = Field(default=None, foreign_key="heroes.id", primary_key=True)
    team_id: uuid.UUID | None = Field(default=None, foreign_key="teams.id", primary_key=True)


class Team(TenantOwned, Base, table=True):
    __tablename__: ClassVar[str] = "teams"
    name: str = Field(unique=True, index=True)
    heroes: list["Hero"] = Relationship(back_populates="team")
    guests: list["Hero"] = Relationship(back_populates="visits", link_model=HeroTeam)


class HeroFields(SQLModel):
    name: str
    age: int | None = Field(default=None, index=True)


class Hero(Timestamps, TenantOwned, HeroFields, Base, table=True):
    __tablename__: ClassVar[str] = "heroes"
    team_id: uuid.UUID | None = Field(default=None, foreign_key="teams.id", ondelete="SET NULL")
    mentor_id: uuid.UUID | None = Field(default=None, foreign_key="heroes.id")
    team: Team | None = Relationship(back_populates="heroes")
    visits: list[Team] = Relationship(back_populates="guests", link_model=HeroTeam)
    mentor: Optional["Hero"] = Relationship(back_populates="pupils", sa_relationship_kwargs={"remote_side": "Hero.id"})
    pupils: list["Hero"] = Relationship(back_populates="mentor")


class Ticket(TenantOwned, Base, table=True):
    __tablename__: ClassVar[str] = "tickets"
    id: int | None = Field(default=None, primary_key=True)  # type: ignore[assignment]  # an integer where the mixin has a UUID
    text: str


class Company(TenantRecord, Base, table=True):
    __tablename__: ClassVar[str] = "companies"
    name: str


class Country(Shared, Base, table=True):
    __tablename__: ClassVar[str] = "countries"
    code: str = Field(primary_key=True)


class Place(TenantOwned, Base, table=True):
    __tablename__: ClassVar[str] = "places"
    country: str | None = Field(default=None, foreign_key="countries.code")


class Vendor(Platform, Base, table=True):
    __tablename__: ClassVar[str] = "vendors"
    id: int | None = Field(default=None, primary_key=True)


def key_of(model: Any) -> list[str]:
    table: Table = model.__table__
    assert [column.name for column in inspect(model).primary_key] == [column.name for column in table.primary_key]
    return [column.name for column in table.primary_key]


def test_the_models_can_be_walled() -> None:
    assert lint(Base.metadata) == []


@pytest.mark.parametrize("model", [Hero, Team, Ticket, Company, Place])
def test_the_key_is_the_tenant_and_the_id(model: type) -> None:
    assert key_of(model) == ["tenant_id", "id"]
    assert is_walled(model.__table__)  # type: ignore[attr-defined]  # a mapped class


def test_a_link_model_has_the_key_that_it_declares() -> None:
    assert key_of(HeroTeam) == ["tenant_id", "hero_id", "team_id"]
    assert "id" not in HeroTeam.model_fields


def test_shared_and_platform_tables_are_marked() -> None:
    assert ownership(Country.__table__) is Ownership.SHARED
    assert ownership(Vendor.__table__) is Ownership.PLATFORM
    assert "tenant_id" not in Vendor.model_fields


def test_an_id_is_there_at_construction_and_after_validation() -> None:
    hero = Hero(name="Ada")
    assert hero.id.version == 7
    assert hero.tenant_id is None
    assert Hero.model_validate({"name": "Bob"}).id.version == 7
    assert Company(name="x").id is None


def test_the_key_is_part_of_what_pydantic_shows() -> None:
    tenant = uuid.uuid4()
    hero = Hero(name="Ada", tenant_id=tenant)
    shown = hero.model_dump()
    assert (shown["id"], shown["tenant_id"], shown["name"]) == (hero.id, tenant, "Ada")
    assert hero.to_dict()["tenant_id"] == str(tenant)
    assert {"id", "tenant_id", "name", "age"} <= Hero.model_json_schema()["properties"].keys()


def test_a_plain_pydantic_model_reads_a_row() -> None:
    class Public(BaseModel, from_attributes=True):
        id: uuid.UUID
        name: str

    hero = Hero(name="Ada")
    assert Public.model_validate(hero).id == hero.id


def test_rows_relate_within_the_tenant(engine: Engine) -> None:
    created(Base.metadata, engine)
    with StampedSession(engine, uuid.uuid4()) as session:
        team, hero = Team(name="red"), Hero(name="Ada")
        hero.team_id = team.id
        session.add_all([team, hero])
        session.commit()
        assert hero.team is team
        assert team.heroes == [hero]
        hero.team = None
        session.commit()
        assert (hero.team_id, hero.tenant_id) == (None, session.tenant)
        team.guests.append(hero)
        hero.pupils.append(Hero(name="Bob"))
        session.commit()
        assert hero.visits == [team]
        assert hero.pupils[0].mentor is hero
        links = session.scalars(select(HeroTeam)).all()
        assert [(link.tenant_id, link.hero_id) for link in links] == [(session.tenant, hero.id)]
        hero.team = team
        hero.visits = []
        session.commit()
        session.delete(team)
        session.commit()
        assert hero.team_id is None
        assert hero.created_at is not None


def test_integers_records_and_shared_rows(engine: Engine) -> None:
    created(Base.metadata, engine)
    with StampedSession(engine, uuid.uuid4()) as session:
        ticket, company = Ticket(text="x"), Company(name="x")
        session.add_all([ticket, company, Country(code="NO")])
        session.flush()
        session.add(Place(country="NO"))
        session.commit()
        assert isinstance(ticket.id, int)
        assert company.id == company.tenant_id == session.tenant


def test_the_tenant_cannot_change() -> None:
    hero = Hero(name="Ada")
    assert stamp(hero, uuid.uuid4())
    with pytest.raises(TenantImmutable):
        hero.tenant_id = uuid.uuid4()
    assert not stamp(hero, uuid.uuid4())


def test_a_schema_without_a_table_may_carry_the_mixin() -> None:
    fresh: Any = type("Fresh", (SQLModel,), {"__module__": __name__}, registry=registry())

    class Fields(TenantOwned, fresh):
        name: str

    class Thing(Fields, table=True):
        size: int = 1

    assert key_of(Thing) == ["tenant_id", "id"]
    assert Thing(name="x").id.version == 7
