"""What was not made here, in just this form, for this place and time, is refused; what was is accepted."""

from __future__ import annotations

import string
import uuid
from collections.abc import Iterator

import jwt
import pytest

from tenantry.access import TokenKey, Tokens
from tenantry.errors import TokenExpired, TokenRefused

from .forging import AUDIENCE, FORGED, ISSUER, Site, by_hand

LETTERS = string.ascii_letters + string.digits + "-_"


@pytest.fixture(scope="module")
def site() -> Site:
    return Site()


@pytest.mark.parametrize("kind", FORGED)
def test_a_forged_token_is_refused(site: Site, kind: str) -> None:
    forged = FORGED[kind](site)
    with pytest.raises(TokenRefused) as refused:
        site.tokens.verify(forged)
    assert isinstance(refused.value, TokenExpired) == kind.startswith("expired")


def test_there_are_enough_of_them_and_each_is_another() -> None:
    assert len(FORGED) >= 100


def test_what_the_forgers_begin_with_is_accepted(site: Site) -> None:
    # Otherwise a refusal would say nothing of what is wrong with the forged one.
    claims = site.claims()
    assert site.tokens.verify(by_hand(site.header(), claims, site.shared)).subject == "ann"
    for key, private in (("rsa", site.rsa), ("curve", site.curve), ("edwards", site.edwards)):
        algorithm = {"rsa": "RS256", "curve": "ES256", "edwards": "EdDSA"}[key]
        token = jwt.encode(claims, private, algorithm, headers={"kid": key})
        assert site.tokens.verify(token).tenant == uuid.UUID(claims["tenant"])


def test_no_letter_of_a_token_can_be_changed(site: Site) -> None:
    for key in site.keys:
        tokens = Tokens([key], issuer=ISSUER, audience=AUDIENCE)
        token = tokens.issue("ann", tenant=uuid.uuid4(), roles=["analyst"])
        assert tokens.verify(token).subject == "ann"
        for changed in _with_one_letter_changed(token):
            with pytest.raises(TokenRefused):
                tokens.verify(changed)


def test_no_key_verifies_another_s_tokens() -> None:
    # Even under its name.
    sites = [TokenKey("key", TokenKey.new("key").secret) for _ in range(2)]
    ours, theirs = (Tokens([key], issuer=ISSUER, audience=AUDIENCE) for key in sites)
    with pytest.raises(TokenRefused):
        ours.verify(theirs.issue("ann", tenant=None))


def _with_one_letter_changed(token: str) -> Iterator[str]:
    for place, letter in enumerate(token):
        other = "A" if letter == "." else LETTERS[(LETTERS.index(letter) + 1) % len(LETTERS)]
        yield f"{token[:place]}{other}{token[place + 1 :]}"
