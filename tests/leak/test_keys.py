"""The key by which a session is opened: what reads alike must not find another's tenant."""

from __future__ import annotations

import asyncio

from sqlalchemy import text

from .suite import Leak, route

SUBJECTS = text("SELECT subject FROM tickets")
NO_KEYS = "the control has no catalog in which to look a key up"


def _keys(world):
    """Keys of both tenants, B's slug first: A has an identity, of another kind, that reads like it."""
    return [
        (world.b, world.b.slug),
        (world.a, ("nickname", world.b.slug)),
        (world.b, world.b.id),
        (world.a, str(world.a.id)),
        (world.a, world.a.slug),
        (world.b, world.b.slug),
    ]


def _swapped(world, side, session, rows):
    other = world.b if side is world.a else world.a
    strange = [row for row in rows if other.canary in row]
    wrong = session.tenant.id != side.id
    return [Leak(f"a key of {side.slug} opened {session.tenant.slug}: {strange[:1]}")] if wrong or strange else []


@route(doors="sync", harmless=NO_KEYS)
def test_identity_that_reads_like_anothers_slug(session, world):
    session.close()
    seen = []
    for side, key in _keys(world) if world.walled else ():
        with world.ground.tenancy.session(key) as found:
            seen += _swapped(world, side, found, found.execute(SUBJECTS).scalars())
    return seen


@route(harmless=NO_KEYS)
async def test_identity_that_reads_like_anothers_slug_awaited(session, world):
    await session.close()
    seen = []
    for side, key in _keys(world) if world.walled else ():
        async with world.ground.tenancies.get(world.place.door, world.ground.tenancy).aio.session(key) as found:
            rows = (await found.execute(SUBJECTS)).scalars().all()
            seen += _swapped(world, side, found, rows)
    return seen


@route(harmless=NO_KEYS)
async def test_keys_of_both_tenants_at_once(session, world):
    await session.close()

    async def look(side, key):
        tenancy = world.ground.tenancies.get(world.place.door, world.ground.tenancy)
        async with tenancy.aio.session(key, read_only=True) as found:
            return _swapped(world, side, found, (await found.execute(SUBJECTS)).scalars().all())

    return await asyncio.gather(*[look(*pair) for pair in _keys(world) * 2]) if world.walled else None
