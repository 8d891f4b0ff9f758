"""An application's Alembic revisions as the history of every home."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence

from tenantry.errors import RevisionUnknown
from tenantry.fleet import applying_postgres, applying_sqlite, preview
from tenantry.fleet.applying import must_move
from tenantry.fleet.applying_alembic import apply_through_alembic
from tenantry.fleet.hearsay import lies_ahead
from tenantry.fleet.history import Applied, Pace, Position
from tenantry.fleet.homes import Home, HomeKind, homes_of
from tenantry.fleet.lineage import Lineage
from tenantry.fleet.owners import Owners
from tenantry.fleet.owning import file_of
from tenantry.fleet.reading import read_revisions
from tenantry.fleet.replaying import Renderings
from tenantry.fleet.sites import Site
from tenantry.isolation.postgres import APP, OPERATOR, PLATFORM, PostgresServer
from tenantry.isolation.sqlite import SqliteServer
from tenantry.tenancy import Tenancy


class AlembicHistory:
    """Every home at a revision of the application's own scripts, each with a version table of its own.

    Its connections belong to the threads that use it: those of the calling thread stay open until ``close``.
    """

    name = "alembic"

    def __init__(self, tenancy: Tenancy) -> None:
        self.lineage = Lineage(tenancy)
        self._tenancy = tenancy
        self._owners = Owners()
        self._renderings = Renderings(self.lineage)

    def __repr__(self) -> str:
        return f"AlembicHistory({self.lineage.directory!r})"

    def close(self) -> None:
        """Closes the connections of this thread."""
        self._owners.close()

    def serves(self, home: Home) -> bool:
        """Whether the history is for that home: it is for every one."""
        return True

    def resolve(self, target: str) -> str | None:
        """Returns the one revision that *target* names: head, base, a revision or its beginning, ``head-1``, ``+1``.

        A bare ``+1`` or ``-1`` starts from where the whole fleet stands.

        Raises: MigrationsMissing, RevisionUnknown, SeveralHeads.
        """
        return self.lineage.resolve(target, standing=lambda: self._common_revision(target))

    def position(self, current: str | None, target: str | None) -> Position:
        """Returns where a home at *current* stands, seen from *target*.

        A revision that the scripts do not hold is ahead if the journal tells that a newer program went there from
        *target* or beyond; of any other nobody can know.

        Raises: LoginRequired without a login that reads the journal.
        """
        if self.lineage.knows(current):
            return self.lineage.position(current, target)
        ahead = lies_ahead(self._tenancy, self.lineage, current, target, history=self.name)
        return Position.AHEAD if ahead else Position.DIVERGED

    def steps(self, current: str | None, target: str | None) -> Sequence[str]:
        """Returns the revisions between, in the order in which they are applied or taken back."""
        return self.lineage.steps(current, target)

    def read(self, homes: Sequence[Home]) -> Mapping[Home, str | None]:
        """Returns at which revision each home stands, by one question per server; files are opened one by one.

        Raises: LoginRequired.
        """
        return read_revisions(self._tenancy, homes, self._owners)

    def apply(self, home: Home, target: str | None, *, pace: Pace) -> Applied:
        """Brings one home to *target*, upwards or downwards, each revision whole or not at all.

        Raises: HomeBusy, MigrationFailed, Diverged, OutcomeUnknown.
        """
        site = Site(self._tenancy, home)
        server = site.server
        if isinstance(server, PostgresServer):
            applied = self._apply_postgres(site, server, target, pace)
        else:
            applied = self._apply_sqlite(site, server, target, pace)
        applied = applied or apply_through_alembic(site, self.lineage, target, pace=pace)
        if applied.steps:
            for key in _engines_of(site):
                server.engines.forget(key)
        return applied

    def stamp(self, home: Home, target: str | None) -> Applied:
        """Records a revision without running anything.

        Raises: HomeBusy, MigrationFailed.
        """
        site, pace = Site(self._tenancy, home), Pace()
        server = site.server
        if isinstance(server, SqliteServer):
            with applying_sqlite.Visit(home, file_of(home, server), pace) as file:
                before = file.enter()
                file.stamp(target)
            return Applied(before, target)
        with applying_postgres.visiting(self._owners, home, server, pace) as visit:
            before = visit.enter().revision
            visit.stamp(target)
        return Applied(before, target)

    def sql(self, home: Home, target: str | None) -> str:
        """Returns what ``apply`` would run, for people to read; it reads the home and changes nothing.

        Raises: Diverged.
        """
        site = Site(self._tenancy, home)
        before = self.read([home])[home]
        if not must_move(self.lineage, home, before, target):
            return ""
        server = site.server
        if isinstance(server, PostgresServer):
            return preview.of_postgres(home, server, self._renderings.postgres(site, before, target))
        with applying_sqlite.Visit(home, file_of(home, server), Pace()) as file:
            file.enter()
            found = self._renderings.sqlite(site, before, target, schema=file.schema(), pace=Pace())
            return preview.of_file(found)

    def _apply_postgres(self, site: Site, server: PostgresServer, target: str | None, pace: Pace) -> Applied | None:
        """Returns None where only Alembic itself can do it."""
        with applying_postgres.visiting(self._owners, site.home, server, pace) as visit:
            before = visit.enter().revision
            if must_move(self.lineage, site.home, before, target):
                rendering = self._renderings.postgres(site, before, target)
                if rendering is None:
                    visit.settle()
                    return None
                visit.replay(rendering)
            return visit.tally.report(self.lineage, before, target)

    def _apply_sqlite(self, site: Site, server: SqliteServer, target: str | None, pace: Pace) -> Applied | None:
        """Returns None where only Alembic itself can do it."""
        with applying_sqlite.Visit(site.home, file_of(site.home, server), pace) as file:
            before = file.enter()
            if must_move(self.lineage, site.home, before, target):
                rendering = self._renderings.sqlite(site, before, target, schema=file.schema(), pace=pace)
                if rendering is None:
                    return None
                file.replay(rendering)
            return file.tally.report(self.lineage, before, target)

    def _common_revision(self, target: str) -> str | None:
        """Returns the revision at which every home of the fleet stands.

        Raises: RevisionUnknown where they stand at several.
        """
        found = set(self.read(list(homes_of(self._tenancy))).values())
        if len(found) != 1:
            target = f"{target} of a fleet at {len(found)} revisions"
            raise RevisionUnknown(revision=target, scripts=self.lineage.directory)
        return found.pop()


def _engines_of(site: Site) -> Sequence[Hashable]:
    """Returns the engines of this process whose connections know how a home's tables were: plans, and fences.

    A schema's connections keep no plans (HAZARDS B11).
    """
    home = site.home
    if home.kind is HomeKind.SCHEMA:
        return ()
    if not isinstance(site.server, PostgresServer):
        name = file_of(home, site.server).relative_to(site.server.location).as_posix()
        return name, ("library", name), *(["operator"] if home.kind is HomeKind.COMMON else [])
    if home.kind is HomeKind.DATABASE:
        return (home.physical,)
    return [(login, prepared) for login in (APP, PLATFORM, OPERATOR) for prepared in (True, False)]
