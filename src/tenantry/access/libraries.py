"""What the extra ``access`` brings, or one sentence that names it."""

from __future__ import annotations

from tenantry.errors import ExtraMissing

try:
    import argon2  # noqa: F401  # pwdlib says in words of its own that it is missing
    import cryptography  # noqa: F401  # so does PyJWT, and as late as somebody signs
    import jwt
    from pwdlib import PasswordHash
    from pwdlib.exceptions import PwdlibError
    from pwdlib.hashers.argon2 import Argon2Hasher
except ImportError as error:
    raise ExtraMissing(module="tenantry.access", extra="access") from error

__all__ = ["Argon2Hasher", "PasswordHash", "PwdlibError", "jwt"]
