"""The plain `alembic` command, each of its verbs, in a project as `init` makes it."""

from __future__ import annotations

import contextlib
import os
import runpy
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from tenantry import Tenancy
from tenantry.errors import ServerUnknown, TenantNotFound
from tenantry.fleet import revisions
from tenantry.fleet.environment import chosen_homes
from tenantry.fleet.owning import owner_engine

from .places import Place, PostgresPlace

PROGRAM = """
from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from tenantry import Config, Tenancy
from tenantry.models import Platform, TenantOwned, TenantRecord
from tenantry.settings import login_urls_from_env, url_from_env


class Base(DeclarativeBase):
    pass


class Company(TenantRecord, Base):
    __tablename__ = "companies"
    name: Mapped[str] = mapped_column(String(50))


class Plan(Platform, Base):
    __tablename__ = "plans"
    id: Mapped[int] = mapped_column(primary_key=True)


class Ticket(TenantOwned, Base):
    __tablename__ = "tickets"
    subject: Mapped[str] = mapped_column(String(50))
    # more


tenancy = Tenancy(url_from_env(), Base, config=Config(role_prefix={prefix!r}), **login_urls_from_env())
"""


class Project:
    """A directory in which somebody calls `alembic`."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.directory = place.directory
        self.program = place.directory / "shop.py"
        self.program.write_text(PROGRAM.format(prefix=place.prefix), encoding="utf-8")

    def call(self, *arguments: str, fails: bool = False) -> str:
        """Calls `alembic` and returns all that it says."""
        return self._run("-m", "alembic", *arguments, fails=fails)

    def calls(self, *lines: str) -> str:
        """Calls `alembic` once for each line, all in one process, which is quicker."""
        return self._run("-c", "import sys, alembic.config as c; [c.main(a.split()) for a in sys.argv[1:]]", *lines)

    def _run(self, *arguments: str, fails: bool = False) -> str:
        environment = {**os.environ, **self.place.environment()}
        done = subprocess.run(
            [sys.executable, "-W", "error", *arguments],
            cwd=self.directory,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert (done.returncode != 0) is fails, done.stdout + done.stderr
        return done.stdout + done.stderr

    @contextlib.contextmanager
    def tenancy(self) -> Iterator[Tenancy]:
        """Lends the program's own tenancy."""
        with pytest.MonkeyPatch.context() as patch:
            for name, value in self.place.environment().items():
                patch.setenv(name, value)
            found = runpy.run_path(str(self.program))["tenancy"]
        with contextlib.closing(found):
            yield found

    def tables(self) -> set[str]:
        """Returns the tables of the common home."""
        with owner_engine(self.place.site()).connect() as connection, connection.begin():
            return set(sa.inspect(connection).get_table_names())


@pytest.fixture
def project(make: Callable[..., Place]) -> Project:
    """A project whose history is empty."""
    return Project(make(create_tables=False))


def stored(project: Project, *names: str) -> set[str]:
    """Returns the names under which tables stand in the common home, Alembic's own with them."""
    return {"alembic_version", *(name if project.place.on_postgres else f"{name}__rows" for name in names)}


@pytest.mark.mainly("sqlite")
def test_first_revision_and_the_next(project: Project) -> None:
    told = project.calls("upgrade head", "revision --autogenerate -m first --rev-id first", "current")
    assert "Generating" in told
    assert project.tables() <= {"alembic_version"}
    assert "not up to date" in project.call("check", fails=True)
    told = project.calls("upgrade +1", "current", "check")
    assert "Running upgrade  -> first, first" in told
    platforms = ["plans"] if project.place.on_postgres else []
    assert project.tables() == stored(project, "companies", "tickets") | set(platforms)
    homes = 1 if project.place.on_postgres else 2
    assert told.count("first (head)") == homes
    assert "No new upgrade operations detected" in told

    program = project.program.read_text(encoding="utf-8")
    project.program.write_text(program.replace("# more", "rank: Mapped[int | None]"), encoding="utf-8")
    assert "add_column" in project.call("check", fails=True)
    told = project.calls("revision --autogenerate -m second --rev-id second", "upgrade head", "check", "downgrade -1")
    assert "No new upgrade operations detected" in told
    told = project.calls("current", "stamp second", "current")
    assert told.count("second (head)") == homes
    project.calls("stamp first", "upgrade head", "downgrade base")
    assert project.tables() == {"alembic_version"}


def test_each_verb_as_a_command(on_postgres: PostgresPlace) -> None:
    project = Project(on_postgres)
    project.place.write("root", upgrade="op.execute('CREATE TABLE r (id int)')")
    project.place.write("left", upgrade="op.execute('CREATE TABLE a (id int)')", head="root")
    project.place.write("right", upgrade="op.execute('CREATE TABLE b (id int)')", head="root")
    assert "(branchpoint)" in project.call("branches")
    assert "Multiple head" in project.call("upgrade", "head", fails=True)
    project.call("merge", "heads", "-m", "joined", "--rev-id", "joined")
    assert "joined (head)" in project.call("heads")
    assert "left, right -> joined (head) (mergepoint), joined" in project.call("history")
    project.call("upgrade", "head")
    assert {"r", "a", "b"} <= project.tables()
    assert "joined (head)" in project.call("current")
    assert "Parent: root" in project.call("show", "left")
    project.call("stamp", "root")
    assert "root (branchpoint)" in project.call("current")
    project.call("downgrade", "base")
    project.call("revision", "-m", "more")
    assert "ensure_version" in project.call("--help")


def test_offline_sql_runs_as_it_is(make: Callable[..., Place]) -> None:
    project = Project(make(create_tables=False))
    project.calls("upgrade head", "revision --autogenerate -m first --rev-id first")
    if not project.place.on_postgres:
        assert "fleet sql" in project.call("upgrade", "head", "--sql", fails=True)
        return
    project.place.write("second", upgrade="op.execute(\"UPDATE tickets SET subject = 'x'\")")
    written = project.call("upgrade", "head", "--sql")
    script = "\n".join(line for line in written.splitlines() if not line.startswith(("INFO", "Context")))
    assert "SET LOCAL ROLE" in script
    assert "CREATE POLICY tenantry_isolation" in script
    with project.place.owner() as connection:
        connection.exec_driver_sql("DROP TABLE alembic_version", execution_options={"no_parameters": True})
    with owner_engine(project.place.site()).connect() as connection:
        driver = connection.connection.driver_connection
        assert driver is not None
        driver.autocommit = True
        driver.execute(script)
    assert "second (head)" in project.call("current")
    assert "No new upgrade operations detected" in project.call("check")


@pytest.mark.soak
def test_other_homes_are_chosen(project: Project) -> None:
    project.calls("upgrade head", "revision --autogenerate -m first --rev-id first", "upgrade head")
    with project.tenancy() as tenancy:
        tenancy.install()
        tenancy.tenants.create("common", isolation="rows")
        tenancy.tenants.create("own", isolation="database")
    told = project.calls("-x server=main current", "-x home=own current", "-x home=own stamp head")
    assert told.count("first (head)") == (1 if project.place.on_postgres else 2)
    assert "first (head)" in project.call("-x", "home=own", "current")
    assert "common tables of server main" in project.call("-x", "home=common", "current", fails=True)


def test_homes_that_are_not_there(place: Place) -> None:
    with pytest.raises(TenantNotFound):
        chosen_homes(place.tenancy, {"home": "nobody"})
    with pytest.raises(ServerUnknown):
        chosen_homes(place.tenancy, {"server": "nowhere"})


@pytest.mark.mainly("postgresql")
def test_index_made_concurrently(project: Project) -> None:
    block = "with op.get_context().autocommit_block():\n        op.create_index('ix_b', 'companies', ['name'], {})"
    project.calls("upgrade head", "revision --autogenerate -m first --rev-id first")
    project.place.write("second", upgrade=block.format("postgresql_concurrently=True"))
    project.place.write("third", upgrade="op.execute(\"UPDATE companies SET name = 'x'\")")
    project.call("upgrade", "head")
    with owner_engine(project.place.site()).connect() as connection, connection.begin():
        name = "companies" if project.place.on_postgres else "companies__rows"
        (index,) = sa.inspect(connection).get_indexes(name)
    assert (index["name"], index["column_names"]) == ("ix_b", ["tenant_id", "name"])


def test_init_leaves_what_is_there_alone(tmp_path: Path) -> None:
    (tmp_path / "alembic.ini").write_text("mine", encoding="utf-8")
    written = revisions.init(tmp_path / "scripts", app="shop.db:tenancy")
    assert {path.name for path in written} == {"env.py", "script.py.mako"}
    assert (tmp_path / "alembic.ini").read_text(encoding="utf-8") == "mine"
    assert "from shop.db import tenancy" in (tmp_path / "scripts" / "env.py").read_text(encoding="utf-8")
    for app, directory in (("shop.db:tenancy", "scripts"), ("shop", "other"), (":x", "other"), ("a:b-c", "other")):
        with pytest.raises(revisions.ConfigurationError):
            revisions.init(tmp_path / directory, app=app)
