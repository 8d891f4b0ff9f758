"""The statements of one session are counted, no others'."""

from __future__ import annotations

import pytest
from sqlalchemy import delete, select
from sqlalchemy.orm import selectinload

from tenantry.errors import TooManyStatements
from tenantry.observe import count_statements

from .models import Folder, Paper


@pytest.fixture
def filed(ground, place):
    with ground.session(place) as door:
        for model in (Paper, Folder):
            door.run(lambda session, model=model: session.execute(delete(model)))
        door.run(lambda session: session.add_all([Folder(papers=[Paper()]) for _ in range(3)]))
        door.commit()


def visit(session):
    return [len(folder.papers) for folder in session.scalars(select(Folder))]


def visit_at_once(session):
    return [len(folder.papers) for folder in session.scalars(select(Folder).options(selectinload(Folder.papers)))]


def test_n_plus_one_is_seen(filed, door):
    wanted = pytest.raises(TooManyStatements, match="4 statements were sent where 2 were allowed")
    with wanted, count_statements(door.session, at_most=2) as counted:
        assert door.run(visit) == [1, 1, 1]
    assert len(counted) == 4
    with count_statements(door.session, at_most=2) as counted:
        door.run(lambda session: session.expunge_all())
        assert door.run(visit_at_once) == [1, 1, 1]
    assert len(counted) == 2
    assert "FROM folders" in str(counted)


def test_others_are_not_counted_and_several_transactions_are(filed, ground, door, place):
    door.run(visit_at_once)
    door.rollback()
    with count_statements(door.session) as counted:
        with ground.session(place, "far", read_only=True) as other:
            other.run(visit)
        assert len(counted) == 0
        for _ in range(2):
            door.run(lambda session: session.scalars(select(Paper)).all())
            door.rollback()
    assert len(counted) == 2
    door.run(lambda session: session.scalars(select(Paper)).all())
    assert len(counted) == 2


def test_an_error_in_the_block_is_the_error(door):
    with pytest.raises(ZeroDivisionError), count_statements(door.session, at_most=0):
        door.run(fail_after_reading)


def fail_after_reading(session):
    session.scalars(select(Paper)).all()
    raise ZeroDivisionError
