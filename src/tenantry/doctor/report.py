"""What the doctor hands over: faults, notices, and what it could not look at."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tenantry.types import Finding


@dataclass(frozen=True, slots=True)
class Report:
    """The outcome of one examination; an empty ``findings`` means that all of ``examined`` was looked at and is well.

    *notices* are no faults; *unseen* says what the given logins did not let the doctor look at.
    """

    findings: tuple[Finding, ...]
    notices: tuple[Finding, ...]
    unseen: tuple[Finding, ...]
    examined: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing was found at fault."""
        return not self.findings


def assemble(found: Iterable[Finding], examined: Iterable[str]) -> Report:
    """Returns the report of all that was found, sorted, each thing said once."""
    ordered = sorted(set(found), key=lambda finding: (finding.code, finding.object, finding.message))

    def kind(letter: str) -> tuple[Finding, ...]:
        return tuple(finding for finding in ordered if finding.code.startswith(letter))

    return Report(kind("D"), kind("N"), kind("U"), tuple(examined))
