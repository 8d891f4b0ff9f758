"""One home on its way through a plan: the steps that PostgreSQL and SQLite have in common, in their order.

A change is a script and its record. Where the script is one transaction of its own and the database lets the record
join it, both are committed together. Elsewhere a note goes first: if a run dies between the two, the change's verify
script says at the next run whether the script was committed, and nothing else does.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from tenantry.errors import (
    ChangeUnmet,
    ChangeUnproven,
    Diverged,
    HomeBusy,
    MigrationFailed,
    OutcomeUnknown,
    WallMissing,
)
from tenantry.events import announce
from tenantry.fleet.failing import was_lost
from tenantry.fleet.history import Pace
from tenantry.fleet.sites import Site
from tenantry.fleet.sqitch.clients import Client, Progress, Refused, busy
from tenantry.fleet.sqitch.plan import Change
from tenantry.fleet.sqitch.project import DEPLOY, REVERT, VERIFY, Project
from tenantry.fleet.sqitch.registry import Unfinished
from tenantry.fleet.sqitch.statements import Script


class Place:
    """A home with its registry and a project; nobody else moves it while it is held."""

    def __init__(self, site: Site, project: Project, client: Client, pace: Pace) -> None:
        self.site = site
        self.project = project
        self.client = client
        self.registry = client.registry
        self.pace = pace
        self.touched: dict[str, int] = {}
        self.current: str | None = None

    def stand(self) -> str | None:
        """Returns the newest deployed change.

        Raises: Diverged where the deployed changes are not the beginning of the plan; MigrationFailed for a registry
            that this project cannot go on with.
        """
        self.current = None
        if not self.registry.exists():
            return None
        complaint = self.registry.complaint()
        if complaint:
            raise MigrationFailed(home=self.site.home, before="base", step="registry", error=complaint)
        deployed, planned = list(self.registry.deployed()), self.project.plan.changes
        if deployed != [change.id for change in planned[: len(deployed)]]:
            raise Diverged(home=self.site.home, current=deployed[-1], target=planned[-1].id if planned else None)
        self.current = deployed[-1] if deployed else None
        return self.current

    def was_made_from_models(self) -> bool:
        """Whether this is a tenant's own home that was made as it stands, and the plan was never deployed into it."""
        if self.site.home.tenant is None or not self.project.plan.changes:
            return False
        return not (self.registry.exists() and self.registry.has_events()) and self.client.has_all_tables()

    def make_ready(self) -> None:
        """Makes the registry and the project's line in it, where they are missing, and records new tags."""
        with self.client.recording():
            self.found()
            if self.current is not None:
                self.registry.record_tags(self.project.plan.find(self.current))

    def found(self) -> None:
        """Makes the registry and the project's line in it, where they are missing."""
        if not self.registry.exists():
            self.registry.create()
        self.registry.register_project()

    def deploy(self, change: Change) -> None:
        """Deploys the next change and records it.

        Raises: MigrationFailed, HomeBusy, OutcomeUnknown.
        """
        self._change(change, DEPLOY)
        self.current = change.id

    def revert(self, change: Change) -> None:
        """Takes the newest change back and records that.

        Raises: MigrationFailed, HomeBusy, OutcomeUnknown.
        """
        self._change(change, REVERT)
        position = self.project.plan.index(change.id) or 0
        self.current = self.project.plan.changes[position - 1].id if position else None

    def settle(self) -> None:
        """Finds out what became of the change that a dead run left unfinished, and records it.

        Raises: ChangeUnproven without a verify script that could tell.
        """
        note = self.registry.unfinished() if self.registry.exists() else None
        if note is None:
            return
        recorded = note.change_id in self.registry.deployed()
        position = self.project.plan.index(note.change_id)
        # Somebody else has brought it to its end since, or it is no longer planned.
        if position is None or recorded == (note.kind == DEPLOY):
            self.registry.forget_unfinished()
            return
        change = self.project.plan.changes[position]
        stands = self._proven(change)
        self._tell("settle", change, kind=note.kind, stands=stands)
        if stands == (note.kind == REVERT):
            self.registry.forget_unfinished()
            return
        with self._closing(), self.client.recording():
            self._wall(change, note.kind)
            self._record(change, note.kind)

    def verify(self, change: Change) -> str | None:
        """Runs a change's verify script and returns what it found wrong, or None.

        Raises: HomeBusy where it could not be run, so that it tells nothing.
        """
        script = self.project.find_script(change, VERIFY, registry=self.client.registry_name)
        if script is None:
            return None
        progress = Progress(script)
        try:
            self.client.run(script, progress)
        except self.client.failures as error:
            if was_lost(error):
                raise
            if self.client.says_nothing(error):
                raise self.busy(f"{script.name} could not be run") from error
            return progress.describe(error)
        finally:
            self.client.abandon()
        return None

    def script(self, change: Change, kind: str) -> Script:
        """Returns a script of a change.

        Raises: ScriptRefused.
        """
        return self.project.script(change, kind, registry=self.client.registry_name)

    def busy(self, reason: str) -> HomeBusy:
        """Returns the error for a home that others use; nothing was changed, and the same may succeed later."""
        return busy(self.site.home, self.pace, reason)

    def unmet(self, change: Change, error: str) -> ChangeUnmet:
        """Returns the error for a change that cannot be run as things stand."""
        return ChangeUnmet(home=self.site.home, before=self._before, step=change.qualified, error=error)

    @property
    def _before(self) -> str:
        return self.project.plan.find(self.current).qualified if self.current else "base"

    def _change(self, change: Change, kind: str) -> None:
        script = self.script(change, kind)
        joined = self.client.joins(script) and not (kind == DEPLOY and self.project.verifies)
        progress = Progress(script)

        def finish() -> None:
            self._wall(change, kind)
            if joined:
                self._record(change, kind)
                self._tell("commit", change, kind=kind)

        with self._judged(change, kind, progress):
            if not joined:
                self.registry.note_unfinished(Unfinished(kind, change.id))
            self.client.look()
            self._tell("script", change, kind=kind)
            touched = self.client.run(script, progress, finish if script.whole else None)
            if self.client.in_transaction:
                raise Refused(f"{script.name} leaves its transaction open, so nothing of it would stand.")
            if not joined:
                self._tell("record", change, kind=kind)
                self._conclude(change, kind, walled=script.whole)
        self._tell("recorded", change, kind=kind)
        if touched:
            self.touched[change.qualified] = touched

    def _conclude(self, change: Change, kind: str, *, walled: bool) -> None:
        """Records a change whose script is committed."""
        wrong = self.verify(change) if kind == DEPLOY and self.project.verifies else None
        if wrong:
            raise Refused(f"{wrong} {self._undo(change)}")
        with self._closing(), self.client.recording():
            if not walled:
                self._wall(change, kind)
            self._record(change, kind)

    def _undo(self, change: Change) -> str:
        script = self.script(change, REVERT)
        progress = Progress(script)
        try:
            self.client.run(script, progress)
        except self.client.failures as error:
            if was_lost(error):
                raise
            self.client.abandon()
            return f"Taking it back failed too: {progress.describe(error)}"
        return "It was taken back by its revert script."

    @contextlib.contextmanager
    def _closing(self) -> Iterator[None]:
        """Leaves nobody but the owner near tables that cannot be walled and were committed by their script."""
        try:
            yield
        except WallMissing:
            self.client.shut()
            raise

    def _wall(self, change: Change, kind: str) -> None:
        findings = self.client.raise_walls()
        if findings:
            error = " ".join(map(str, findings))
            raise WallMissing(home=self.site.home, before=self._before, step=f"{kind} {change.qualified}", error=error)

    def _record(self, change: Change, kind: str) -> None:
        if kind == DEPLOY:
            self.registry.record_deploy(change)
        else:
            self.registry.record_revert(change.id)

    def _proven(self, change: Change) -> bool:
        if self.project.find_script(change, VERIFY, registry=self.client.registry_name) is None:
            error = f"It has no verify script that could tell ({self.project.file(change, VERIFY)})."
            raise ChangeUnproven(home=self.site.home, before=self._before, step=change.qualified, error=error)
        return self.verify(change) is None

    @contextlib.contextmanager
    def _judged(self, change: Change, kind: str, progress: Progress) -> Iterator[None]:
        """Turns what the database says into what became of the change."""
        failures: tuple[type[Exception], ...] = (*self.client.failures, Refused)
        try:
            yield
        except failures as error:
            if was_lost(error):
                raise OutcomeUnknown(action=f"the {kind} of {change.qualified} in {self.site.home}") from error
            self.client.abandon()
            if self.client.is_busy(error) and not progress.stands:
                self.registry.forget_unfinished()
                raise self.busy("a lock that it needs was not free") from error
            self._record_failure(change, kind)
            said = str(error) if isinstance(error, Refused) else progress.describe(error)
            if progress.stands:
                said += " What the script committed before that stands."
            raise MigrationFailed(
                home=self.site.home, before=self._before, step=f"{kind} {change.qualified}", error=said
            ) from error
        except WallMissing:
            self.client.abandon()
            # What was committed without its wall stays noted: it is recorded once it can be walled.
            if progress.script.whole:
                self._record_failure(change, kind)
            raise

    def _record_failure(self, change: Change, kind: str) -> None:
        with self.client.recording():
            if kind == DEPLOY:
                self.registry.record_failure(change)

    def _tell(self, step: str, change: Change, **facts: object) -> None:
        home = self.site.home
        announce("fleet", step, tenant=home.tenant, home=home, change=change.qualified, **facts)
