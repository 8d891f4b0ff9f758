"""The stages of an adoption, and what is told of them."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from tenantry.types import Finding


class Stage(enum.StrEnum):
    """How far a database has been taken over; each stage includes those before it."""

    OBSERVE = "observe"  # nothing is changed
    FILL = "fill"  # every row gets its tenant, while the old application goes on writing
    FILTER = "filter"  # tenants' sessions work beside the old application; what does not agree is counted
    ENFORCE = "enforce"  # keys and wall hold for everybody; there is no way back


STAGES: Final = tuple(Stage)


@dataclass(frozen=True, slots=True)
class TableCount:
    """The rows of one table: all, those that find no tenant, and those whose tenant is not the one they say."""

    rows: int
    without: int = 0
    differing: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What an adoption found, and what it would do; *findings* stand in its way, *notes* only inform."""

    stage: Stage
    tenants: int
    tables: Mapping[str, TableCount]
    findings: Sequence[Finding]
    notes: Sequence[Finding]

    @property
    def ok(self) -> bool:
        """Whether nothing stands in the way."""
        return not self.findings


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """Where an adoption stands: the last stage reached whole, what is going on, and what went wrong last."""

    stage: Stage
    state: str
    step: str = ""
    error: str = ""
