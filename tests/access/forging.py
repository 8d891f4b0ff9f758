"""Tokens that somebody without the keys could make, or that were made for another place, time or purpose."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from tenantry.access import TokenKey, Tokens

ISSUER, AUDIENCE = "https://login.example.com", "shop"
NOW = datetime.now(UTC).replace(microsecond=0)


def pem_of(private: Any) -> bytes:
    """Returns a private key as it is written down."""
    form = serialization.PrivateFormat.PKCS8
    return private.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())


def public_pem_of(private: Any) -> bytes:
    """Returns the public half of a private key as it is written down."""
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return private.public_key().public_bytes(serialization.Encoding.PEM, form)


@dataclass
class Site:
    """A ring with a key of each kind, as a site that has rotated through them would have; the last one signs."""

    rsa: Any = field(default_factory=lambda: rsa.generate_private_key(65537, 2048))
    curve: Any = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    edwards: Any = field(default_factory=ed25519.Ed25519PrivateKey.generate)
    shared: bytes = field(default_factory=lambda: secrets.token_bytes(64))
    retired: TokenKey = field(default_factory=lambda: TokenKey.new("retired"))

    def __post_init__(self) -> None:
        self.keys = [
            TokenKey("rsa", pem_of(self.rsa), "RS256"),
            TokenKey("curve", pem_of(self.curve), "ES256"),
            TokenKey("edwards", pem_of(self.edwards), "EdDSA"),
            TokenKey("shared", self.shared, "HS256"),
        ]
        self.tokens = Tokens(self.keys, issuer=ISSUER, audience=AUDIENCE)

    def claims(self, **changes: Any) -> dict[str, Any]:
        """Returns what a good token would say, with changes; a value of ... leaves the claim out."""
        now = int(NOW.timestamp())
        said: dict[str, Any] = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": "ann",
            "jti": str(uuid.uuid4()),
            "iat": now,
            # A long run is still the same one.
            "exp": now + 6 * _hour,
            "tenant": str(uuid.uuid4()),
            "roles": ["super_admin"],
            "permissions": [],
        }
        return {name: value for name, value in {**said, **changes}.items() if value is not ...}

    def header(self, **changes: Any) -> dict[str, Any]:
        """Returns the header of a good token of the shared key, with changes."""
        said = {"alg": "HS256", "kid": "shared", "typ": "JWT", **changes}
        return {name: value for name, value in said.items() if value is not ...}

    def signed(self, header: dict[str, Any] | None = None, **changes: Any) -> str:
        """Returns a token that bears the shared key's own signature: what its claims or its header say is wrong."""
        return by_hand(header or self.header(), self.claims(**changes), self.shared)


def part(value: Any) -> str:
    """Returns one part of a token."""
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def by_hand(header: Any, claims: Any, secret: bytes, digest: Any = hashlib.sha256) -> str:
    """Returns a token signed with *secret* as HMAC does, whatever its header says."""
    said = f"{part(header)}.{part(claims)}"
    return f"{said}.{part(hmac.new(secret, said.encode(), digest).digest())}"


Forge = Callable[[Site], Any]


def _unsigned(algorithm: Any) -> Forge:
    return lambda site: f"{part(site.header(alg=algorithm))}.{part(site.claims())}."


def _ghost(algorithm: Any) -> Forge:
    return lambda site: f"{part(site.header(alg=algorithm))}.{part(site.claims())}.{part(b'x' * 32)}"


def _confused(kid: str, secret: Callable[[Site], bytes], algorithm: str = "HS256") -> Forge:
    return lambda site: by_hand(site.header(alg=algorithm, kid=kid), site.claims(), secret(site))


def _own_key(algorithm: str, make: Callable[[], Any], **header: Any) -> Forge:
    return lambda site: jwt.encode(site.claims(), make(), algorithm, headers={"kid": "shared", **header})


def _headed(**changes: Any) -> Forge:
    return lambda site: site.signed(site.header(**changes))


def _said(**changes: Any) -> Forge:
    return lambda site: site.signed(**changes)


def _changed(change: Callable[[str], Any]) -> Forge:
    return lambda site: change(site.tokens.issue("ann", tenant=None, roles=["viewer"]))


def _with_claims(token: str, **changes: Any) -> str:
    header, said, signature = token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(said + "=="))
    return f"{header}.{part({**claims, **changes})}.{signature}"


def _jwk(private: Any) -> dict[str, str]:
    return json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(private.public_key()))


def _embedded(site: Site) -> str:
    own = rsa.generate_private_key(65537, 2048)
    return jwt.encode(site.claims(), own, "RS256", headers={"kid": "rsa", "jwk": _jwk(own)})


def _of_other_site(site: Site) -> str:
    return Tokens([TokenKey("shared", secrets.token_bytes(64))], issuer=ISSUER, audience=AUDIENCE).issue(
        "ann", tenant=None
    )


def _spliced(site: Site) -> str:
    low, high = (site.tokens.issue("ann", tenant=None, roles=[role]).split(".") for role in ("viewer", "super_admin"))
    return ".".join((high[0], high[1], low[2]))


def _twice(site: Site) -> str:
    raw = json.dumps(site.claims())[:-1].encode() + b', "exp": 99999999999, "exp": "never"}'
    return by_hand(site.header(), raw, site.shared)


_hour = 3600
_then = int(NOW.timestamp())

FORGED: dict[str, Forge] = {
    # No signature.
    "alg none": _unsigned("none"),
    "alg None": _unsigned("None"),
    "alg NONE": _unsigned("NONE"),
    "alg nOnE": _unsigned("nOnE"),
    "alg empty": _unsigned(""),
    "alg null": _unsigned(None),
    "alg a list": _unsigned(["HS256", "none"]),
    "alg a number": _unsigned(0),
    "alg missing": _unsigned(...),
    "alg none with a signature": _ghost("none"),
    "two parts": lambda site: f"{part(site.header(alg='none'))}.{part(site.claims())}",
    "signature cut off": _changed(lambda token: token.rpartition(".")[0] + "."),
    "signature of nothing": lambda site: f"{part(site.header())}.{part(site.claims())}.{part(b'')}",
    # One key used as another.
    "HS256 with the RSA key's public PEM": _confused("rsa", lambda site: public_pem_of(site.rsa)),
    "HS256 with that PEM, named shared": _confused("shared", lambda site: public_pem_of(site.rsa)),
    "HS512 with that PEM": _confused("rsa", lambda site: public_pem_of(site.rsa), "HS512"),
    "HS256 with the curve's public PEM": _confused("curve", lambda site: public_pem_of(site.curve)),
    "HS256 with the Edwards public PEM": _confused("edwards", lambda site: public_pem_of(site.edwards)),
    "HS256 with the RSA key's JWK": _confused("rsa", lambda site: json.dumps(_jwk(site.rsa)).encode()),
    "the shared key under the RSA key's name": lambda site: by_hand(site.header(kid="rsa"), site.claims(), site.shared),
    "the shared key said to be RS256": lambda site: by_hand(site.header(alg="RS256"), site.claims(), site.shared),
    "RS384 by the RS256 key": lambda site: jwt.encode(site.claims(), site.rsa, "RS384", headers={"kid": "rsa"}),
    "PS256 by the RS256 key": lambda site: jwt.encode(site.claims(), site.rsa, "PS256", headers={"kid": "rsa"}),
    "RS256 by the RSA key, named shared": lambda site: jwt.encode(
        site.claims(), site.rsa, "RS256", headers={"kid": "shared"}
    ),
    "HS384 by the HS256 key": lambda site: jwt.encode(site.claims(), site.shared, "HS384", headers={"kid": "shared"}),
    "HS512 by the HS256 key": lambda site: jwt.encode(site.claims(), site.shared, "HS512", headers={"kid": "shared"}),
    "a retired key": lambda site: jwt.encode(site.claims(), site.retired.secret, "HS256", headers={"kid": "retired"}),
    # Somebody's own key.
    "another site's key": _of_other_site,
    "an empty secret": _confused("shared", lambda site: b""),
    "a guessed secret": _confused("shared", lambda site: b"secret"),
    "the key's name as the secret": _confused("shared", lambda site: b"shared"),
    "an RSA key of their own": _own_key("RS256", lambda: rsa.generate_private_key(65537, 2048), kid="rsa"),
    "a curve of their own": _own_key("ES256", lambda: ec.generate_private_key(ec.SECP256R1()), kid="curve"),
    "an Edwards key of their own": _own_key("EdDSA", ed25519.Ed25519PrivateKey.generate, kid="edwards"),
    "an ECDSA signature of zeroes": lambda site: (
        f"{part(site.header(alg='ES256', kid='curve'))}.{part(site.claims())}.{part(bytes(64))}"
    ),
    "their own key embedded as jwk": _embedded,
    "their own key behind jku": _own_key("HS256", lambda: b"k" * 32, jku="https://evil.example/keys.json"),
    "their own key behind x5u": _own_key("HS256", lambda: b"k" * 32, x5u="https://evil.example/chain.pem"),
    "their own certificate": _own_key("HS256", lambda: b"k" * 32, x5c=["TUlJ"]),
    # Tricks with the name of the key.
    "kid missing": _headed(kid=...),
    "kid null": _headed(kid=None),
    "kid empty": _headed(kid=""),
    "kid a number": _headed(kid=0),
    "kid a list": _headed(kid=["shared"]),
    "kid an object": _headed(kid={"shared": 1}),
    "kid a path, signed with nothing": _confused("../../../../dev/null", lambda site: b""),
    "kid an SQL": _confused("x' UNION SELECT 'k' -- ", lambda site: b"k"),
    "kid with a NUL": _headed(kid="shared\x00"),
    "kid in other case": _headed(kid="Shared"),
    # Headers that must be understood, or are of something else; the signature is good.
    "crit unknown": _headed(crit=["exp2"], exp2=1),
    "crit empty": _headed(crit=[]),
    "b64 false": _headed(b64=False, crit=["b64"]),
    "zipped": _headed(zip="DEF"),
    "typ of another kind": _headed(typ="at+jwt"),
    "typ missing": _headed(typ=...),
    "an encrypted token": lambda site: "eyJhbGciOiJkaXIiLCJlbmMiOiJBMTI4R0NNIn0..AAAA.AAAA.AAAA",
    # A good signature on claims that are not for here, or not for now.
    "expired": _said(iat=_then - 2 * _hour, exp=_then - _hour),
    "expired by more than the leeway": _said(iat=_then - _hour, exp=_then - 60),
    "exp missing": _said(exp=...),
    "exp null": _said(exp=None),
    "exp a text": _said(exp="9999999999"),
    "exp true": _said(exp=True),
    "exp a fraction": _said(exp=_then + 6 * _hour + 0.5),
    "exp infinite": _said(exp=float("inf")),
    "exp beyond any clock": _said(exp=10**30),
    "exp twice": _twice,
    "issued in the future": _said(iat=_then + _hour, exp=_then + 2 * _hour),
    "iat missing": _said(iat=...),
    "valid later": _said(nbf=_then + _hour),
    "another audience": _said(aud="console"),
    "a part of the audience": _said(aud="sho"),
    "several audiences": _said(aud=[AUDIENCE, "console"]),
    "aud missing": _said(aud=...),
    "another issuer": _said(iss="https://login.example.com.evil.example"),
    "a part of the issuer": _said(iss="https://login"),
    "several issuers": _said(iss=[ISSUER]),
    "iss missing": _said(iss=...),
    "sub missing": _said(sub=...),
    "sub empty": _said(sub=""),
    "sub a number": _said(sub=1),
    "jti missing": _said(jti=...),
    "tenant missing": _said(tenant=...),
    "tenant a slug": _said(tenant="acme"),
    "tenant a list": _said(tenant=[str(uuid.uuid4())]),
    "tenant false": _said(tenant=False),
    "roles a text": _said(roles="super_admin"),
    "roles missing": _said(roles=...),
    "permissions that are none": _said(permissions=["documents"]),
    "act without a subject": _said(act={}),
    "claims that we never make": _said(scope="*"),
    "claims that are a list": lambda site: by_hand(site.header(), ["ann"], site.shared),
    "claims that are no JSON": lambda site: by_hand(site.header(), b"{", site.shared),
    "claims too deep": lambda site: by_hand(site.header(), b"[" * 2500 + b"]" * 2500, site.shared),
    # A good token, changed.
    "roles raised": _changed(lambda token: _with_claims(token, roles=["super_admin"])),
    "tenant changed": _changed(lambda token: _with_claims(token, tenant=str(uuid.uuid4()))),
    "expiry put off": _changed(lambda token: _with_claims(token, exp=_then + 10**6)),
    "claims of one, signature of another": _spliced,
    "padded": _changed(lambda token: token + "="),
    "a blank before": _changed(lambda token: f" {token}"),
    "a line's end behind": _changed(lambda token: f"{token}\n"),
    "junk inside the signature": _changed(lambda token: f"{token[:-4]}!{token[-4:]}"),
    "a fourth part": _changed(lambda token: f"{token}.{part(b'x')}"),
    "with its scheme": _changed(lambda token: f"Bearer {token}"),
    "bytes": _changed(lambda token: token.encode()),
    # Nothing of the kind.
    "nothing": lambda site: "",
    "None": lambda site: None,
    "dots": lambda site: "..",
    "too long": lambda site: site.signed(roles=["viewer"] * 2000),
}


def later(**time: float) -> datetime:
    """Returns a time after the beginning of the run."""
    return NOW + timedelta(**time)
