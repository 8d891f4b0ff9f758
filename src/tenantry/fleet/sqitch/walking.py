"""From where a home stands to its target: one change after the other, each with what it needs looked at first."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from tenantry.fleet.history import Applied
from tenantry.fleet.sqitch.places import Place
from tenantry.fleet.sqitch.plan import Change, Dependency, dependencies
from tenantry.fleet.sqitch.project import DEPLOY, REVERT


def walk(place: Place, target: str | None) -> Applied:
    """Brings a home to *target*, a change of the plan or None, and returns what was done.

    Raises: as ``History.apply``.
    """
    plan = place.project.plan
    with place.client.holding():
        place.stand()
        place.settle()
        before = place.stand()
        if before is None and target is not None and place.was_made_from_models():
            return _take_over(place)
        changes = plan.between(before, target)
        upwards = _is_upwards(place, before, target)
        kind = DEPLOY if upwards else REVERT
        for change in changes:
            # Read before anything is run: what cannot be run is refused as a whole.
            place.script(change, kind)
        if upwards and (changes or before is not None):
            place.make_ready()
            _check_deployable(place, changes)
        else:
            _check_revertible(place, changes)
    current = before
    for change in changes:
        with place.client.holding():
            _check_unmoved(place, current)
            if upwards:
                place.deploy(change)
            else:
                place.revert(change)
        current = place.current
    return Applied(before, current, tuple(change.id for change in changes), place.touched)


def _take_over(place: Place) -> Applied:
    """Records the whole plan in a tenant's home that was made from the models, if it passes every verify script."""
    plan = place.project.plan
    for change in plan.changes:
        wrong = None if change.reworked_at else place.verify(change)
        if wrong:
            raise place.unmet(change, f"Its home was made from the models, and differs from the plan: {wrong}")
    with place.client.recording():
        place.found()
        for change in plan.changes:
            place.registry.record_deploy(change)
    return Applied(None, plan.changes[-1].id)


def stamp(place: Place, target: str | None) -> Applied:
    """Records that a home stands at *target*, whatever it stood at, and runs nothing."""
    plan = place.project.plan
    wanted = [change.id for change in plan.between(None, target)]
    with place.client.holding():
        place.registry.forget_unfinished()
        deployed = list(place.registry.deployed()) if place.registry.exists() else []
        agreed = _agreement(deployed, wanted)
        with place.client.recording():
            place.found()
            for change_id in reversed(deployed[agreed:]):
                place.registry.record_revert(change_id)
            for change_id in wanted[agreed:]:
                place.registry.record_deploy(plan.find(change_id))
    return Applied(deployed[-1] if deployed else None, target, (*deployed[agreed:][::-1], *wanted[agreed:]))


def _agreement(deployed: Sequence[str], wanted: Sequence[str]) -> int:
    pairs = zip(deployed, wanted, strict=False)
    return next((number for number, (has, wants) in enumerate(pairs) if has != wants), min(len(deployed), len(wanted)))


def _is_upwards(place: Place, before: str | None, target: str | None) -> bool:
    plan = place.project.plan
    stands = -1 if before is None else plan.index(before) or 0
    wanted = -1 if target is None else plan.index(target) or 0
    return wanted >= stands


def _check_unmoved(place: Place, expected: str | None) -> None:
    if place.stand() != expected:
        raise place.busy("another migration moved it")


def _check_deployable(place: Place, changes: Sequence[Change]) -> None:
    coming: set[str] = set()
    for change in changes:
        for dependency in dependencies(change):
            fault = _fault(place, dependency, coming)
            if fault:
                raise place.unmet(change, fault)
        coming.add(change.id)


def _fault(place: Place, dependency: Dependency, coming: Collection[str]) -> str | None:
    plan = place.project.plan
    planned, name = plan.first(dependency), dependency.text(plan.project)
    if planned is None and dependency.id is None and dependency.is_of(plan.project):
        return f"It names {name}, which is not in the plan."
    stands = (planned is not None and planned.id in coming) or place.registry.find(dependency) is not None
    if stands != dependency.conflicts:
        return None
    return f"It conflicts with {name}." if dependency.conflicts else f"It requires {name}."


def _check_revertible(place: Place, changes: Sequence[Change]) -> None:
    going: set[str] = set()
    for change in changes:
        going.add(change.id)
        leaning = [other for other in place.registry.requiring(change) if other.change_id not in going]
        if leaning:
            names = ", ".join(f"{other.project}:{other.name}" for other in leaning)
            raise place.unmet(change, f"{names} is deployed and requires it.")
