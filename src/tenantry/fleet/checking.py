"""The fleet checked: every home against the models, against its fellows and against its history."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from tenantry.errors import SeveralHeads
from tenantry.events import announce
from tenantry.fleet.checking_orphans import orphans_of
from tenantry.fleet.checking_shapes import Peers, judge_peers, judge_rules, ours
from tenantry.fleet.fingerprints import TABLE, Fingerprint
from tenantry.fleet.fingerprints_homes import Seen, shapes_of
from tenantry.fleet.fingerprints_models import ModelShapes
from tenantry.fleet.history import History, Position
from tenantry.fleet.homes import Home, homes_of
from tenantry.isolation.orphans import Counted
from tenantry.tenancy import Tenancy
from tenantry.types import Finding

# How often a home is looked at that a migration changes between one question and the next.
_LOOKS: Final = 3


def check(
    tenancy: Tenancy,
    history: History | None = None,
    *,
    homes: Iterable[Home] | None = None,
    orphans: bool = True,
    jobs: int = 4,
) -> tuple[Finding, ...]:
    """Returns what is wrong with the fleet's schemas, sorted by code; nothing is changed, and an empty answer means
    that every home was looked at and is well.

    A home at an older revision is behind, not at fault: it is compared with the others there. Without *history* every
    home should be as the models say. *orphans* counts the rows whose foreign key points at nothing, which reads the
    tables; the rest reads the system catalogs only.

    Raises: LoginRequired without the owner's login, or without one that lists tenants; MigrationsMissing.
    """
    looked_at = list(homes_of(tenancy) if homes is None else homes)
    announce("fleet", "check", homes=len(looked_at))
    seen, current = _look(tenancy, history, looked_at, jobs=jobs)
    shapes = {home: shape for home, shape in seen.items() if isinstance(shape, Fingerprint)}
    standing = _standing(history, {home: revision for home, revision in current.items() if home in shapes})
    found = [
        *_judge_unseen(tenancy, seen),
        *_judge_positions(tenancy, standing, shapes),
        *_judge_shapes(tenancy, standing, shapes),
        *(_judge_orphans(orphans_of(tenancy, list(shapes), jobs=jobs)) if orphans else ()),
    ]
    return tuple(sorted(set(found), key=lambda finding: (finding.code, finding.object, finding.message)))


@dataclass(frozen=True)
class _Standing:
    """Where the homes stand that a history is for, and the head that they should stand at."""

    history: History | None
    current: Mapping[Home, str | None]
    head: str | None
    heads: SeveralHeads | None = None

    def as_models(self, home: Home) -> bool:
        """Whether the models say what a home looks like: at the head, and where no history does."""
        return home not in self.current or (self.heads is None and self.current[home] == self.head)


def _standing(history: History | None, current: Mapping[Home, str | None]) -> _Standing:
    if history is None:
        return _Standing(None, {}, None)
    try:
        return _Standing(history, current, history.resolve("head"))
    except SeveralHeads as error:
        return _Standing(history, current, None, error)


def _look(
    tenancy: Tenancy, history: History | None, homes: Sequence[Home], *, jobs: int
) -> tuple[dict[Home, Seen], dict[Home, str | None]]:
    """Returns shapes and revisions that belong together: a home that was migrated meanwhile is looked at again."""
    seen: dict[Home, Seen] = {}
    current: dict[Home, str | None] = {}
    for _ in range(_LOOKS):
        before = history.read(homes) if history else {}
        seen |= shapes_of(tenancy, homes, jobs=jobs)
        after = history.read(homes) if history else {}
        current |= after
        homes = [home for home in homes if before.get(home) != after.get(home)]
        if not homes:
            break
    return seen | dict.fromkeys(homes, "It is being migrated"), current


def _judge_unseen(tenancy: Tenancy, seen: Mapping[Home, Seen]) -> Iterator[Finding]:
    unseen = {home: reason for home, reason in seen.items() if isinstance(reason, str)}
    # A tenant may have been erased, with its home, while we were looking.
    standing = {home.key for home in homes_of(tenancy)} if unseen else set()
    for home, reason in unseen.items():
        if home.key in standing:
            fix = "Check that it stands and that the owner may connect; `tenantry doctor` says more."
            yield Finding("F901", str(home), f"{reason}.", fix)


def _judge_positions(tenancy: Tenancy, standing: _Standing, shapes: Mapping[Home, Fingerprint]) -> Iterator[Finding]:
    if standing.history is None:
        return
    if standing.heads is not None:
        fix = "Join them with `tenantry fleet revision --merge`."
        yield Finding("F104", standing.history.name, str(standing.heads), fix)
        return
    for home, current in standing.current.items():
        shape = ours(tenancy.servers.get(home.server), home, shapes[home])
        empty = not any(fact.kind == TABLE for fact in shape.facts)
        yield from _judge_position(standing.history, home, current, head=standing.head, empty=empty)


def _judge_position(
    history: History, home: Home, current: str | None, *, head: str | None, empty: bool
) -> Iterator[Finding]:
    position = history.position(current, head)
    if position is Position.BEHIND and current is None and not empty:
        message = "It holds tables, but no revision is recorded in it."
        fix = "If they are as a revision left them, record it: `tenantry fleet stamp REVISION`."
        yield Finding("F103", str(home), message, fix)
    elif position is Position.BEHIND:
        steps = len(history.steps(current, head))
        message = f"It stands at {current or 'the beginning'}, {steps} revision(s) behind {head}."
        yield Finding("F101", str(home), message, "Run `tenantry fleet upgrade`.")
    elif position is not Position.AT:
        message = f"It stands at {current}, which is not on the way to {head or 'the beginning'}."
        fix = (
            "If a newer release put it there, run that one. Else look at `tenantry fleet history`; if its tables are "
            "right, record what they are with `tenantry fleet stamp REVISION`."
        )
        yield Finding("F102", str(home), message, fix)


def _judge_shapes(tenancy: Tenancy, standing: _Standing, shapes: Mapping[Home, Fingerprint]) -> Iterator[Finding]:
    models = ModelShapes(tenancy)
    peers: dict[tuple[str, str, str | None], list[Home]] = defaultdict(list)
    for home in shapes:
        peers[home.server, home.kind, standing.current.get(home)].append(home)
    for (name, *_), homes in peers.items():
        wanted = models.of(homes[0]) if standing.as_models(homes[0]) else None
        group = Peers(tenancy.servers.get(name), {home: shapes[home] for home in homes}, wanted)
        yield from judge_rules(group)
        yield from judge_peers(group)


def _judge_orphans(counted: Mapping[Home, Counted]) -> Iterator[Finding]:
    for home, counts in counted.items():
        if isinstance(counts, str):
            yield Finding("F902", str(home), f"{counts}.", "Run `tenantry install` with the owner's login, then again.")
            continue
        for key, count in counts.items():
            message = f"{count} row(s) refer by {key} to rows that are not there."
            fix = "Mend or delete them as the operator, or write a revision with op.data(...) that does."
            yield Finding("F302", str(home), message, fix)
