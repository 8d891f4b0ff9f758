"""``subject=``: which columns say whose personal data a row is, however the class is declared.

SQLModel reads annotations as objects, so this module does without postponed annotations.
"""

import dataclasses
from typing import Any, ClassVar

import pytest
from sqlalchemy import Column, MetaData, String, Table
from sqlalchemy.orm import DeclarativeBase, Mapped, MappedAsDataclass, declarative_base, mapped_column, registry
from sqlmodel import Field, SQLModel

from tenantry.errors import ConfigurationError
from tenantry.models import (
    Platform,
    Shared,
    SoftDelete,
    TenantOwned,
    TenantRecord,
    Timestamps,
    references,
    subject_columns,
    subject_tables,
    tenant_table,
)


def plain() -> Any:
    class Base(DeclarativeBase):
        pass

    return Base


def as_dataclass() -> Any:
    class Base(MappedAsDataclass, DeclarativeBase):
        pass

    return Base


BASES = [plain, as_dataclass, declarative_base]


def named(model: Any) -> list[str]:
    return [column.name for column in subject_columns(model.__table__)]


@pytest.mark.parametrize("base", BASES)
def test_a_class_names_the_column_of_its_person(base: Any) -> None:
    class Ticket(TenantOwned, base(), subject="requester_email"):
        __tablename__ = "tickets"
        title: Mapped[str]
        requester_email: Mapped[str]

    assert named(Ticket) == ["requester_email"]
    assert subject_tables(Ticket.metadata) == [Ticket.__table__]


@pytest.mark.parametrize("base", [plain, as_dataclass])
def test_the_base_may_stand_before_the_mixin(base: Any) -> None:
    class Ticket(base(), TenantOwned, subject=("requester", "assignee")):
        __tablename__ = "tickets"
        requester: Mapped[str]
        assignee: Mapped[str]

    assert named(Ticket) == ["requester", "assignee"]


def test_an_attribute_may_have_another_name_than_its_column() -> None:
    class Ticket(SoftDelete, Timestamps, TenantOwned, plain(), subject=["requester", "cc_email"]):
        __tablename__ = "tickets"
        requester: Mapped[str] = mapped_column("requester_email")
        cc: Mapped[str | None] = mapped_column("cc_email")

    assert named(Ticket) == ["requester_email", "cc_email"]


def test_sqlmodel_takes_the_keyword_beside_its_own() -> None:
    class Base(SQLModel, registry=registry()):
        pass

    class Fields(SQLModel):
        email: str

    class Contact(TenantOwned, Fields, Base, table=True, subject="email"):
        __tablename__: ClassVar[str] = "contacts"

    class Other(TenantOwned, Base, table=True):
        __tablename__: ClassVar[str] = "others"
        boss: str = Field(index=True)

    assert named(Contact) == ["email"]
    assert not named(Other)
    assert Contact(email="a@example.org").model_dump(include={"email"}) == {"email": "a@example.org"}


def test_a_dataclass_is_still_one() -> None:
    class Contact(TenantOwned, as_dataclass(), kw_only=True, subject="email"):
        __tablename__ = "contacts"
        email: Mapped[str]

    assert [field.name for field in dataclasses.fields(Contact)] == ["email"]
    assert named(Contact) == ["email"]


def test_what_derives_from_a_class_keeps_its_persons() -> None:
    class Personal(TenantOwned, plain(), subject="email"):
        __abstract__ = True
        email: Mapped[str]

    class Contact(Personal):
        __tablename__ = "contacts"

    class Visitor(Personal, subject="badge"):
        __tablename__ = "visitors"
        badge: Mapped[str]

    assert (named(Contact), named(Visitor)) == (["email"], ["email", "badge"])


def test_a_column_of_the_parents_table_is_marked_there() -> None:
    class Party(TenantOwned, plain(), subject="email"):
        __tablename__ = "parties"
        kind: Mapped[str]
        email: Mapped[str]
        __mapper_args__: ClassVar[Any] = {"polymorphic_on": "kind", "polymorphic_identity": "party"}

    class Agent(Party, subject="signature"):
        __tablename__ = "agents"
        signature: Mapped[str]
        __mapper_args__: ClassVar[Any] = {"polymorphic_identity": "agent"}

    assert (named(Party), named(Agent)) == (["email"], ["signature"])


def test_a_class_mapped_to_a_table_or_by_a_decorator_says_it_too() -> None:
    mapping = registry()

    @mapping.mapped
    class Note(TenantOwned, subject="author"):
        __tablename__ = "notes"
        author: Mapped[str] = mapped_column()

    attendance = tenant_table(
        "attendance", mapping.metadata, references("notes.id"), Column("email", String), subject="email"
    )
    assert named(Note) == ["author"]
    assert subject_tables(mapping.metadata) == [attendance, Note.__table__]


@pytest.mark.parametrize("base", BASES)
def test_a_name_that_is_no_column_is_refused(base: Any) -> None:
    with pytest.raises(ConfigurationError, match="Ticket has no column 'requester'"):

        class Ticket(TenantOwned, base(), subject="requester"):
            __tablename__ = "tickets"
            email: Mapped[str]

    with pytest.raises(ConfigurationError, match="links has no column 'e-mail'"):
        tenant_table("links", MetaData(), Column("email", String, primary_key=True), subject="e-mail")


@pytest.mark.parametrize("mixin", [Platform, Shared, TenantRecord])
def test_a_table_without_a_tenants_rows_has_no_persons(mixin: Any) -> None:
    with pytest.raises(ConfigurationError, match="users does not hold a tenant's rows"):

        class User(mixin, plain(), subject="email"):
            __tablename__ = "users"
            number: Mapped[int] = mapped_column(primary_key=True)
            email: Mapped[str]

    assert not subject_columns(Table("bare", MetaData(), Column("email", String)))
