"""A Sqitch project as a history of the fleet: deployed, reverted and verified in every home that it is for."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Final

from tenantry.errors import ConfigurationError, Diverged, RevisionUnknown
from tenantry.fleet.history import Applied, Pace, Position
from tenantry.fleet.homes import Home, HomeKind
from tenantry.fleet.owning import file_of
from tenantry.fleet.sites import Site
from tenantry.fleet.sqitch import verifying, walking
from tenantry.fleet.sqitch.places import Place
from tenantry.fleet.sqitch.plan import Plan
from tenantry.fleet.sqitch.postgres import open_postgres
from tenantry.fleet.sqitch.project import DEPLOY, POSTGRES, REVERT, SQLITE, Project
from tenantry.fleet.sqitch.reading import read_postgres, read_sqlite
from tenantry.fleet.sqitch.registry_postgres import registry_of
from tenantry.fleet.sqitch.sqlite import open_sqlite
from tenantry.isolation.postgres import PostgresServer
from tenantry.isolation.registries import registry_file
from tenantry.isolation.sqlite import SqliteServer
from tenantry.tenancy import Tenancy
from tenantry.types import Finding

BASE: Final = "base"
HEAD: Final = "head"


class SqitchHistory:
    """The history that a folder with ``sqitch.plan``, ``deploy/``, ``revert/`` and ``verify/`` tells.

    Revisions are the ids of changes. The files are read once; make another for what was written since. On SQLite it is
    for tenants' own files: the platform's and the common file come from ``install()``.

    Raises: MigrationsMissing without a plan; PlanInvalid; ConfigurationError where the databases have plans of their
        own.
    """

    name = "sqitch"

    def __init__(self, tenancy: Tenancy, folder: str | Path) -> None:
        self._tenancy = tenancy
        self._folder = Path(folder)
        self._projects = {engine: Project(self._folder, engine) for engine in (POSTGRES, SQLITE)}
        self._refuse_several_plans()

    @cached_property
    def plan(self) -> Plan:
        """The plan."""
        return self._project_of(self._tenancy.servers.main.name).plan

    def serves(self, home: Home) -> bool:
        """Whether the project's scripts are for that home."""
        if isinstance(self._tenancy.servers.get(home.server), PostgresServer):
            return True
        return home.kind is HomeKind.FILE

    def resolve(self, target: str) -> str | None:
        """Returns the id of the change that *target* names: head, base, a name, @tag, name@tag, an id, with ^ and ~.

        Raises: RevisionUnknown, ChangeAmbiguous.
        """
        if target == BASE:
            return None
        if target == HEAD:
            return self.plan.changes[-1].id if self.plan.changes else None
        return self.plan.find(target).id

    def position(self, current: str | None, target: str | None) -> Position:
        """Returns where a home at *current* stands, seen from *target*."""
        if current is not None and self.plan.index(current) is None:
            return Position.DIVERGED
        stands, wanted = self._place(current), self._place(target)
        if stands == wanted:
            return Position.AT
        return Position.BEHIND if stands < wanted else Position.AHEAD

    def steps(self, current: str | None, target: str | None) -> Sequence[str]:
        """Returns the ids of the changes between, in the order in which they are deployed or reverted."""
        return tuple(change.id for change in self.plan.between(self._known(current), self._known(target)))

    def read(self, homes: Sequence[Home]) -> Mapping[Home, str | None]:
        """Returns the newest deployed change of each home that the project is for."""
        served = [home for home in homes if self.serves(home)]
        found: dict[Home, str | None] = {}
        for server in self._tenancy.servers.all():
            here = [home for home in served if home.server == server.name]
            project = self._project_of(server.name)
            if isinstance(server, PostgresServer):
                found |= read_postgres(server, project, here)
            else:
                found |= read_sqlite(server, project, here)
        return found

    def apply(self, home: Home, target: str | None, *, pace: Pace) -> Applied:
        """Brings one home to *target*, upwards by deploy scripts, downwards by revert scripts.

        Each change and its record stand or fall together where its script is one transaction on PostgreSQL. Elsewhere a
        run that dies between the two leaves a note: the next one has the change's verify script say whether it stands,
        records it if so, and runs it again if not.

        Raises: HomeBusy, MigrationFailed (ChangeUnmet, ChangeUnproven, WallMissing), Diverged, ScriptRefused,
            OutcomeUnknown where the connection was lost, ConfigurationError for a home it is not for.
        """
        self._known(target)
        with self._opened(home, pace) as place:
            return walking.walk(place, target)

    def stamp(self, home: Home, target: str | None) -> Applied:
        """Records a change, with all before it and none after it, without running anything.

        Raises: HomeBusy, ConfigurationError for a home the project is not for.
        """
        self._known(target)
        with self._opened(home, Pace()) as place:
            return walking.stamp(place, target)

    def sql(self, home: Home, target: str | None) -> str:
        """Returns the scripts that ``apply`` would run now, for people to read.

        Raises: ScriptRefused, Diverged.
        """
        current, wanted = self.read([home]).get(home), self._known(target)
        position = self.position(current, wanted)
        if position is Position.DIVERGED:
            raise Diverged(home=home, current=current, target=target)
        kind = REVERT if position is Position.AHEAD else DEPLOY
        project, registry = self._project_of(home.server), self.registry(home)
        scripts = [
            f"-- {kind} {change.qualified}\n{project.script(change, kind, registry=registry).text}\n"
            for change in self.plan.between(current, target)
        ]
        return "\n".join(scripts)

    def verify(self, home: Home, *, pace: Pace | None = None) -> list[Finding]:
        """Runs the verify scripts of everything deployed in a home and returns what is wrong.

        Raises: HomeBusy, ConfigurationError for a home the project is not for.
        """
        with self._opened(home, pace or Pace()) as place:
            return verifying.verify(place)

    def registry(self, home: Home) -> str:
        """Returns what to pass to ``sqitch --registry`` for a home."""
        server, project = self._tenancy.servers.get(home.server), self._project_of(home.server)
        if isinstance(server, SqliteServer):
            return registry_file(file_of(home, server)).name
        return registry_of(project, home)

    @contextlib.contextmanager
    def _opened(self, home: Home, pace: Pace) -> Iterator[Place]:
        if not self.serves(home):
            raise ConfigurationError(
                what=f"A Sqitch project is not for {home}: common tables in SQLite bear names that no script knows.",
                fix="Give the tenants files of their own, or keep them on PostgreSQL.",
            )
        server, site = self._tenancy.servers.get(home.server), Site(self._tenancy, home)
        project = self._project_of(home.server)
        if isinstance(server, PostgresServer):
            with open_postgres(site, server, project, pace) as client:
                yield Place(site, project, client, pace)
        else:
            with open_sqlite(site, file_of(home, server), project, pace) as file:
                yield Place(site, project, file, pace)

    def _project_of(self, server: str) -> Project:
        return self._projects[SQLITE if isinstance(self._tenancy.servers.get(server), SqliteServer) else POSTGRES]

    def _refuse_several_plans(self) -> None:
        engines = {self._project_of(server.name).engine for server in self._tenancy.servers.all()}
        if len({self._projects[engine].plan_file for engine in engines}) > 1:
            raise ConfigurationError(
                what=f"{self._folder} has one plan for PostgreSQL and another for SQLite.",
                fix="Share one plan (core.plan_file), with scripts in directories for each.",
            )

    def _known(self, revision: str | None) -> str | None:
        if revision is not None and self.plan.index(revision) is None:
            raise RevisionUnknown(revision=revision, scripts=self._folder)
        return revision

    def _place(self, revision: str | None) -> int:
        position = -1 if revision is None else self.plan.index(revision)
        if position is None:
            raise RevisionUnknown(revision=revision, scripts=self._folder)
        return position
