"""The small shapes that cross rooms: isolations, findings, outcomes, and what counts as a tenant's key."""

from __future__ import annotations

import enum
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


class Isolation(enum.StrEnum):
    """How far apart a tenant's rows stand from its neighbours': common tables, an own schema, an own database."""

    ROWS = "rows"
    SCHEMA = "schema"
    DATABASE = "database"


class TenantStatus(enum.StrEnum):
    """Where a tenant stands in its life; only ``active`` tenants get sessions."""

    PROVISIONING = "provisioning"
    ACTIVE = "active"
    SUSPENDED = "suspended"
    ERASING = "erasing"
    ERASED = "erased"


@dataclass(frozen=True, slots=True)
class Tenant:
    """A customer whose rows stay apart: its identity, its names, and where it lives now."""

    id: uuid.UUID
    slug: str
    name: str
    status: TenantStatus
    isolation: Isolation
    server: str
    physical: str
    epoch: int
    settings: Mapping[str, Any] = field(default_factory=dict)


# What finds a tenant: its UUID, its slug, a Tenant, or (kind, value) of an outside identity.
TenantKey = uuid.UUID | str | Tenant | tuple[str, str]


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault that a judge found: a stable code, what it is about, what is wrong, and what to do."""

    code: str
    object: str
    message: str
    fix: str

    def __str__(self) -> str:
        return f"{self.code} {self.object}: {self.message} Fix: {self.fix}"


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What became of work over many tenants: results of the done, errors of the failed and of the unknown."""

    done: Mapping[uuid.UUID, Any]
    failed: Mapping[uuid.UUID, BaseException]
    unknown: Mapping[uuid.UUID, BaseException]

    @property
    def ok(self) -> bool:
        """Whether every tenant is done."""
        return not self.failed and not self.unknown
