"""The adoption of one database: observed, advanced stage by stage, looked up, and taken back."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, Final

from tenantry.catalog import adopting as catalog
from tenantry.errors import AdoptionBusy, AdoptionFailed, AdoptionRefused, TenantryError
from tenantry.events import announce
from tenantry.fleet.adopting import observing
from tenantry.fleet.adopting.desk import ACTION
from tenantry.fleet.adopting.ground import Ground, Look
from tenantry.fleet.adopting.places import find_place
from tenantry.fleet.adopting.plans import Plan
from tenantry.fleet.adopting.registering import Known
from tenantry.fleet.adopting.stages import STAGES, Observation, Stage, Status
from tenantry.fleet.failing import describe
from tenantry.fleet.history import Pace
from tenantry.ids import check_identity, check_slug
from tenantry.isolation.servers import MAIN
from tenantry.tenancy import Tenancy
from tenantry.types import Finding, Isolation

_BEGUN: Final = Stage.OBSERVE


class Adoption:
    """Takes over a database that existed before, as *plan* says; making one changes nothing.

    On PostgreSQL it is the database of *server*, or the one that ``tenants.adopt`` registered for a single tenant.
    On SQLite *source* is the URL of the file; its rows go to *isolation* ``database``, a file for each tenant, or to
    ``rows``, the common file.

    Raises: ConfigurationError, ServerUnknown, TenantNotFound.
    """

    def __init__(
        self,
        tenancy: Tenancy,
        plan: Plan,
        *,
        server: str = MAIN,
        source: str | None = None,
        isolation: Isolation | str | None = None,
        pace: Pace | None = None,
        batch: int = 1000,
    ) -> None:
        self.plan = plan
        self._tenancy = tenancy
        place = find_place(
            tenancy,
            plan,
            server=server,
            source=source,
            isolation=Isolation(isolation) if isolation else None,
            pace=pace or Pace(),
            batch=batch,
            say=self._say,
        )
        self.id = place.id
        self._register = place.register
        self._ground: Ground = place.ground

    def __repr__(self) -> str:
        return f"Adoption({self._ground.name!r})"

    def observe(self) -> Observation:
        """Returns what stands in the way and what would be done; nothing is changed.

        Raises: LoginRequired.
        """
        stage = self.status().stage
        with self._ground.look() as look:
            return _after(look) if stage is Stage.ENFORCE else self._observation(look, stage)

    def advance(self, to: Stage | str = Stage.ENFORCE) -> Observation:
        """Goes on to stage *to*, from wherever it stands or a crash left it, and returns what is found there.

        Raises: AdoptionRefused for wrong data or another plan, AdoptionBusy, AdoptionFailed, HomeBusy, LoginRequired.
        """
        wanted = Stage(to)
        with self._in_hand():
            self._check_plan()
            reached = STAGES.index(self.status().stage)
            for stage in STAGES[reached + 1 : STAGES.index(wanted) + 1]:
                self._enter(stage)
                self._note(stage=stage.value, detail={"plan": self.plan.digest})
        return self.observe()

    def refill(self) -> Observation:
        """Gives rows their tenant again that lost it or say another by now; enters tenants that have come since.

        Raises: AdoptionRefused outside stages fill and filter, AdoptionBusy, AdoptionFailed.
        """
        with self._in_hand():
            stage = self.status().stage
            if stage not in (Stage.FILL, Stage.FILTER):
                raise AdoptionRefused(stage="refill", findings=[_out_of_turn(self._ground.name, stage)])
            self._working(stage, self._ground.refill)
        return self.observe()

    def rollback(self, to: Stage | str = Stage.OBSERVE) -> Status:
        """Takes stages back, down to *to*; what the old application knew is as it was. Past enforce nothing goes back.

        Raises: AdoptionRefused after stage enforce, AdoptionBusy, AdoptionFailed.
        """
        wanted = Stage(to)
        with self._in_hand():
            if self.status().stage is Stage.ENFORCE or self._ground.is_enforced:
                raise AdoptionRefused(stage="rollback", findings=[_out_of_turn(self._ground.name, Stage.ENFORCE)])
            # What a crash left half-done stands beyond the stage that was noted.
            for number in range(len(STAGES) - 1, STAGES.index(wanted), -1):
                stage = STAGES[number]
                self._working(stage, lambda stage=stage: self._ground.undo(stage))
                self._note(stage=STAGES[number - 1].value)
        if wanted is _BEGUN:
            with self._tenancy.catalog(ACTION) as connection:
                catalog.drop_entry(connection, self.id)
        return self.status()

    def status(self) -> Status:
        """Returns where the adoption stands, by the journal alone.

        Raises: LoginRequired.
        """
        with self._tenancy.catalog(ACTION) as connection:
            entry = catalog.entry(connection, self.id)
        if entry is None:
            return Status(stage=_BEGUN, state="none")
        detail = entry.detail
        return Status(
            stage=Stage(entry.stage), state=entry.state, step=detail.get("step", ""), error=detail.get("error", "")
        )

    def _observation(self, look: Look, stage: Stage) -> Observation:
        findings = observing.judge(look)
        counted = not any(finding.code in ("A101", "A102", "A111", "A114") for finding in findings)
        return Observation(
            stage=stage,
            tenants=observing.count_tenants(look) if counted else 0,
            tables=observing.counts(look) if counted else {},
            findings=[*findings, *(self._judge_names(look) if counted else [])],
            notes=observing.remark(look),
        )

    def _judge_names(self, look: Look) -> Iterator[Finding]:
        """Yields what the catalog could not take: slugs and identities of no use, or of other tenants."""
        if look.expressions.whole:
            return
        found = [Known(*row) for row in look.rows(f"SELECT * FROM {look.expressions.found()} AS f ORDER BY 1")]
        taken = self._register.taken(found)
        for known in found:
            fault = _fault(self.plan.identity, known, taken)
            if fault:
                fix = "Give Found(slug=…) an expression that makes a slug of it, or mend the value."
                yield Finding("A109", known.value, fault, fix)

    def _enter(self, stage: Stage) -> None:
        if stage is not Stage.ENFORCE or not self._ground.is_enforced:
            self._refuse_faults(stage)
        work = {Stage.FILL: self._ground.fill, Stage.FILTER: self._ground.filter, Stage.ENFORCE: self._ground.enforce}
        self._working(stage, work[stage])

    def _refuse_faults(self, stage: Stage) -> None:
        """Stops before anything is changed; rows at fault may be mended later where no key meets them before."""
        borne = frozenset[str]() if stage is Stage.ENFORCE else self._ground.bears
        blocking = [finding for finding in self.observe().findings if finding.code not in borne]
        if blocking:
            raise AdoptionRefused(stage=stage.value, findings=blocking)

    def _check_plan(self) -> None:
        with self._tenancy.catalog(ACTION) as connection:
            entry = catalog.entry(connection, self.id)
        begun = entry.detail.get("plan") if entry else None
        if begun and begun != self.plan.digest:
            message = "The adoption was begun with a plan that gives rows to other tenants."
            fix = "Advance with that plan, or roll back and begin anew."
            raise AdoptionRefused(stage="advance", findings=[Finding("A120", self._ground.name, message, fix)])

    @contextlib.contextmanager
    def _in_hand(self) -> Iterator[None]:
        with self._tenancy.catalog(ACTION) as connection:
            taken = catalog.take(connection, self.id, stage=_BEGUN.value)
        if not taken:
            raise AdoptionBusy(home=self._ground.name)
        state = catalog.FAILED
        try:
            yield
            state = catalog.DONE if self.status().stage is Stage.ENFORCE else catalog.RESTING
        finally:
            with self._tenancy.catalog(ACTION) as connection:
                catalog.note(connection, self.id, state=state)

    def _working(self, stage: Stage, work: Any) -> None:
        self._note(detail={"plan": self.plan.digest, "step": stage.value})
        try:
            work()
        except TenantryError:
            raise
        except Exception as error:
            said = f"{describe(error)}."
            self._note(detail={"plan": self.plan.digest, "step": stage.value, "error": said})
            raise AdoptionFailed(home=self._ground.name, stage=stage.value, error=said) from error

    def _note(self, **facts: Any) -> None:
        with self._tenancy.catalog(ACTION) as connection:
            if not catalog.note(connection, self.id, **facts):
                raise AdoptionBusy(home=self._ground.name)

    def _say(self, name: str, **facts: Any) -> None:
        # Held longer with every step: a machine that fell asleep finds out here that another has taken over.
        self._note(detail={"plan": self.plan.digest, "step": " ".join([name, *map(str, facts.values())])})
        announce("adopt", name, **facts)


def _after(look: Look) -> Observation:
    """Returns what there is once keys and wall hold: they let no row be at fault."""
    tables = observing.totals(look)
    return Observation(stage=Stage.ENFORCE, tenants=0, tables=tables, findings=(), notes=())


def _fault(kind: str, known: Known, taken: set[str]) -> str:
    try:
        check_identity(kind, known.value)
        check_slug(known.slug)
    except TenantryError as error:
        return str(error)
    return f"The slug {known.slug!r} is another tenant's." if known.slug in taken else ""


def _out_of_turn(name: str, stage: Stage) -> Finding:
    message = f"The adoption stands at {stage}."
    fix = "Move tenants, or restore a backup, to change what is done." if stage is Stage.ENFORCE else "Advance first."
    return Finding("A121", name, message, fix)
