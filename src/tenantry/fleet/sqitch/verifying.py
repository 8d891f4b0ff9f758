"""Whether what is deployed in a home is what the plan says, and still works: every verify script, run once more."""

from __future__ import annotations

from collections.abc import Iterator

from tenantry.fleet.sqitch.places import Place
from tenantry.types import Finding

# Q: a fault of what a Sqitch project deployed.
CODES = {
    "Q101": "a deployed change does not pass its verify script",
    "Q102": "a deployed change is not in the plan",
    "Q103": "a deployed change stands out of order",
    "Q104": "a planned change was left out",
    "Q105": "a deploy script is not the one that was run",
}


def verify(place: Place) -> list[Finding]:
    """Returns what is wrong with the deployed changes of a home; reworked ones are not verified, as their script says
    what a later change has altered since."""
    with place.client.holding():
        if not place.registry.exists():
            return []
        return list(_judge(place))


def _judge(place: Place) -> Iterator[Finding]:
    plan, deployed = place.project.plan, place.registry.deployed()
    positions = [plan.index(change_id) for change_id in deployed]
    known = [position for position in positions if position is not None]
    for change_id, position in zip(deployed, positions, strict=True):
        if position is None:
            fix = "Take the plan that was deployed, or `tenantry fleet stamp` where the home stands."
            yield Finding("Q102", f"{place.site.home} {change_id}", "It is deployed, but not in the plan.", fix)
            continue
        change = plan.changes[position]
        title = f"{place.site.home} {change.qualified}"
        if any(earlier > position for earlier in known[: known.index(position)]):
            yield Finding("Q103", title, "It was deployed after a later change.", "Revert to before it, then deploy.")
        if deployed[change_id] != place.project.digest(change):
            fix = "Put the script back as it was, and rework the change for what is new."
            yield Finding("Q105", title, "Its deploy script has changed since it was run.", fix)
        wrong = None if change.reworked_at else place.verify(change)
        if wrong:
            yield Finding("Q101", title, wrong, "Mend what it found, or revert and deploy the change.")
    for position in sorted({*range(max(known, default=-1) + 1)} - {*known}):
        title = f"{place.site.home} {plan.changes[position].qualified}"
        yield Finding("Q104", title, "It is not deployed, but a later change is.", "Revert to before it, then deploy.")
