"""Who asks, and what they may: log-ins, passwords, tokens, permissions."""

from __future__ import annotations

from tenantry.errors.base import TenantryError


class LogInRefused(TenantryError):
    """The name or the password is wrong, or the account is closed. Check both and try again."""


class LogInHeld(TenantryError):
    """Too many log-ins by this name have failed, so this one was not looked at. Wait {retry_after:.0f} s and try
    again."""

    retry_after: float


class PasswordRefused(TenantryError, ValueError):
    """That cannot be a password: {reason} Choose another one."""


class PasswordChangeRequired(TenantryError):
    """The password of {name!r} is good for one thing only: choosing another. Call access.change_password(...)."""

    name: str


class AccountExists(TenantryError):
    """There is an account {name!r} already. Choose another name."""

    name: str


class AccountUnknown(TenantryError, LookupError):
    """There is no account {name!r}. Create it with accounts.create(...), or look at the spelling."""

    name: str


class TokenRefused(TenantryError):
    """The token was refused: {reason} Log in again; a token is valid for one issuer, audience and tenant."""

    reason: str


class TokenExpired(TokenRefused):
    """The token was refused: {reason} Call access.refresh(...) with the refresh token, or log in again."""


class TokenReused(TokenRefused):
    """The token was refused: {reason} Somebody may have copied it, so the whole log-in has ended. Look at who uses
    it, and log in again."""


class PermissionDenied(TenantryError):
    """{subject} may not {permission!r}: {reason} Give a role that holds it, or leave it to somebody who may."""

    subject: str
    permission: str


class ImpersonationRefused(TenantryError):
    """Nobody was impersonated: {reason}"""
