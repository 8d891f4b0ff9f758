"""Databases by name, in every cell: each name leads to its own rows and no other's."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import select
from sqlalchemy.exc import DBAPIError

from tenantry.errors import TenantNotFound
from tenantry.packs import assistant
from tenantry.packs.assistant import Document, User, database_context, get_db_session

from .cells import SYNC, Ground, Place


@pytest.fixture(params=SYNC, ids=str)
def named(request: pytest.FixtureRequest, ground: Ground) -> Iterator[Place]:
    """The names lead into the tenancy of a cell."""
    assistant.use(ground.pack(request.param))
    yield request.param
    assistant.door.reset()


@pytest.mark.ledger("S3-006", "S3-009", "S3-001")
def test_a_name_leads_to_one_companys_rows(named: Place) -> None:
    for side in ("acme", "rival"):
        with database_context(f"company_{named.company(side)}.db"), get_db_session() as db:
            assert {row.file_path.partition("/")[0] for row in db.scalars(select(Document))} == {side}
            db.add(Document(filename="x", original_filename="x", file_path="x"))
            db.flush()
        # What was not committed is gone with the block.
        with get_db_session(f"company_{named.company(side)}") as db:
            assert len(db.scalars(select(Document)).all()) == 3
    with pytest.raises(TenantNotFound):
        get_db_session("company_999")


@pytest.mark.ledger("S3-009", "S3-004")
def test_the_primary_has_the_people_and_nothing_of_theirs(named: Place) -> None:
    db = get_db_session("primary")
    people = {user.username for user in db.scalars(select(User))}
    assert {"root", f"ann{named.company()}", f"ann{named.company('rival')}"} <= people
    with pytest.raises(DBAPIError):
        db.scalars(select(Document)).all()
    db.close()
    assert not db.in_transaction()
