"""What a message says beside its arguments: whose the job is, and who sent it; plain texts in the message's headers."""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Mapping
from typing import Any, Final

from tenantry.errors import ConfigurationError, JobHeadersRefused
from tenantry.ids import uuid7

PREFIX: Final = "tenantry_"
_LONGEST: Final = 255


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """The tenant of a job, or None for the platform's, and the facts that its sessions are told.

    ``key`` is the same for each delivery and each retry of one message.
    """

    tenant: uuid.UUID | None = None
    actor: str | None = None
    impersonator: str | None = None
    correlation_id: str | None = None
    key: str | None = None

    @classmethod
    def read(cls, headers: object, *, task: str) -> Envelope:
        """Returns what a message's headers say.

        Raises: JobHeadersRefused for what ``headers`` never wrote.
        """
        given = {} if headers is None else headers
        if not isinstance(given, Mapping):
            raise JobHeadersRefused(task=task, reason="they are no mapping.")
        found = {name: given.get(PREFIX + name) for name in _NAMES}
        for name, value in found.items():
            if value is not None and not _usable(value):
                raise JobHeadersRefused(task=task, reason=f"{PREFIX}{name} is no text of 1 to {_LONGEST} characters.")
        tenant = found.pop("tenant")
        return cls(tenant=None if tenant is None else _identity(tenant, task=task), **found)

    def headers(self) -> dict[str, str]:
        """Returns the headers that carry it."""
        said = {field: getattr(self, field) for field in _NAMES}
        return {PREFIX + field: str(value) for field, value in said.items() if value is not None}

    def facts(self) -> dict[str, str]:
        """Returns what sessions of the job know of its sender: the audit and the outbox read it."""
        said = {name: getattr(self, name) for name in FACTS}
        return {name: value for name, value in said.items() if value is not None}

    def told(self, facts: Mapping[str, Any]) -> Envelope:
        """Returns it with those facts that are given.

        Raises: ConfigurationError for one that no header can carry.
        """
        given = {name: str(value) for name, value in facts.items() if value is not None}
        for name, value in given.items():
            if not _usable(value):
                raise ConfigurationError(
                    what=f"The {name} of a job is no printable text of 1 to {_LONGEST} characters.",
                    fix="Give an identifier.",
                )
        return dataclasses.replace(self, **given)  # type: ignore[arg-type]  # fields of text alone

    def unkeyed(self) -> Envelope:
        """Returns it without the key: what a job sends is another message."""
        return dataclasses.replace(self, key=None)

    def keyed(self) -> Envelope:
        """Returns it with a key, made where it has none."""
        return self if self.key is not None else dataclasses.replace(self, key=str(uuid7()))


FACTS: Final = ("actor", "impersonator", "correlation_id")
_NAMES: Final = ("tenant", *FACTS, "key")


def _usable(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= _LONGEST and value.isprintable()


def _identity(text: str, *, task: str) -> uuid.UUID:
    # In the one form that is written: a slug could come to mean another tenant while the message waits.
    try:
        found = uuid.UUID(text)
    except ValueError:
        found = None
    if found is None or str(found) != text:
        raise JobHeadersRefused(task=task, reason=f"{PREFIX}tenant is not a tenant's UUID.")
    return found
