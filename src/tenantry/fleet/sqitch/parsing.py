"""Reading a Sqitch plan: what is wrong is said with its line, and what the `sqitch` command refuses is refused."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NoReturn

from tenantry.errors import PlanInvalid
from tenantry.fleet.sqitch.identity import canonical_uri, change_id, escape_uri, tag_id
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


@dataclass
class _Draft:
    """A change whose tags are still being read."""

    name: str
    line: int
    date: str
    planner: tuple[str, str]
    note: str
    requires: list[Dependency]
    conflicts: list[Dependency]
    id: str = ""
    tags: list[Tag] = field(default_factory=list)
    reworked_at: list[str] = field(default_factory=list)

    def change(self) -> Change:
        return Change(
            id=self.id,
            name=self.name,
            note=self.note,
            planned_at=self.date,
            planner_name=self.planner[0],
            planner_email=self.planner[1],
            line=self.line,
            requires=tuple(self.requires),
            conflicts=tuple(self.conflicts),
            tags=tuple(self.tags),
            reworked_at=tuple(self.reworked_at),
        )


class _Reader:
    """One reading of one plan."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._line = 0
        self._pragmas: dict[str, str] = {}
        self._uri: str | None = None
        self._drafts: list[_Draft] = []
        # Lines of names and @tags before the newest tag, and of names since.
        self._before: dict[str, int] = {}
        self._since: dict[str, int] = {}

    def read(self, content: bytes) -> Plan:
        lines = iter(self._lines(content))
        self._read_pragmas(lines)
        project = self._project()
        written = self._pragmas.get("uri")
        stored = self._uri_of(written) if written else None
        self._uri = canonical_uri(stored) if stored else None
        for line in lines:
            if not _REMARK.fullmatch(line):
                self._read_line(project, *_split_note(line))
        return Plan(self._file, project, stored, tuple(draft.change() for draft in self._drafts))

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

    def _read_line(self, project: str, line: str, note: str) -> None:
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
        if match["at"]:
            self._add_tag(project, match, note)
        else:
            self._add_change(project, match, note)

    def _check_date(self, date: str) -> None:
        try:
            datetime.datetime.fromisoformat(date)
        except ValueError as error:
            self._refuse(f"{date} is no date: {error}.")

    def _add_tag(self, project: str, match: re.Match[str], note: str) -> None:
        name, planner = match["name"], (match["planner_name"], match["planner_email"])
        if "/" in name:
            self._refuse(f"The tag @{name} holds a '/'.")
        if not self._drafts:
            self._refuse(f"The tag @{name} stands before any change.")
        if f"@{name}" in self._before:
            self._refuse(f"The tag @{name} stands already in line {self._before[f'@{name}']}.")
        if match["dependencies"]:
            self._refuse(f"The tag @{name} has dependencies, which only changes can have.")
        self._before |= {**self._since, f"@{name}": self._line}
        self._since = {}
        draft = self._drafts[-1]
        found = tag_id(
            project=project,
            uri=self._uri,
            name=name,
            change=draft.id,
            planner=_planner(planner),
            date=match["date"],
            note=note,
        )
        draft.tags.append(
            Tag(
                id=found,
                name=name,
                note=note,
                planned_at=match["date"],
                planner_name=planner[0],
                planner_email=planner[1],
            )
        )

    def _add_change(self, project: str, match: re.Match[str], note: str) -> None:
        name = match["name"]
        if name in self._since:
            self._refuse(f"The change {name} stands already in line {self._since[name]}, with no tag between.")
        draft = _Draft(name, self._line, match["date"], (match["planner_name"], match["planner_email"]), note, [], [])
        for dependency in self._dependencies(match["dependencies"]):
            (draft.conflicts if dependency.conflicts else draft.requires).append(dependency)
        self._check_required(project, draft)
        draft.id = change_id(
            project=project,
            uri=self._uri,
            name=name,
            parent=self._drafts[-1].id if self._drafts else None,
            planner=_planner(draft.planner),
            date=draft.date,
            requires=draft.requires,
            conflicts=draft.conflicts,
            note=note,
        )
        self._mark_reworked(name)
        self._since[name] = self._line
        self._drafts.append(draft)

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

    def _check_required(self, project: str, draft: _Draft) -> None:
        for dependency in draft.requires:
            if not dependency.is_of(project) or (dependency.id and not dependency.project):
                continue
            if dependency.key == draft.name and draft.name not in self._before:
                self._refuse(f"The change {draft.name} requires itself.")
            if not self._is_planned(dependency):
                self._refuse(f"The change {draft.name} requires {dependency.key}, which does not stand above it.")

    def _is_planned(self, dependency: Dependency) -> bool:
        if not (dependency.change and dependency.tag):
            return dependency.key in self._before or dependency.key in self._since
        tag = self._before.get(f"@{dependency.tag}", 0)
        # By the newest line of the name: what was reworked since cannot be required as of an older tag.
        return self._before.get(dependency.change, tag) < tag

    def _mark_reworked(self, name: str) -> None:
        tags: list[str] = []
        for earlier in reversed(self._drafts):
            tags += [tag.name for tag in earlier.tags]
            if earlier.name == name:
                earlier.reworked_at += tags
                return


def _split_note(line: str) -> tuple[str, str]:
    """Returns a line without its remark, and the remark with its escapes read."""
    before, _, note = line.partition("#")
    return _TRAILING.sub("", before), _ESCAPE.sub(lambda match: _ESCAPES[match[0]], note.strip())


def _planner(planner: tuple[str, str]) -> str:
    return f"{planner[0]} <{planner[1]}>"
