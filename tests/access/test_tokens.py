"""Tokens through their life: made, rotated, expired; keys that are too weak are refused before anything is signed."""

from __future__ import annotations

import base64
import json
import secrets
import subprocess
import sys
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa, x25519

from tenantry.access import Roles, TokenKey, Tokens
from tenantry.errors import ConfigurationError, SecretRefused, SecretUnreadable, TokenExpired, TokenRefused
from tenantry.secrets import Secrets

from .forging import AUDIENCE, ISSUER, pem_of, public_pem_of

WEAK_RSA = rsa.generate_private_key(65537, 1024)
RSA = rsa.generate_private_key(65537, 2048)


class Clock:
    """A clock that goes when it is told to."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 22, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


def tokens(*keys: TokenKey, **options: Any) -> Tokens:
    return Tokens(keys or [TokenKey.new("a")], issuer=ISSUER, audience=AUDIENCE, **options)


def test_what_goes_in_comes_out() -> None:
    ring, tenant, login = tokens(), uuid.uuid4(), uuid.uuid4()
    token = ring.issue("ann", tenant=tenant, roles=["viewer"], permissions=["x:y"], impersonator="root", login=login)
    claims = ring.verify(token)
    assert (claims.subject, claims.tenant, claims.impersonator, claims.login) == ("ann", tenant, "root", login)
    assert claims.roles == {"viewer"}
    assert claims.permissions == {"x:y", "conversations:read", "documents:read", "reports:read"}
    assert ring.verify(ring.issue("ann", tenant=None)).tenant is None
    assert ring.verify(ring.issue("ann", tenant=None)).token_id != claims.token_id


def test_a_role_holds_what_the_matrix_says_when_it_is_asked() -> None:
    key = TokenKey.new("a")
    token = tokens(key, roles=Roles({"reader": ["*:read"]})).issue("ann", tenant=None, roles=["reader"])
    assert tokens(key, roles=Roles({"reader": []})).verify(token).permissions == frozenset()
    assert tokens(key, roles=Roles({})).verify(token).permissions == frozenset()


def test_a_token_expires_and_the_leeway_is_for_clocks_that_differ() -> None:
    clock = Clock()
    ring = tokens(clock=clock, lifetime=timedelta(seconds=100), leeway=timedelta(seconds=10))
    token = ring.issue("ann", tenant=None)
    for seconds, error in [(0, None), (109, None), (110, TokenExpired), (10**6, TokenExpired), (-10, None)]:
        clock.now = datetime(2026, 11, 22, 12, tzinfo=UTC) + timedelta(seconds=seconds)
        if error is None:
            assert ring.verify(token).subject == "ann"
        else:
            with pytest.raises(error):
                ring.verify(token)
    clock.now = datetime(2026, 11, 22, 11, 59, 49, tzinfo=UTC)
    with pytest.raises(TokenRefused, match="not valid yet"):
        ring.verify(token)


def test_keys_are_rotated_without_anybody_being_logged_out() -> None:
    old, new = TokenKey.new("2026-10"), TokenKey.new("2026-11")
    ring = tokens(old)
    before = ring.issue("ann", tenant=None)
    ring.use([old, new])
    after = ring.issue("ann", tenant=None)
    assert [jwt.get_unverified_header(token)["kid"] for token in (before, after)] == ["2026-10", "2026-11"]
    assert ring.verify(before).subject == ring.verify(after).subject == "ann"
    ring.use([new])
    assert ring.verify(after)
    with pytest.raises(TokenRefused):
        ring.verify(before)


@pytest.mark.parametrize(
    ("algorithm", "private"),
    [(name, RSA) for name in ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")]
    + [
        ("ES256", ec.generate_private_key(ec.SECP256R1())),
        ("ES384", ec.generate_private_key(ec.SECP384R1())),
        ("ES512", ec.generate_private_key(ec.SECP521R1())),
        ("EdDSA", ed25519.Ed25519PrivateKey.generate()),
    ],
)
def test_who_has_the_public_key_verifies_and_signs_nothing(algorithm: str, private: Any) -> None:
    signing = tokens(TokenKey("k", pem_of(private), algorithm))
    verifying = tokens(TokenKey("k", public_pem_of(private), algorithm))
    assert verifying.verify(signing.issue("ann", tenant=None)).subject == "ann"
    with pytest.raises(ConfigurationError, match="is public"):
        verifying.issue("ann", tenant=None)


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
def test_shared_keys_have_as_many_bytes_as_their_digest(algorithm: str) -> None:
    size = int(algorithm[2:]) // 8
    ring = tokens(TokenKey("k", secrets.token_bytes(size), algorithm))
    assert ring.verify(ring.issue("ann", tenant=None)).subject == "ann"
    with pytest.raises(ConfigurationError, match=f"takes {size} bytes"):
        TokenKey("k", secrets.token_bytes(size - 1), algorithm)


@pytest.mark.parametrize(
    ("secret", "algorithm"),
    [
        (b"", "HS256"),
        ("text" * 20, "HS256"),
        (public_pem_of(RSA), "HS256"),
        (pem_of(RSA), "HS512"),
        (b"  \n" + public_pem_of(RSA), "HS256"),
        (b"ssh-ed25519 " + b"A" * 68, "HS256"),
        (json.dumps({"kty": "oct", "k": "A" * 43}).encode(), "HS256"),
        (secrets.token_bytes(64), "none"),
        (secrets.token_bytes(64), ""),
        (secrets.token_bytes(64), "hs256"),
        (secrets.token_bytes(64), "RS256"),
        (pem_of(WEAK_RSA), "RS256"),
        (public_pem_of(WEAK_RSA), "PS256"),
        (pem_of(RSA), "ES256"),
        (pem_of(RSA), "EdDSA"),
        (pem_of(ec.generate_private_key(ec.SECP384R1())), "ES256"),
        (pem_of(ec.generate_private_key(ec.SECP256K1())), "ES256"),
        (pem_of(ec.generate_private_key(ec.SECP256R1())), "RS256"),
        (pem_of(ed25519.Ed25519PrivateKey.generate()), "ES256"),
        (pem_of(x25519.X25519PrivateKey.generate()), "EdDSA"),
        (b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----", "RS256"),
    ],
)
def test_a_key_that_does_not_fit_is_refused(secret: Any, algorithm: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        TokenKey("k", secret, algorithm)
    assert str(secret)[:20] not in str(refused.value) or not secret


def test_keys_are_read_from_where_secrets_are(tmp_path: Path) -> None:
    secret = secrets.token_bytes(48)
    (tmp_path / "shared").write_text(base64.b64encode(secret).decode() + "\n")
    (tmp_path / "pair").write_bytes(pem_of(RSA))
    stored = Secrets(environ={"KEY": base64.b64encode(secret).decode(), "BAD": "no base64!", "SHORT": "AAAA"})
    assert TokenKey.read("k", f"file:{tmp_path}/shared") == TokenKey("k", secret)
    assert TokenKey.read("k", "env:KEY", algorithm="HS384", stored=stored) == TokenKey("k", secret, "HS384")
    pair = TokenKey.read("k", f"file:{tmp_path}/pair", algorithm="RS256")
    assert tokens(pair).verify(tokens(TokenKey("k", pem_of(RSA), "RS256")).issue("ann", tenant=None))
    for reference, error in [
        ("env:BAD", ConfigurationError),
        ("env:SHORT", ConfigurationError),
        ("env:MISSING", SecretUnreadable),
        (f"file:{tmp_path}/none", SecretUnreadable),
        (base64.b64encode(secret).decode(), SecretRefused),
    ]:
        with pytest.raises(error) as refused:
            TokenKey.read("k", reference, stored=stored)
        assert base64.b64encode(secret).decode() not in str(refused.value)


def test_settings_that_cannot_be_are_refused() -> None:
    key = TokenKey.new("a")
    for said in [
        {"issuer": ""},
        {"audience": ""},
        {"lifetime": timedelta()},
        {"leeway": timedelta(seconds=61)},
        {"leeway": timedelta(seconds=-1)},
        {"keys": []},
        {"keys": [key, TokenKey.new("a")]},
    ]:
        with pytest.raises(ConfigurationError):
            Tokens(**{"keys": [key], "issuer": ISSUER, "audience": AUDIENCE, **said})
    for said in [{"roles": ["owner"]}, {"roles": "admin"}, {"permissions": ["x"]}]:
        with pytest.raises(ConfigurationError):
            tokens().issue("ann", tenant=None, **said)
    for subject in ("", 7, None):
        with pytest.raises(ConfigurationError):
            tokens().issue(subject, tenant=None)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError):
        TokenKey("", secrets.token_bytes(32))


WITHOUT = """
import sys
import tenantry.tenancy
for package in ("jwt", "pwdlib", "argon2", "cryptography"):
    there = set(sys.modules)
    sys.modules[package] = None
    try:
        import tenantry.access
    except ImportError as error:
        print(type(error).__name__, error)
    for name in set(sys.modules) - there | {package}:
        del sys.modules[name]
import tenantry.access
"""


def test_without_any_part_of_the_extra_one_sentence_names_it() -> None:
    ran = subprocess.run([sys.executable, "-c", WITHOUT], capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 0, ran.stderr
    sentence = 'tenantry.access needs a package that is not installed. Run: pip install "tenantry[access]".'
    assert ran.stdout.splitlines() == [f"ExtraMissing {sentence}"] * 4
