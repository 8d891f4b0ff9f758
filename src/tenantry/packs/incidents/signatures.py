"""What tells one failure from another: the signature of an event, and how an incident that rises from it is called."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping
from typing import Any, Final

from tenantry.packs.incidents.states import Severity

_FAILED: Final = ("failed", "error", "timeout", "crashed", "rejected", "breached")
_LONGEST_TITLE: Final = 500
# In a payload, what says which failure it is; never its text, which holds numbers that differ each time.
_TELLING: Final = ("error_code", "error_type", "code", "exception", "step", "vendor")


def is_failure(event_type: str, payload: Mapping[str, Any]) -> bool:
    """Returns whether an event tells of a failure: by the last word of its type, or an error in its payload."""
    return event_type.rpartition(".")[2].lower() in _FAILED or bool(payload.get("error") or payload.get("error_code"))


def signature_of(workflow_id: uuid.UUID, event_type: str, payload: Mapping[str, Any]) -> str:
    """Returns what failures of the same kind in the same workflow have in common."""
    telling = [f"{name}={payload[name]}" for name in _TELLING if payload.get(name) is not None]
    digest = hashlib.sha256("\n".join([str(workflow_id), event_type, *telling]).encode()).hexdigest()
    return f"{event_type[:180]}:{digest[:32]}"


def title_of(event_type: str, payload: Mapping[str, Any]) -> str:
    """Returns one line that says what happened."""
    said = str(payload.get("message") or payload.get("error") or "").strip().partition("\n")[0]
    return f"{event_type}: {said}"[:_LONGEST_TITLE] if said else event_type


def severity_of(payload: Mapping[str, Any]) -> Severity:
    """Returns how bad the payload says it is, and MEDIUM where it says nothing."""
    said = str(payload.get("severity", "")).upper()
    return Severity(said) if said in set(Severity) else Severity.MEDIUM
