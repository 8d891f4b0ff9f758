"""Every relationship shape on a plain session: two tenants, one after the other, in the same tables."""

from __future__ import annotations

import uuid

import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from tenantry.models import lint

from . import shapes
from .conftest import StampedSession, created


@pytest.mark.parametrize("name", shapes.SHAPES)
def test_a_shape_works_for_each_of_two_tenants(name: str, engine: Engine) -> None:
    created(shapes.Base.metadata, engine)
    for _ in range(2):
        with StampedSession(engine, uuid.uuid4()) as session:
            shapes.SHAPES[name](session)


def test_the_shapes_can_be_walled() -> None:
    assert lint(shapes.Base.metadata) == []


def test_there_are_at_least_twelve_shapes() -> None:
    assert len(shapes.SHAPES) >= 12
    assert all(scenario.__annotations__["session"] in (Session, "Session") for scenario in shapes.SHAPES.values())
