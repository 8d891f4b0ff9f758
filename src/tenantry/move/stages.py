"""What a move is made of: its places, its steps, and how it stands."""

from __future__ import annotations

import dataclasses
import enum
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from tenantry.types import Finding, Isolation, Tenant


class Step(enum.StrEnum):
    """What is done in turn; each is in the journal before it is begun, and may be done again after a crash."""

    PREPARE = "prepare"  # the old place begins to note what is written
    PLACE = "place"  # the new place is made, shut to everybody
    COPY = "copy"  # all rows, out of one snapshot
    CATCH_UP = "catch up"  # what was written meanwhile, in rounds; compared by digest
    FENCE = "fence"  # writers wait; the rest is copied and compared, and the old place refuses from here on
    OPEN = "open"  # the new place may be written to
    SWITCH = "switch"  # the catalog leads there
    KEEP = "keep"  # the old place is kept
    DROP = "drop"  # the place that was left is emptied
    UNDO = "undo"  # the new place goes, the old one is as it was


class Way(enum.StrEnum):
    """Where a move is heading: out to the new place, back to the old one, to its end, or to never having been."""

    OUT = "out"
    BACK = "back"
    END = "end"
    UNDO = "undo"


_THERE: Final = (Step.PREPARE, Step.PLACE, Step.COPY, Step.CATCH_UP, Step.FENCE, Step.OPEN, Step.SWITCH)
STEPS: Final[Mapping[Way, tuple[Step, ...]]] = {
    Way.OUT: (*_THERE, Step.KEEP),
    Way.BACK: (*_THERE, Step.DROP),
    Way.END: (Step.DROP,),
    Way.UNDO: (Step.UNDO,),
}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a tenant lives from one epoch on."""

    server: str
    isolation: Isolation
    physical: str
    epoch: int

    def __str__(self) -> str:
        return f"{self.server}/{self.isolation}"

    def of(self, tenant: Tenant) -> Tenant:
        """Returns the tenant as it is when it lives here."""
        return dataclasses.replace(
            tenant, server=self.server, isolation=self.isolation, physical=self.physical, epoch=self.epoch
        )

    def to_json(self) -> dict[str, Any]:
        """Returns what the journal keeps."""
        return dataclasses.asdict(self)


def place_of(tenant: Tenant) -> Place:
    """Returns where a tenant lives."""
    return Place(tenant.server, tenant.isolation, tenant.physical, tenant.epoch)


def place_from(kept: Mapping[str, Any]) -> Place:
    """Returns a place out of the journal."""
    return Place(kept["server"], Isolation(kept["isolation"]), kept["physical"], kept["epoch"])


@dataclass(frozen=True, slots=True)
class Trip:
    """A tenant as it is at either end; *returns* says that the new place is one that it has left, and that was kept."""

    source: Tenant
    target: Tenant
    returns: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a move would do, and what stands in its way."""

    tenant: Tenant
    source: Place
    target: Place
    tables: Mapping[str, int]
    refusals: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing stands in the way."""
        return not self.refusals


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """How one move stands: *state* is running, failed, resting (the old place is kept), done or undone."""

    id: uuid.UUID
    tenant: uuid.UUID
    slug: str
    source: Place
    target: Place
    way: Way
    step: str
    state: str
    abandoned: bool
    # How long writers were held at most, in seconds.
    held: float | None
    rows: Mapping[str, int] = field(default_factory=dict)
    error: str = ""
