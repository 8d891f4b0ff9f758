"""Sqitch's record of what is deployed in one home: its tables of version 1.1, as `sqitch` reads and continues them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from tenantry.fleet.sqitch.plan import Change, Dependency, Plan, Tag, dependencies
from tenantry.fleet.sqitch.project import Committer, Project

VERSION: Final = 1.1
_EVENT_COLUMNS: Final = (
    "event, change_id, change, tags, requires, conflicts, project, note, committer_name, committer_email, "
    "planned_at, planner_name, planner_email, committed_at"
)


@dataclass(frozen=True, slots=True)
class Requiring:
    """A deployed change that another one leans on."""

    change_id: str
    project: str
    name: str


@dataclass(frozen=True, slots=True)
class Unfinished:
    """What a run that died may have deployed or reverted without recording it."""

    kind: str
    change_id: str


class Registry(ABC):
    """The registry of one home; who uses it holds the home's lock and decides about transactions."""

    # How values are left out of a statement, and how the present moment is spelled.
    mark: ClassVar[str]
    moment: ClassVar[str]

    def __init__(self, project: Project, *, prefix: str) -> None:
        self._plan: Plan = project.plan
        self._project = project
        self._committer: Committer = project.committer
        self._prefix = prefix

    @abstractmethod
    def exists(self) -> bool:
        """Whether the registry is there."""

    @abstractmethod
    def create(self) -> None:
        """Makes the registry, for the owner alone."""

    @abstractmethod
    def unfinished(self) -> Unfinished | None:
        """Returns what was noted and not forgotten."""

    @abstractmethod
    def note_unfinished(self, note: Unfinished) -> None:
        """Notes, durably, what is about to be run apart from its record."""

    @abstractmethod
    def forget_unfinished(self) -> None:
        """Takes the note back, where there is one."""

    @abstractmethod
    def _rows(self, statement: str, values: Sequence[object] = ()) -> list[Any]:
        """Returns the rows a statement answers with."""

    @abstractmethod
    def _run(self, statement: str, values: Sequence[object] = ()) -> None:
        """Runs a statement that answers with no rows."""

    @abstractmethod
    def _time(self, planned_at: str) -> object:
        """Returns a plan's date as the registry holds it."""

    @abstractmethod
    def _many(self, names: Iterable[str], *, separator: str = ",") -> object:
        """Returns names as the registry holds several; on SQLite with *separator* between them."""

    def complaint(self) -> str | None:
        """Returns why this project cannot go on with this registry, or None."""
        ((version,),) = self._rows(f"SELECT max(version) FROM {self._prefix}releases")
        if version is None or round(float(version), 1) != VERSION:
            return f"The registry is of version {version}, and only {VERSION} is known here. Run `sqitch upgrade`."
        rows = self._rows(f"SELECT project, uri FROM {self._prefix}projects")
        known = dict(rows)
        if self._plan.project in known and known[self._plan.project] != self._plan.uri:
            uri = known[self._plan.project]
            return f"The registry knows the project {self._plan.project} with the URI {uri}, not {self._plan.uri}."
        if self._plan.project not in known and self._plan.uri and self._plan.uri in known.values():
            return f"The registry knows another project with the URI {self._plan.uri}."
        return None

    def deployed(self) -> dict[str, str | None]:
        """Returns the ids of the project's deployed changes, the oldest first, each with the hash of its script."""
        question = f"SELECT change_id, script_hash FROM {self._prefix}changes WHERE project = {self.mark}"
        return dict(self._rows(f"{question} ORDER BY committed_at", [self._plan.project]))

    def has_events(self) -> bool:
        """Whether anything of the project was ever deployed here, or tried."""
        question = f"SELECT 1 FROM {self._prefix}events WHERE project = {self.mark} LIMIT 1"
        return self._one(question, [self._plan.project]) is not None

    def find(self, dependency: Dependency) -> str | None:
        """Returns the id of the deployed change that a dependency means, or None."""
        planned = self._plan.first(dependency)
        wanted = planned.id if planned else dependency.id
        if wanted is not None:
            return self._one(f"SELECT change_id FROM {self._prefix}changes WHERE change_id = {self.mark}", [wanted])
        project = dependency.project or self._plan.project
        if dependency.change is None:
            question = f"SELECT change_id FROM {self._prefix}tags WHERE project = {self.mark} AND tag = {self.mark}"
            return self._one(question, [project, f"@{dependency.tag}"])
        if dependency.tag is None:
            question = (
                f"SELECT change_id FROM {self._prefix}changes WHERE project = {self.mark} AND change = {self.mark} "
                "ORDER BY committed_at LIMIT 1"
            )
            return self._one(question, [project, dependency.change])
        question = (
            f"SELECT c.change_id FROM {self._prefix}changes c JOIN {self._prefix}tags t "
            "ON c.committed_at <= t.committed_at AND c.project = t.project "
            f"WHERE c.project = {self.mark} AND c.change = {self.mark} AND t.tag = {self.mark} "
            "ORDER BY c.committed_at DESC LIMIT 1"
        )
        return self._one(question, [project, dependency.change, f"@{dependency.tag}"])

    def requiring(self, change: Change) -> list[Requiring]:
        """Returns the deployed changes, of any project, that require *change*."""
        question = (
            f"SELECT c.change_id, c.project, c.change FROM {self._prefix}dependencies d "
            f"JOIN {self._prefix}changes c ON c.change_id = d.change_id WHERE d.dependency_id = {self.mark}"
        )
        return [Requiring(*row) for row in self._rows(question, [change.id])]

    def _record_release(self) -> None:
        """Records that the registry was made, and for which version."""
        columns = "version, installer_name, installer_email, installed_at"
        self._insert("releases", columns, [VERSION, self._committer.name, self._committer.email])

    def register_project(self) -> None:
        """Makes the project known to the registry, where it is not."""
        question = f"SELECT 1 FROM {self._prefix}projects WHERE project = {self.mark}"
        if self._one(question, [self._plan.project]) is None:
            values = [self._plan.project, self._plan.uri, self._committer.name, self._committer.email]
            self._insert("projects", "project, uri, creator_name, creator_email, created_at", values)

    def record_deploy(self, change: Change) -> None:
        """Records that a change is deployed."""
        digest = self._project.digest(change)
        columns = (
            "change_id, script_hash, change, project, note, committer_name, committer_email, "
            "planned_at, planner_name, planner_email, committed_at"
        )
        self._insert("changes", columns, [change.id, digest, change.name, *self._common(change)])
        for dependency in dependencies(change):
            resolved = None if dependency.conflicts else self.find(dependency)
            row = [change.id, dependency.kind, dependency.text(self._plan.project), resolved]
            self._insert("dependencies", "change_id, type, dependency, dependency_id", row, timed=False)
        self.record_tags(change)
        self._record_event("deploy", change)

    def record_tags(self, change: Change) -> None:
        """Records the tags of a deployed change that are not recorded yet."""
        columns = (
            "tag_id, tag, change_id, project, note, committer_name, committer_email, "
            "planned_at, planner_name, planner_email, committed_at"
        )
        for tag in change.tags:
            if self._one(f"SELECT 1 FROM {self._prefix}tags WHERE tag_id = {self.mark}", [tag.id]) is None:
                self._insert("tags", columns, [tag.id, str(tag), change.id, *self._common(tag)])

    def record_failure(self, change: Change) -> None:
        """Records that deploying a change failed."""
        self._record_event("fail", change)

    def record_revert(self, change_id: str) -> None:
        """Records that a deployed change is taken back, be it still planned or not."""
        about = "change, note, planned_at, planner_name, planner_email"
        ((name, note, *planned),) = self._rows(
            f"SELECT {about} FROM {self._prefix}changes WHERE change_id = {self.mark}", [change_id]
        )
        leaning = "SELECT dependency FROM {}dependencies WHERE change_id = {} AND type = "
        tags = self._names("SELECT tag FROM {}tags WHERE change_id = {}", change_id)
        requires = self._names(f"{leaning}'require'", change_id)
        conflicts = self._names(f"{leaning}'conflict'", change_id)
        for table in ("tags", "dependencies", "changes"):
            self._run(f"DELETE FROM {self._prefix}{table} WHERE change_id = {self.mark}", [change_id])
        named = [self._many(names) for names in (tags, requires, conflicts)]
        committed = [self._plan.project, note, self._committer.name, self._committer.email]
        self._insert("events", _EVENT_COLUMNS, ["revert", change_id, name, *named, *committed, *planned])

    def _record_event(self, event: str, change: Change) -> None:
        project = self._plan.project
        requires = self._many(dependency.text(project) for dependency in change.requires)
        conflicts = self._many(dependency.text(project) for dependency in change.conflicts)
        tags = self._many(map(str, change.tags), separator=" ")
        values = [event, change.id, change.name, tags, requires, conflicts, *self._common(change)]
        self._insert("events", _EVENT_COLUMNS, values)

    def _common(self, planned: Change | Tag) -> list[object]:
        return [
            self._plan.project,
            planned.note,
            self._committer.name,
            self._committer.email,
            self._time(planned.planned_at),
            planned.planner_name,
            planned.planner_email,
        ]

    def _insert(self, table: str, columns: str, values: Sequence[object], *, timed: bool = True) -> None:
        marks = ", ".join([*[self.mark] * len(values), *([self.moment] if timed else ())])
        self._run(f"INSERT INTO {self._prefix}{table} ({columns}) VALUES ({marks})", values)

    def _one(self, question: str, values: Sequence[object]) -> str | None:
        rows = self._rows(question, values)
        return str(rows[0][0]) if rows else None

    def _names(self, question: str, change_id: str) -> list[str]:
        return [name for (name,) in self._rows(question.format(self._prefix, self.mark), [change_id])]
