"""Keys of tokens: each bound to one algorithm, and refused where it is too weak for it."""

from __future__ import annotations

import base64
import binascii
import json
import secrets
from dataclasses import dataclass, field
from typing import Final, NoReturn, Self

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from tenantry.errors import ConfigurationError
from tenantry.secrets import Secrets

Private = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
Public = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey

# As many bytes as the digest has (RFC 7518, section 3.2).
_SHARED: Final = {"HS256": 32, "HS384": 48, "HS512": 64}
_RSA: Final = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"})
_CURVES: Final = {"ES256": "secp256r1", "ES384": "secp384r1", "ES512": "secp521r1"}
_EDWARDS: Final = "EdDSA"
_ALGORITHMS: Final = (*_SHARED, *sorted(_RSA), *_CURVES, _EDWARDS)
_RSA_BITS: Final = 2048
# How a key of another kind begins: as a shared secret it would be public.
_WRITTEN: Final = (b"-----BEGIN", b"ssh-", b"ecdsa-")


@dataclass(frozen=True, slots=True)
class TokenKey:
    """A named key of one algorithm; *secret* is its bytes, or, for an algorithm with two keys, either of them in PEM.

    With a public key alone tokens are verified and none are made.

    Raises: ConfigurationError for a key that does not fit the algorithm or is too weak for it.
    """

    name: str
    secret: bytes = field(repr=False)
    algorithm: str = "HS256"
    signing: Private | bytes | None = field(init=False, repr=False, compare=False)
    verifying: Public | bytes = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not self.name or not isinstance(self.secret, bytes):
            self._refuse("it needs a name, and its secret is bytes", "Write TokenKey('2026-11', secret).")
        if self.algorithm not in _ALGORITHMS:
            self._refuse(f"there is no algorithm {self.algorithm!r}", f"Choose from {', '.join(_ALGORITHMS)}.")
        signing, verifying = self._shared() if self.algorithm in _SHARED else self._pair()
        object.__setattr__(self, "signing", signing)
        object.__setattr__(self, "verifying", verifying)

    @classmethod
    def new(cls, name: str) -> Self:
        """Returns a new key for HS256, good for one process and its children."""
        return cls(name, secrets.token_bytes(_SHARED["HS256"]))

    @classmethod
    def read(cls, name: str, reference: str, *, algorithm: str = "HS256", stored: Secrets | None = None) -> Self:
        """Returns the key behind a reference such as ``env:VARIABLE`` or ``file:PATH``: base64 of a shared secret, PEM
        of any other.

        Raises: SecretRefused, SecretUnreadable, ConfigurationError for what does not fit the algorithm.
        """
        text = (stored or Secrets()).read(reference, whose=f"The token key {name!r}")
        if algorithm not in _SHARED:
            return cls(name, text.encode(), algorithm)
        try:
            return cls(name, base64.b64decode(text.strip(), validate=True), algorithm)
        except binascii.Error:
            raise ConfigurationError(
                what=f"The token key {name!r} is not base64.", fix="Keep what `openssl rand -base64 48` prints."
            ) from None

    def _shared(self) -> tuple[bytes, bytes]:
        if len(self.secret) < _SHARED[self.algorithm]:
            self._refuse(
                f"{self.algorithm} takes {_SHARED[self.algorithm]} bytes or more", "Use secrets.token_bytes(64)."
            )
        if self.secret.lstrip().startswith(_WRITTEN) or _is_object(self.secret):
            self._refuse("a written key is no shared secret", "Name the algorithm that it was made for.")
        return self.secret, self.secret

    def _pair(self) -> tuple[Private | None, Public]:
        signing, verifying = _loaded(self.secret)
        if not isinstance(verifying, Public) or not self._fits(verifying):
            self._refuse(f"it is no key for {self.algorithm} in PEM", f"RSA takes {_RSA_BITS} bits or more.")
        return signing, verifying

    def _fits(self, key: Public) -> bool:
        if isinstance(key, rsa.RSAPublicKey):
            return self.algorithm in _RSA and key.key_size >= _RSA_BITS
        if isinstance(key, ec.EllipticCurvePublicKey):
            return _CURVES.get(self.algorithm) == key.curve.name
        return self.algorithm == _EDWARDS

    def _refuse(self, reason: str, fix: str) -> NoReturn:
        raise ConfigurationError(what=f"The token key {self.name!r} was refused: {reason}.", fix=fix)


def _is_object(secret: bytes) -> bool:
    """Returns whether a secret is a JSON object, such as a JWK; random bytes may begin like one."""
    try:
        return isinstance(json.loads(secret), dict)
    except ValueError:
        return False


def _loaded(pem: bytes) -> tuple[Private | None, Public | None]:
    """Returns the private and the public key in *pem*, None for what is not there or cannot sign."""
    try:
        if b"PRIVATE KEY" in pem:
            private = serialization.load_pem_private_key(pem, password=None)
            return (private, private.public_key()) if isinstance(private, Private) else (None, None)
        public = serialization.load_pem_public_key(pem)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return None, None
    return None, public if isinstance(public, Public) else None
