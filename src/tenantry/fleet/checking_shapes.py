"""Homes of one kind at one revision, compared with the models, with one another, and with rules that always hold."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from tenantry.fleet.checking_rules import breach, mended
from tenantry.fleet.fingerprints import Fact, Fingerprint, differences
from tenantry.fleet.fingerprints_models import of_models
from tenantry.fleet.homes import Home, HomeKind, holds
from tenantry.isolation.postgres import PostgresServer
from tenantry.isolation.servers import Server
from tenantry.isolation.wall import POLICY, quote
from tenantry.models import SHARED_SCHEMA, Ownership, owned_tables
from tenantry.types import Finding

Heaps = dict[Fingerprint, list[Home]]

_BY_HAND: Final = "Undo what was done to it by hand, or write a revision that does the same to every home."
_REVISION: Final = "Write the revision that is missing: `tenantry fleet revision --autogenerate`."


@dataclass(frozen=True)
class Peers:
    """Homes of one kind on one server at one revision, and what the models say of them, if they say anything."""

    server: Server
    shapes: Mapping[Home, Fingerprint]
    wanted: Fingerprint | None

    @cached_property
    def any_home(self) -> Home:
        """One of them, as good as any other."""
        return next(iter(self.shapes))

    @cached_property
    def title(self) -> str:
        """What they are together, where one sentence is said of all."""
        return str(self.any_home) if len(self.shapes) == 1 else f"{self.server.name}/{self.any_home.kind}"

    @cached_property
    def heaps(self) -> Heaps:
        """The homes by their shape."""
        return _heaped(self.shapes, lambda shape: ours(self.server, self.any_home, shape))

    def as_ruled(self, part: Callable[[Fact], bool]) -> Heaps:
        """Returns the homes by that part of their shape, the commonest first, as it were if no rule were broken."""
        heaps: Heaps = defaultdict(list)
        for shape, homes in self.heaps.items():
            facts = (self.ruled(fact, shape) for fact in shape.facts if part(fact))
            heaps[Fingerprint.of(fact for fact in facts if fact is not None)] += homes
        return dict(sorted(heaps.items(), key=lambda heap: -len(heap[1])))

    def ruled(self, fact: Fact, shape: Fingerprint) -> Fact | None:
        """Returns what a fact of *shape* should be by the rules alone; what the models ask for is no breach."""
        if self.wanted is not None and fact in self.wanted.facts:
            return fact
        return mended(fact, self._walled | _behind_policies(shape.facts))

    @cached_property
    def _walled(self) -> frozenset[str]:
        tables = owned_tables(self.server.metadata, Ownership.TENANT, Ownership.RECORD)
        return frozenset(table.name for table in tables)


def ours(server: Server, home: Home, shape: Fingerprint) -> Fingerprint:
    """Returns a home's shape without the tables that an application may keep beside ours in the common schema."""
    if home.kind is not HomeKind.COMMON or not isinstance(server, PostgresServer):
        return shape
    tables = owned_tables(server.metadata, *holds(home, server))
    names = {f"{SHARED_SCHEMA}.{table.name}" if table.schema else table.name for table in tables}
    names |= _behind_policies(shape.facts)
    return shape.only(lambda fact: fact.table in names)


def judge_rules(peers: Peers) -> Iterator[Finding]:
    """Yields what is wrong in a home whatever its revision: a wall that is down, an index that is invalid."""
    for shape, homes in peers.heaps.items():
        for fact in shape.facts:
            if peers.ruled(fact, shape) != fact:
                found = breach(fact)
                for home in homes:
                    fix = found.fix.format(schema=_schema(peers.server, home))
                    yield Finding(found.code, str(home), found.message, fix)


def judge_peers(peers: Peers) -> Iterator[Finding]:
    """Yields where homes are not as the models say, or not as most of their fellows are."""
    if peers.wanted is None:
        yield from _judge_fellows(peers.as_ruled(lambda _: True))
        return
    told = peers.as_ruled(of_models)
    usual = _usual(told)
    if usual is not None and peers.wanted not in told:
        for said in differences(usual, peers.wanted):
            message = f"{len(told[usual])} of {len(peers.shapes)} homes: {said}."
            yield Finding("F203", peers.title, message, _REVISION)
        yield from _judge_fellows(told)
    else:
        for shape, homes in told.items():
            yield from _differing("F201", homes, differences(shape, peers.wanted))
    yield from _judge_fellows(peers.as_ruled(lambda fact: not of_models(fact)))


def _judge_fellows(heaps: Heaps) -> Iterator[Finding]:
    """Compares homes with what most of them are, or, where they are of as many minds as homes, with one of them."""
    usual = _usual(heaps)
    reference = usual or next(iter(heaps))
    there = "in most others" if usual else f"in {heaps[reference][0]}"
    for shape, homes in heaps.items():
        yield from _differing("F202", homes, differences(shape, reference, there=there))


def _differing(code: str, homes: Iterable[Home], said: Iterable[str]) -> Iterator[Finding]:
    sentences = list(said)
    for home in homes:
        yield from (Finding(code, str(home), f"{sentence}.", _BY_HAND) for sentence in sentences)


def _usual(heaps: Heaps) -> Fingerprint | None:
    """Returns the shape that more than half of several homes have."""
    shape, homes = next(iter(heaps.items()))
    return shape if len(homes) > 1 and 2 * len(homes) > sum(map(len, heaps.values())) else None


def _heaped(shapes: Mapping[Home, Fingerprint], of: Callable[[Fingerprint], Fingerprint]) -> Heaps:
    made: dict[Fingerprint, Fingerprint] = {}
    heaps: Heaps = defaultdict(list)
    for home, shape in shapes.items():
        if shape not in made:
            made[shape] = of(shape)
        heaps[made[shape]].append(home)
    return heaps


def _behind_policies(facts: Iterable[Fact]) -> frozenset[str]:
    """Returns the tables with a wall of ours, whether the models still know them or not."""
    return frozenset(fact.table for fact in facts if fact.kind == "policy" and fact.name == POLICY)


def _schema(server: Server, home: Home) -> str:
    if home.kind is HomeKind.SCHEMA or not isinstance(server, PostgresServer):
        return home.physical
    return quote(server.config.common_schema)
