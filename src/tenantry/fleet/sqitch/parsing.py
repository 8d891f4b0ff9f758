"""Reading a Sqitch plan: what is wrong is said with its line, and what the `sqitch` command refuses is refused."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final, NoReturn, TypedDict

from tenantry.errors import PlanInvalid
from tenantry.fleet.sqitch.identity import Owner, Written, canonical_uri, change_id, escape_uri, tag_id
from tenantry.fleet.sqitch.names import (
    ANY_DATE,
    BLANK,
    DEPENDENCY,
    LIKE_ID,
    LINE,
    NAME_RULE,
    PRAGMA,
    RESERVED,
    WHOLE_NAME,
)
from tenantry.fleet.sqitch.plan import Change, Dependency, Plan, Tag

_REMARK: Final = re.compile(rf"[{BLANK}]*(?:#[{BLANK}]*(?P<note>.+)|\Z)")
_ESCAPE: Final = re.compile(r"\\[\\nr]")
_ESCAPES: Final = {r"\\": "\\", r"\n": "\n", r"\r": "\r"}
_BLANKS: Final = re.compile(rf"[{BLANK}]+")
_TRAILING: Final = re.compile(rf"[{BLANK}]+\Z")


def read_plan(file: Path) -> Plan:
    """Returns the plan in *file*.

    Raises: PlanInvalid with the line, FileNotFoundError.
    """
    return parse_plan(file.read_bytes(), file)


def parse_plan(content: bytes, file: Path) -> Plan:
    """Returns the plan that *content* holds; *file* is what errors call it.

    Raises: PlanInvalid with the line.
    """
    return _Reader(file).read(content)


class _Planned(TypedDict):
    """What changes and tags have in common."""

    name: str
    note: str
    planned_at: str
    planner_name: str
    planner_email: str


class _Reader:
    """One reading of one plan."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._line = 0
        self._pragmas: dict[str, str] = {}
        self._owner = Owner("", None)
        self._changes: list[Change] = []
        # Lines of names and @tags before the newest tag, and of names since.
        self._before: dict[str, int] = {}
        self._since: dict[str, int] = {}

    def read(self, content: bytes) -> Plan:
        lines = iter(self._lines(content))
        self._read_pragmas(lines)
        project = self._project()
        written = self._pragmas.get("uri")
        stored = self._uri_of(written) if written else None
        self._owner = Owner(project, canonical_uri(stored) if stored else None)
        for line in lines:
            if not _REMARK.fullmatch(line):
                self._read_line(*_split_note(line))
        return Plan(self._file, project, stored, tuple(self._changes))

    def _lines(self, content: bytes) -> Iterator[str]:
        try:
            written = content.decode().split("\n")
        except UnicodeDecodeError as error:
            self._line = content.count(b"\n", 0, error.start) + 1
            self._refuse("This is not UTF-8.")
        last = written.pop()
        for number, line in enumerate(written, 1):
            self._line = number
            yield line.removesuffix("\r")
        if last:
            self._line = len(written) + 1
            yield last

    def _refuse(self, reason: str) -> NoReturn:
        raise PlanInvalid(file=self._file, line=self._line, reason=reason)

    def _read_pragmas(self, lines: Iterator[str]) -> None:
        for line in lines:
            remark = _REMARK.fullmatch(line)
            # To Perl a remark of "0" is none, so that it ends the pragmas as a blank line does.
            if remark and (remark["note"] or "").strip() in ("", "0"):
                return
            if not remark:
                self._read_pragma(_split_note(line)[0])

    def _read_pragma(self, line: str) -> None:
        match = PRAGMA.match(line)
        if match is None:
            self._refuse("Only pragmas (%name=value) stand before the first blank line.")
        name, value = match["name"], match["value"]
        if name == "project" and not WHOLE_NAME.match(value or ""):
            self._refuse(f"{value or ''!r} cannot be a project's name. {NAME_RULE}")
        self._pragmas[name] = "1" if value is None else value

    def _project(self) -> str:
        project = self._pragmas.get("project")
        if not project or project == "0":
            self._line = max(self._line, 1)
            self._refuse("The pragma %project=name is missing above the first blank line.")
        return project

    def _uri_of(self, written: str) -> str:
        try:
            return escape_uri(written.strip())
        except ValueError as error:
            self._refuse(f"%uri={written}: {error}")

    def _read_line(self, line: str, note: str) -> None:
        match = LINE.match(line)
        name = match["name"] if match else ""
        if match is None or name == "0" or (not match["date"] and ANY_DATE.search(line)):
            self._refuse(f"There is no usable name here. {NAME_RULE}")
        if not match["date"] or not match["planner_name"]:
            self._refuse("The date (2024-01-02T03:04:05Z) or the planner (Name <email>) is missing.")
        if name in RESERVED:
            self._refuse(f"{name} is reserved.")
        if LIKE_ID.match(name):
            self._refuse(f"{name} would be taken for an id.")
        self._check_date(match["date"])
        written = Written(name, match["date"], match["planner_name"], match["planner_email"], note)
        add = self._add_tag if match["at"] else self._add_change
        add(written, match["dependencies"])

    def _check_date(self, date: str) -> None:
        try:
            datetime.datetime.fromisoformat(date)
        except ValueError as error:
            self._refuse(f"{date} is no date: {error}.")

    def _add_tag(self, written: Written, dependencies: str | None) -> None:
        name = written.name
        if "/" in name:
            self._refuse(f"The tag @{name} holds a '/'.")
        if not self._changes:
            self._refuse(f"The tag @{name} stands before any change.")
        if f"@{name}" in self._before:
            self._refuse(f"The tag @{name} stands already in line {self._before[f'@{name}']}.")
        if dependencies:
            self._refuse(f"The tag @{name} has dependencies, which only changes can have.")
        self._before |= {**self._since, f"@{name}": self._line}
        self._since = {}
        change = self._changes[-1]
        tag = Tag(id=tag_id(self._owner, written, change=change.id), **_planned(written))
        self._changes[-1] = replace(change, tags=(*change.tags, tag))

    def _add_change(self, written: Written, dependencies: str | None) -> None:
        name = written.name
        if name in self._since:
            self._refuse(f"The change {name} stands already in line {self._since[name]}, with no tag between.")
        named = list(self._dependencies(dependencies))
        requires = tuple(dependency for dependency in named if not dependency.conflicts)
        conflicts = tuple(dependency for dependency in named if dependency.conflicts)
        self._check_required(name, requires)
        parent = self._changes[-1].id if self._changes else None
        found = change_id(self._owner, written, parent=parent, requires=requires, conflicts=conflicts)
        self._mark_reworked(name)
        self._since[name] = self._line
        self._changes.append(
            Change(id=found, line=self._line, requires=requires, conflicts=conflicts, **_planned(written))
        )

    def _dependencies(self, written: str | None) -> Iterator[Dependency]:
        seen = set()
        for text in _BLANKS.split(written) if written else ():
            match = DEPENDENCY.match(text)
            if match is None:
                self._refuse(f"{text!r} is no dependency. Write name, name@tag, @tag or project:name, '!' before it.")
            if text in seen:
                self._refuse(f"The dependency {text} stands twice.")
            seen.add(text)
            yield Dependency(
                conflicts=bool(match["conflicts"]),
                project=match["project"],
                change=match["change"],
                tag=match["tag"] or match["lone_tag"],
                id=match["id"],
            )

    def _check_required(self, name: str, requires: Iterable[Dependency]) -> None:
        for dependency in requires:
            if not dependency.is_of(self._owner.project) or (dependency.id and not dependency.project):
                continue
            if dependency.key == name and name not in self._before:
                self._refuse(f"The change {name} requires itself.")
            if not self._is_planned(dependency):
                self._refuse(f"The change {name} requires {dependency.key}, which does not stand above it.")

    def _is_planned(self, dependency: Dependency) -> bool:
        if not (dependency.change and dependency.tag):
            return dependency.key in self._before or dependency.key in self._since
        tag = self._before.get(f"@{dependency.tag}", 0)
        # By the newest line of the name: what was reworked since cannot be required as of an older tag.
        return self._before.get(dependency.change, tag) < tag

    def _mark_reworked(self, name: str) -> None:
        tags: list[str] = []
        for place, earlier in reversed([*enumerate(self._changes)]):
            tags += [tag.name for tag in earlier.tags]
            if earlier.name == name:
                self._changes[place] = replace(earlier, reworked_at=tuple(tags))
                return


def _split_note(line: str) -> tuple[str, str]:
    """Returns a line without its remark, and the remark with its escapes read."""
    before, _, note = line.partition("#")
    return _TRAILING.sub("", before), _ESCAPE.sub(lambda match: _ESCAPES[match[0]], note.strip())


def _planned(written: Written) -> _Planned:
    return {
        "name": written.name,
        "note": written.note,
        "planned_at": written.date,
        "planner_name": written.planner_name,
        "planner_email": written.planner_email,
    }
