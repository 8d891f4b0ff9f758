"""What the extra ``access`` brings, or one sentence that names it."""

from __future__ import annotations

from tenantry.errors import ExtraMissing

try:
    import cryptography as _cryptography
    import jwt
    from pwdlib import PasswordHash
    from pwdlib.exceptions import PwdlibError
    from pwdlib.hashers.argon2 import Argon2Hasher
except ImportError as error:
    raise ExtraMissing(module="tenantry.access", extra="access") from error

# PyJWT signs with it.
assert _cryptography  # noqa: S101  # used by being there

__all__ = ["Argon2Hasher", "PasswordHash", "PwdlibError", "jwt"]
