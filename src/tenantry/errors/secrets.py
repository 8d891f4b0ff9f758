"""Secrets and the references to them."""

from __future__ import annotations

from tenantry.errors.installation import ConfigurationError


class SecretRefused(ConfigurationError):
    """{whose} is no reference to a secret; it is not shown, since it may be the secret itself.
    Give a reference of one of the kinds {known} such as env:NAME or file:/path."""

    whose: str
    known: str


class SecretUnreadable(ConfigurationError):
    """{whose} stands in {reference}, which cannot be read: {reason} Set it, or mend the reference."""

    whose: str
    reference: str
    reason: str
