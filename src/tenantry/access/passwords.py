"""Passwords: hashed with argon2, checked in the same time whether or not there is such an account."""

from __future__ import annotations

import functools
import secrets
import unicodedata
from typing import Any, Final

from tenantry.access.libraries import Argon2Hasher, PasswordHash, PwdlibError
from tenantry.errors import PasswordRefused

# Bounds the work that a stranger can cause with one.
_LONGEST: Final = 1024


class Passwords:
    """Hashes and checks passwords; *costs* are what pwdlib's ``Argon2Hasher`` takes, its defaults unless given."""

    def __init__(self, *, shortest: int = 12, **costs: Any) -> None:
        self.shortest = shortest
        self._hasher = PasswordHash((Argon2Hasher(**costs),))

    def __repr__(self) -> str:
        return f"Passwords(shortest={self.shortest})"

    def hash(self, password: str) -> str:
        """Returns what to keep of a password.

        Raises: PasswordRefused for one that is too short or too long.
        """
        if len(password) < self.shortest:
            raise PasswordRefused(reason=f"it has fewer than {self.shortest} characters.")
        if len(password) > _LONGEST:
            raise PasswordRefused(reason=f"it has more than {_LONGEST} characters.")
        return self._hasher.hash(_normal(password))

    def check(self, password: str, kept: str | None) -> bool:
        """Returns whether *password* is the one that was hashed; it takes as long where nothing is kept."""
        fits = len(password) <= _LONGEST
        given = _normal(password) if fits else ""
        try:
            same = self._hasher.verify(given, kept or self._nobodys)
        except PwdlibError:
            # What is kept is no hash: as long as for any other, and nobody's.
            self._hasher.verify(given, self._nobodys)
            return False
        return same and fits

    def renewed(self, password: str, kept: str) -> str | None:
        """Returns what to keep from now on of a password that was checked, or None where *kept* will do."""
        return self._hasher.verify_and_update(_normal(password), kept)[1]

    @functools.cached_property
    def _nobodys(self) -> str:
        return self._hasher.hash(secrets.token_urlsafe())


def one_time_password() -> str:
    """Returns a new random password."""
    return secrets.token_urlsafe(18)


def _normal(password: str) -> bytes:
    # The same letter is one code point on some keyboards and two on others. What is no text at all is nobody's.
    return unicodedata.normalize("NFKC", password).encode("utf-8", "surrogatepass")
