"""Repositories."""

from __future__ import annotations

from tenantry.errors.base import TenantryError


class RecordNotFound(TenantryError, LookupError):
    """This tenant has no such {model}. Check the key or the filters, or create the {model} first."""


class SeveralFound(TenantryError, LookupError):
    """More than one {model} matches where exactly one was asked for. Narrow the filters, or use find() or list()."""


class UnknownField(TenantryError, AttributeError):
    """{model} has no field {name!r} that can be {use}. Known fields: {known}."""


class InvalidFilter(TenantryError, ValueError):
    """{model}.{name} cannot be compared with that value: {reason}"""


class UpsertRefused(TenantryError, ValueError):
    """A {model} cannot be upserted by {key}: {reason} Keys that tell its rows apart: {known}."""


class InvalidPage(TenantryError, ValueError):
    """That page cannot be read: {reason}"""
