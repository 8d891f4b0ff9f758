"""Rows as plain dictionaries."""

from __future__ import annotations

import datetime
import decimal
import enum
import json
import uuid
from typing import Any

import pytest
from sqlalchemy import Engine, LargeBinary, Numeric, String, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, deferred, mapped_column

from tenantry.models import JSONDocument, Platform, Shared, TenantOwned, TenantRecord, Timestamps, UTCDateTime
from tenantry.models.serialisation import json_safe

from .conftest import created


class Colour(enum.Enum):
    RED = "red"


class Base(DeclarativeBase):
    pass


class Account(Timestamps, TenantOwned, Base):
    __tablename__ = "accounts"
    at: Mapped[datetime.datetime] = mapped_column(UTCDateTime)
    balance: Mapped[decimal.Decimal] = mapped_column(Numeric(10, 2))
    raw: Mapped[bytes] = mapped_column(LargeBinary)
    settings: Mapped[Any] = mapped_column(JSONDocument)
    password_hash: Mapped[str] = mapped_column(String)
    api_key: Mapped[str]
    pin: Mapped[str] = mapped_column(info={"secret": True})
    reset_token: Mapped[str] = mapped_column(info={"secret": False})
    total_tokens: Mapped[int]
    renamed: Mapped[str] = mapped_column("old_name")
    essay: Mapped[str] = deferred(mapped_column(String))


def account() -> Account:
    return Account(
        tenant_id=uuid.uuid4(),
        at=datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC),
        balance=decimal.Decimal("12.50"),
        raw=b"\x00\xff",
        settings={"theme": ["dark"]},
        password_hash="hash",
        api_key="key",
        pin="1234",
        reset_token="shown",
        total_tokens=7,
        renamed="new",
        essay="long",
    )


def test_a_row_becomes_json_without_secrets(engine: Engine) -> None:
    created(Base.metadata, engine)
    with Session(engine) as session:
        row = account()
        session.add(row)
        session.commit()
        found = json.loads(json.dumps(row.to_dict()))
        assert found["id"] == str(row.id)
        assert found["tenant_id"] == str(row.tenant_id)
        assert found["at"] == "2024-01-01T00:00:00+00:00"
        assert found["created_at"] == found["updated_at"]
        assert (found["balance"], found["raw"], found["settings"]) == ("12.50", "AP8=", {"theme": ["dark"]})
        assert (found["reset_token"], found["total_tokens"], found["renamed"]) == ("shown", 7, "new")
        assert not found.keys() & {"password_hash", "api_key", "pin"}


def test_columns_can_be_left_out_and_secrets_asked_for() -> None:
    row = account()
    assert "balance" not in row.to_dict(exclude={"balance"})
    assert row.to_dict(reveal=["pin"])["pin"] == "1234"
    assert "pin" not in row.to_dict(reveal=["pin"], exclude=["pin"])


def test_deferred_columns_are_not_loaded_for_it(engine: Engine) -> None:
    created(Base.metadata, engine)
    with Session(engine) as session:
        session.add(account())
        session.commit()
        session.expunge_all()
        row = session.scalars(select(Account)).one()
        assert "essay" not in row.to_dict()
        assert row.essay == "long"
        assert row.to_dict()["essay"] == "long"


@pytest.mark.parametrize("mixin", [TenantOwned, TenantRecord, Platform, Shared])
def test_every_mixin_has_it(mixin: type) -> None:
    base = type("B", (DeclarativeBase,), {})
    declared = {"__tablename__": "t", "__annotations__": {"code": Mapped[str]}, "code": mapped_column(primary_key=True)}
    row: Any = type("T", (mixin, base), declared)(code="x")
    assert row.to_dict()["code"] == "x"


def test_values_json_does_not_know_become_what_it_knows() -> None:
    class Vector:
        def to_list(self) -> list[float]:
            return [0.5, 1.5]

    given = {
        "set": {1},
        "enum": Colour.RED,
        "date": datetime.date(2024, 1, 2),
        "time": datetime.time(3, 4),
        "span": datetime.timedelta(minutes=1),
        "vector": Vector(),
        "nested": ({uuid.UUID(int=1): None},),
        "other": complex(1, 2),
    }
    assert json_safe(given) == {
        "set": [1],
        "enum": "red",
        "date": "2024-01-02",
        "time": "03:04:00",
        "span": 60.0,
        "vector": [0.5, 1.5],
        "nested": [{"00000000-0000-0000-0000-000000000001": None}],
        "other": "(1+2j)",
    }
