"""Bare repositories: made with nothing, awaited without a session, each call committed by itself."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError

from tenantry.doors import Door
from tenantry.errors import TenantRequired
from tenantry.repository import AsyncRepository

from .conftest import Cell
from .models import Base, Member, Note


class Members(AsyncRepository[Member]):
    async def named(self, text: str) -> list[Member]:
        """Returns members as a seed's repository would, by a chain that is awaited."""
        return await self.query().filter(Member.email.ilike(f"{text}%")).order_by(Member.email.desc()).limit(5).all()


@pytest.fixture
def members(cell: Cell) -> Members:
    return Members(cell.door.repository_calls(f"near-{cell.place.cell}"))


def test_chains_are_awaited_without_a_session(cell: Cell, members: Members) -> None:
    async def work() -> list[Any]:
        query = members.query().filter(Member.email.like("%@%"))
        return [
            [member.email.partition("@")[0] for member in await members.named("")],
            await query.count(),
            await query.exists(),
            (await query.order_by("email").first()).email.partition("@")[0],  # type: ignore[union-attr]  # there are two
            len((await query.page(size=1)).items),
            len([member async for member in stream(query.stream(batch=1))]),
        ]

    assert cell.ground.runner.run(work()) == [["bob", "ann"], 2, True, "ann", 1, 2]


async def stream(rows: AsyncIterator[Member]) -> AsyncIterator[Member]:
    async for row in rows:
        yield row


def test_each_call_commits(cell: Cell, members: Members) -> None:
    async def work() -> list[Any]:
        made = await members.create(email="carl")
        changed = await members.update(made.id, email="carla")
        seen = await members.get_one(made.id)
        await members.delete(made.id)
        return [changed.email, seen.email, seen.tenant_id, await members.count()]

    assert cell.ground.runner.run(work()) == ["carla", "carla", cell.near, 2]


def test_a_call_that_fails_leaves_nothing(cell: Cell, members: Members) -> None:
    async def work() -> int:
        with pytest.raises(IntegrityError):
            await members.bulk_create([{"email": "dora"}, {"email": "dora"}])
        return await members.count()

    assert cell.ground.runner.run(work()) == 2


def test_without_a_key_the_chain_names_the_tenant(cell: Cell) -> None:
    notes = AsyncRepository(cell.door.repository_calls(), model=Note)

    async def work() -> list[str]:
        with pytest.raises(TenantRequired):
            await notes.query().all()
        return [note.text for note in await notes.query().filter(Note.tenant_id == cell.far).all()]

    assert cell.ground.runner.run(work()) == [f"of far-{cell.place.cell}"]


def test_making_one_opens_nothing() -> None:
    door: Door[Any] = Door("closed", Base)
    assert Members(door.repository_calls())
    assert not door.opened
