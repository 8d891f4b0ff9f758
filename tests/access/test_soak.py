"""The long forms: tokens changed at random, and many who refresh at once."""

from __future__ import annotations

import random
import string
import uuid

import pytest

from tenantry.access import TokenPair, Tokens
from tenantry.errors import TokenRefused, TokenReused

from .crowd import at_once
from .forging import AUDIENCE, ISSUER, Site
from .stage import SYNC_DOORS, Stage

LETTERS = string.ascii_letters + string.digits + "-_."
CHANGED = 5_000
ROUNDS, CROWD = 40, 12


@pytest.mark.soak
def test_no_token_that_was_changed_at_random_is_accepted() -> None:
    dice, accepted, tried = random.Random(20261122), 0, 0
    for key in Site().keys:
        tokens = Tokens([key], issuer=ISSUER, audience=AUDIENCE)
        pool = [tokens.issue("ann", tenant=uuid.uuid4(), roles=[role]) for role in ("viewer", "admin", "super_admin")]
        for _ in range(CHANGED):
            forged = _changed(dice, pool)
            tried += forged not in pool
            try:
                tokens.verify(forged)
                accepted += forged not in pool
            except TokenRefused:
                pass
    print(f"\n{tried:,} tokens changed at random: {accepted} accepted")
    assert (accepted, tried > 3 * CHANGED) == (0, True)


@pytest.mark.soak
@pytest.mark.parametrize("door", SYNC_DOORS)
def test_of_many_who_refresh_at_once_at_most_one_gets_a_pair(stage: Stage) -> None:
    stage.account("ann", "near", "viewer")
    pairs = reused = 0
    for _ in range(ROUNDS):
        pair = stage.enter("ann")
        outcomes = at_once(lambda pair=pair: stage.access.refresh(pair.refresh), CROWD)
        won = [found for found in outcomes if isinstance(found, TokenPair)]
        assert len(won) <= 1
        for found in (pair, *won):
            with pytest.raises(TokenRefused):
                stage.access.verify(found.access)
        pairs, reused = pairs + len(won), reused + sum(isinstance(found, TokenReused) for found in outcomes)
    print(f"\n{stage.door}: {ROUNDS * CROWD} refreshes of {ROUNDS} tokens at once: {pairs} pairs, {reused} reuses seen")
    assert reused >= ROUNDS * (CROWD - 1)


def _changed(dice: random.Random, pool: list[str]) -> str:
    token = dice.choice(pool)
    kind = dice.randrange(4)
    if kind == 0:
        parts = [dice.choice(pool).split(".")[place] for place in range(3)]
        return ".".join(parts)
    start = dice.randrange(len(token))
    end = start + dice.randrange(1, 5)
    if kind == 1:
        return token[:start] + token[end:]
    written = "".join(dice.choices(LETTERS, k=end - start))
    return token[:start] + written + (token[start:] if kind == 2 else token[end:])
