"""The shape of a home's schema as facts that people can read and a digest that machines compare."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from tenantry.isolation.fencing_names import is_of_fence
from tenantry.isolation.marks import NOTING
from tenantry.isolation.searching import is_of_search
from tenantry.isolation.stamps import VERSION_TABLE

# What migrations keep in a home for themselves, tables and functions: no part of its shape.
BOOKKEEPING: Final = frozenset({VERSION_TABLE, NOTING})

SCHEMA: Final = "schema"
TABLE: Final = "table"
COLUMN: Final = "column"

Key = tuple[str, str, str]


@dataclass(frozen=True, slots=True, order=True)
class Fact:
    """One thing that is so: the table it belongs to, what kind of thing it is, its name there, and what it is like.

    *table* is empty for what belongs to no table, *name* for the table itself.
    """

    table: str
    kind: str
    name: str
    text: str

    def __str__(self) -> str:
        if self.kind == COLUMN:
            return f"{self.table}.{self.name}"
        return " ".join(filter(None, [self.kind, self.name, "of" if self.name and self.table else "", self.table]))

    @property
    def key(self) -> Key:
        """What tells it from every other fact of the same home."""
        return self.table, self.kind, self.name


@dataclass(frozen=True)
class Fingerprint:
    """A schema's shape: equal for two homes of one shape, wherever they stand and however they came about."""

    facts: frozenset[Fact]

    @classmethod
    def of(cls, facts: Iterable[Fact]) -> Fingerprint:
        """Returns the fingerprint of *facts*, without those of what migrations, fences and searches keep there."""
        return cls(frozenset(fact for fact in facts if not _keeps_books(fact)))

    @cached_property
    def digest(self) -> str:
        """A short text that is the same for the same facts."""
        lines = "\n".join("\t".join((*fact.key, fact.text)) for fact in sorted(self.facts))
        return hashlib.sha256(lines.encode()).hexdigest()[:32]

    def only(self, wanted: Callable[[Fact], bool]) -> Fingerprint:
        """Returns the part of it that *wanted* says yes to."""
        return Fingerprint(frozenset(filter(wanted, self.facts)))


def _keeps_books(fact: Fact) -> bool:
    fenced = is_of_fence(fact.table) or is_of_fence(fact.name)
    # What a search needs is derived from the models; the doctor compares it.
    return fact.table in BOOKKEEPING or fenced or is_of_search(fact.name)


def differences(a: Fingerprint, b: Fingerprint, *, here: str = "here", there: str = "in the models") -> list[str]:
    """Returns what differs, a sentence each: ``tickets.priority: text not null here, text null in the models``.

    Of a table that stands on one side only nothing else is said.
    """
    left, right = _by_key(a), _by_key(b)
    tables = {key[0] for key in left.keys() ^ right.keys() if key[1] == TABLE}
    apart = sorted(key for key in left.keys() | right.keys() if left.get(key) != right.get(key))
    told = [key for key in apart if key[1] == TABLE or key[0] not in tables]
    return [_sentence(left.get(key), right.get(key), here=here, there=there) for key in told]


def _by_key(fingerprint: Fingerprint) -> dict[Key, Fact]:
    return {fact.key: fact for fact in fingerprint.facts}


def _sentence(a: Fact | None, b: Fact | None, *, here: str, there: str) -> str:
    if a and b:
        return f"{a}: {a.text} {here}, {b.text} {there}"
    if a:
        return f"{a}: {_described(a)}{here}, not {there}"
    assert b is not None  # noqa: S101  # a key comes from one of the two
    return f"{b}: {_described(b)}{there}, not {here}"


def _described(fact: Fact) -> str:
    return "" if fact.kind == TABLE or not fact.text else f"{fact.text} "
