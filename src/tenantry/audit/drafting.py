"""What an entry will say, from what its caller says and what the session knows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tenantry.audit.entries import SUCCESS, Resource
from tenantry.audit.redacting import Redactor, keepable
from tenantry.errors import AuditRefused
from tenantry.ids import uuid7

# Of entries and of session.info alike.
WHO: Final = ("actor", "impersonator", "correlation_id")


def drafted(
    info: Mapping[Any, Any],
    redactor: Redactor,
    *,
    event_type: str,
    category: str,
    description: str,
    status: str = SUCCESS,
    resource: Resource | None = None,
    changes: Mapping[str, Any] | None = None,
    details: Mapping[str, Any] | None = None,
    who: Mapping[str, object] | None = None,
) -> dict[str, Any]:
    """Returns the values of an entry that has no place in the chain yet.

    Raises: AuditRefused for an event that says too little.
    """
    kind, own = resource if isinstance(resource, tuple) else (resource, None)
    words = {"event_type": event_type, "category": category, "status": status}
    for name, word in words.items():
        if not word or not word.isprintable():
            raise AuditRefused(reason=f"{name}={word!r} says nothing. Give it a word.")
    said = {name: value for name, value in (who or {}).items() if value is not None}
    people = {name: _named(said.get(name, info.get(name))) for name in WHO}
    return {
        "id": uuid7(),
        **words,
        "description": redactor.text(description),
        "resource_type": kind,
        "resource_id": _named(own),
        **people,
        "changes": None if changes is None else redactor.document(changes),
        "details": None if details is None else redactor.document(details),
    }


def _named(value: object) -> str | None:
    """Returns an identity as text; an address that somebody is known by is no accident, and stays."""
    return None if value is None else keepable(str(value))
