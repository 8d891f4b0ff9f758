"""The fleet: migrations and adoptions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tenantry.errors.base import TenantryError
from tenantry.types import Finding


class MigrationsMissing(TenantryError):
    """No migrations were found{where}. Say where they are with Config(migrations="migrations"), the variable
    TENANTRY_MIGRATIONS or migrations = "…" under [tool.tenantry]; `tenantry fleet init` makes the directory."""


class RevisionUnknown(TenantryError):
    """There is no revision {revision!r} in {scripts}. List them with `tenantry fleet history`."""


class SeveralHeads(TenantryError):
    """The history in {scripts} has {count} heads: {heads}. Join them with `tenantry fleet revision --merge`,
    or name the one you mean."""


class HomeBusy(TenantryError):
    """{home} was in use: {reason} within {seconds} s. It is tried again; nothing was changed."""


class MigrationFailed(TenantryError):
    """{home} stays at {before}: step {step} failed. {error} Mend the cause, then run `tenantry fleet resume`."""


class CanaryRefused(TenantryError, ValueError):
    """{canary} cannot be the canary: {reason}"""


class RunUnknown(TenantryError, LookupError):
    """The journal of the fleet has no run {run}. `tenantry fleet status` shows the newest."""


class RunInProgress(TenantryError):
    """Run {run} is under way: {verb} to {target}. Wait for it, take part with `tenantry fleet work`,
    or stop it first with `tenantry fleet pause`."""


class RunClosed(TenantryError):
    """Run {run} is {state} and cannot be {wanted}. Begin another with `tenantry fleet upgrade`."""


class HookMissing(TenantryError):
    """Run {run} was begun with {hook}= in Python, which this process was not given.
    Call fleet.resume(run, {hook}=...) with the same."""


class Diverged(TenantryError):
    """{home} stands at {current}, which is not on the way to {target}. Look at `tenantry fleet history`; if its
    tables are right, record it with `tenantry fleet stamp`."""


class AdoptionRefused(TenantryError):
    """{count} thing(s) stand in the way of {stage}; nothing was changed. Mend each, then advance again:"""

    findings: Sequence[Finding]

    def __init__(self, *, stage: str, findings: Sequence[Finding], **_: Any) -> None:
        super().__init__(stage=stage, findings=findings, count=len(findings))
        lines = [f"{number}. {finding}" for number, finding in enumerate(findings, 1)]
        self.args = ("\n".join([str(self), *lines]),)


class AdoptionBusy(TenantryError):
    """Somebody else is at work on the adoption of {home}. Look at its status; it can be taken up once they are gone."""


class AdoptionFailed(TenantryError):
    """The adoption of {home} stopped in stage {stage}: {error} What was done stays; mend the cause and advance again,
    or roll back."""


class PlanInvalid(TenantryError):
    """{file}, line {line}: {reason}"""

    line: int


class ChangeAmbiguous(RevisionUnknown):
    """{revision} names several changes of {scripts}: {candidates}. Say which one you mean."""


class ScriptRefused(TenantryError):
    """{file}, line {line}: {reason} Nothing of the script was run."""

    line: int


class ChangeUnmet(MigrationFailed):
    """{home} stays at {before}: {step} cannot be run now. {error} Mend the cause, then run `tenantry fleet resume`."""


class ChangeUnproven(MigrationFailed):
    """{home} stays at {before}: an earlier run of {step} was cut off, and nobody can tell how far it came. {error}
    Look at the tables; then `tenantry fleet stamp` the change, or undo what it did."""


class WallMissing(MigrationFailed):
    """{home} stays at {before}: {step} would leave tables that are open without a wall. {error} Mend the script,
    then run `tenantry fleet resume`."""


class HomeBehind(TenantryError):
    """{home} stands at {current} and not at the head of the scripts, so it was not compared with the models.
    Bring it there first with `tenantry fleet upgrade`."""


class TenantColumnKept(TenantryError):
    """The column tenant_id of {table} was left as it is: it says whose each row is, and the wall stands on it.
    Drop the whole table, or take the wall down first with op.unwall({table!r})."""


class OrphansFound(TenantryError):
    """{home} was left as it was: rows refer to rows that do not exist, {found}.
    Mend or delete those rows in a data step before the key is made."""
