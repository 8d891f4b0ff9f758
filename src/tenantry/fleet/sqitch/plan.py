"""A Sqitch plan as values: changes in order, their dependencies and tags, and what a name in the plan stands for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

from tenantry.errors import ChangeAmbiguous, RevisionUnknown
from tenantry.fleet.sqitch.names import PUNCTUATION

_OFFSET: Final = re.compile(rf"(?<![{PUNCTUATION}])([~^])(?:(\1)|([0-9]+))?\Z")
_BEGINNING_OF_ID: Final = re.compile(r"[0-9a-f]{6,39}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Dependency:
    """What a change needs, or what it cannot stand beside: a change, a change as of a tag, a tag, or an id."""

    conflicts: bool
    project: str | None = None
    change: str | None = None
    tag: str | None = None
    id: str | None = None

    @property
    def kind(self) -> str:
        """How the registry calls it."""
        return "conflict" if self.conflicts else "require"

    @property
    def key(self) -> str:
        """The name within its project."""
        return self.id or (self.change or "") + (f"@{self.tag}" if self.tag else "")

    def is_of(self, project: str) -> bool:
        """Whether it names something of *project*."""
        return self.project in (None, project)

    def text(self, project: str) -> str:
        """Returns it as written in ids and registries: a foreign project in front, the own one left out."""
        return self.key if self.is_of(project) else f"{self.project}:{self.key}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tag:
    """A name for the state after a change."""

    id: str
    name: str
    note: str
    planned_at: str
    planner_name: str
    planner_email: str

    def __str__(self) -> str:
        return f"@{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One change of a plan; *reworked_at* are the tags before a later change of the same name."""

    id: str
    name: str
    note: str
    planned_at: str
    planner_name: str
    planner_email: str
    line: int
    requires: tuple[Dependency, ...] = ()
    conflicts: tuple[Dependency, ...] = ()
    tags: tuple[Tag, ...] = ()
    reworked_at: tuple[str, ...] = ()

    def __str__(self) -> str:
        return " ".join([self.name, *map(str, self.tags)])

    @property
    def qualified(self) -> str:
        """The name that no other change of the plan has."""
        tags = [tag.name for tag in self.tags] or list(self.reworked_at) or ["HEAD"]
        return f"{self.name}@{tags[0]}"


@dataclass(frozen=True)
class Plan:
    """A whole plan; *uri* is as the registry holds it."""

    file: Path
    project: str
    uri: str | None
    changes: tuple[Change, ...]

    def find(self, name: str) -> Change:
        """Returns the one change that *name* stands for: a name, a tag, both, an id or its beginning, with ^ and ~.

        Raises: RevisionUnknown, ChangeAmbiguous.
        """
        offset, key = _split_offset(name)
        position = self._position(key) + offset
        if not 0 <= position < len(self.changes):
            raise RevisionUnknown(revision=name, scripts=self.file)
        return self.changes[position]

    def first(self, dependency: Dependency) -> Change | None:
        """Returns the change of this plan that a dependency means: the first of its name, where no tag says which."""
        if not dependency.is_of(self.project):
            return None
        named = [] if dependency.change is None or dependency.tag else self._named.get(dependency.change, [])
        if named:
            return self.changes[named[0]]
        try:
            return self.find(dependency.key)
        except RevisionUnknown:
            return None

    def index(self, change_id: str) -> int | None:
        """Returns the place of a change in the plan, counted from nought, or None."""
        return self._by_id.get(change_id)

    def between(self, current: str | None, target: str | None) -> Sequence[Change]:
        """Returns what to apply from one id to another, or to take back, in that order; both stand in the plan."""
        start, end = self._after(current), self._after(target)
        return self.changes[start:end] if start <= end else self.changes[end:start][::-1]

    def _after(self, change_id: str | None) -> int:
        return 0 if change_id is None else self._by_id[change_id] + 1

    def _position(self, key: str) -> int:
        name, at, tag = key.partition("@")
        if not at:
            return self._of_name(key)
        if not name:
            return self._of_tag(tag)
        limit = self._of_tag(tag)
        earlier = [position for position in self._named.get(name, []) if position <= limit]
        return earlier[-1] if earlier else self._unknown(key)

    def _of_tag(self, tag: str) -> int:
        if tag == "ROOT" and self.changes:
            return 0
        if tag == "HEAD":
            return len(self.changes) - 1
        return self._tags.get(tag, -1) if tag in self._tags else self._unknown(f"@{tag}")

    def _of_name(self, key: str) -> int:
        if key in ("HEAD", "ROOT"):
            return self._of_tag(key)
        named = self._named.get(key) or self._with_id(key)
        if len(named) > 1:
            candidates = ", ".join(self.changes[position].qualified for position in reversed(named))
            raise ChangeAmbiguous(revision=key, scripts=self.file, candidates=candidates)
        return named[0] if named else self._unknown(key)

    def _with_id(self, key: str) -> list[int]:
        if not _BEGINNING_OF_ID.fullmatch(key):
            return [self._by_id[key]] if key in self._by_id else []
        return [position for change_id, position in self._by_id.items() if change_id.startswith(key)]

    def _unknown(self, key: str) -> int:
        raise RevisionUnknown(revision=key, scripts=self.file)

    @cached_property
    def _by_id(self) -> dict[str, int]:
        return {change.id: position for position, change in enumerate(self.changes)}

    @cached_property
    def _tags(self) -> dict[str, int]:
        return {tag.name: position for position, change in enumerate(self.changes) for tag in change.tags}

    @cached_property
    def _named(self) -> dict[str, list[int]]:
        return _positions(self.changes)


def _positions(changes: Iterable[Change]) -> dict[str, list[int]]:
    positions: dict[str, list[int]] = {}
    for position, change in enumerate(changes):
        positions.setdefault(change.name, []).append(position)
    return positions


def _split_offset(name: str) -> tuple[int, str]:
    match = _OFFSET.search(name)
    if match is None:
        return 0, name
    steps = int(match[3] or (2 if match[2] else 1))
    return (-steps if match[1] == "^" else steps), name[: match.start()]


def dependencies(change: Change) -> Iterator[Dependency]:
    """Yields what a change requires, then what it conflicts with."""
    yield from change.requires
    yield from change.conflicts
