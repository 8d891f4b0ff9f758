"""A small program with models of its own, on SQLite or PostgreSQL, and the command line called beside it."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest
from typer.testing import CliRunner

from tenantry.cli.commands import app

PROGRAM = """
import dataclasses
import uuid

from sqlalchemy import ForeignKey
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from tenantry import Tenancy
from tenantry.models import Platform, Shared, TenantOwned, TenantRecord
from tenantry.settings import config_from_env


class Base(DeclarativeBase):
    pass


class Country(Shared, Base):
    __tablename__ = "countries"
    code: Mapped[str] = mapped_column(primary_key=True)


class Vendor(Platform, Base):
    __tablename__ = "vendors"
    id: Mapped[int] = mapped_column(primary_key=True)


class Company(TenantRecord, Base):
    __tablename__ = "companies"
    name: Mapped[str]


class Ticket(TenantOwned, Base):
    __tablename__ = "tickets"
    subject: Mapped[str]
    company_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("companies.id"))


found = config_from_env()
tenancy = Tenancy.from_env(models=Base, config=dataclasses.replace(found, role_prefix="{prefix}"))
"""


@dataclass
class Result:
    """What a call of the command line left behind."""

    code: int
    out: str
    err: str

    @property
    def said(self) -> str:
        """All that was printed, in one line."""
        return " ".join(f"{self.out} {self.err}".split())

    @property
    def data(self) -> Any:
        """What was printed as JSON."""
        return json.loads(self.out)

    @property
    def lines(self) -> list[Any]:
        """What was printed as JSON, a line each."""
        return [json.loads(line) for line in self.out.splitlines()]


@dataclass
class Program:
    """A directory with a program in it, and the environment in which the command line is called there."""

    directory: Path
    module: str
    prefix: str
    environment: dict[str, str] = field(default_factory=dict)
    modules: list[str] = field(default_factory=list)

    def call(self, *arguments: str) -> Result:
        """Calls a command in this process."""
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(self.directory)
            patch.syspath_prepend(self.directory)
            for name, value in self.environment.items():
                patch.setenv(name, value)
            result = CliRunner(env={"COLUMNS": "200", "NO_COLOR": "1"}).invoke(app, list(arguments))
            for name in (self.module, *self.modules):
                sys.modules.pop(name, None)
        return Result(result.exit_code, result.stdout, result.stderr)

    def write(self, name: str, text: str) -> None:
        """Writes a module beside the program's."""
        (self.directory / f"{name}.py").write_text(text)
        self.modules.append(name)

    def command(self, *arguments: str) -> dict[str, Any]:
        """Returns what begins a command as a person does, in a process of its own."""
        program = [str(Path(sys.executable).parent / "tenantry"), *arguments]
        environment = {**os.environ, "COLUMNS": "200", "NO_COLOR": "1", **self.environment}
        return {"args": program, "cwd": self.directory, "env": environment}

    def run(self, *arguments: str, stdin: str = "") -> Result:
        """Calls a command as a person does, in a process of its own."""
        done = subprocess.run(
            **self.command(*arguments),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        return Result(done.returncode, done.stdout, done.stderr)


def make_program(directory: Path) -> Program:
    """Returns a program without a database, named in its pyproject.toml."""
    suffix = secrets.token_hex(4)
    made = Program(directory, f"shop_{suffix}", f"c{suffix}")
    (directory / f"{made.module}.py").write_text(PROGRAM.replace("{prefix}", made.prefix))
    (directory / "pyproject.toml").write_text(f'[tool.tenantry]\napp = "{made.module}:tenancy"\n')
    return made


def open_shop(program: Program) -> Program:
    """Installs the program on a directory of SQLite files, and creates the tenant ``acme``."""
    program.environment["TENANTRY_URL"] = f"sqlite:///{program.directory}/data"
    assert program.call("install").code == 0
    created = program.call("tenants", "create", "acme", "--record", '{"name": "Acme Ltd"}', "--identity", "slack=T012")
    assert created.code == 0, created
    return program


@pytest.fixture
def program(tmp_path: Path) -> Program:
    """A program without a database, named in its pyproject.toml."""
    return make_program(tmp_path)


@pytest.fixture
def shop(program: Program) -> Program:
    """The program on an installed directory of SQLite files, with the tenant ``acme``."""
    return open_shop(program)


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Program:
    """The same with a directory for migrations, for tests that change nothing."""
    shop = open_shop(make_program(tmp_path_factory.mktemp("shop")))
    shop.environment["TENANTRY_MIGRATIONS"] = "migrations"
    assert shop.call("fleet", "init").code == 0
    return shop


REVISION = """
import sqlalchemy as sa
from alembic import op

revision = "{name}"
down_revision = {before!r}


def upgrade():
    {upgrade}


def downgrade():
    {downgrade}
"""


@dataclass
class Fleet:
    """A program with migrations, and tenants to migrate."""

    program: Program
    call: Callable[..., Result]

    def revise(self, name: str, *, before: str | None, upgrade: str, downgrade: str = "pass") -> None:
        """Writes a revision by hand."""
        text = REVISION.format(name=name, before=before, upgrade=upgrade, downgrade=downgrade)
        (self.program.directory / "migrations" / "versions" / f"{name}.py").write_text(text)

    def add_priority(self) -> None:
        """Writes a second revision, which a home with a column of that name cannot take."""
        column = "sa.Column('priority', sa.Integer)"
        downgrade = "op.drop_column('tickets', 'priority')"
        self.revise("two", before="one", upgrade=f"op.add_column('tickets', {column})", downgrade=downgrade)

    def standing(self) -> dict[str, str | None]:
        """Returns at which revision each home stands."""
        return {line["home"]: line["revision"] for line in self.call("current", "--json").lines}

    def schema(self, slug: str) -> str:
        """Returns how a tenant's schema is called."""
        name: str = self.program.call("tenants", "show", slug, "--json").data["physical"]
        return name

    def sql(self, slug: str, statement: str) -> list[Any]:
        """Runs a statement in a tenant's home, as its owner."""
        with psycopg.connect(self.program.environment["TENANTRY_OWNER_URL"], autocommit=True) as connection:
            connection.execute(f"SET search_path = {self.schema(slug)}, pg_temp")
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []


@pytest.fixture
def fleet(program: Program, postgres: Any) -> Iterator[Fleet]:
    """The program on PostgreSQL at its first revision, with the tenants acme, globex and initech in their schemas."""
    database = postgres.create_database()
    url = postgres.url(database)
    program.environment |= {f"TENANTRY_{kind}URL": url for kind in ("", "OWNER_", "OPERATOR_", "PLATFORM_")}
    program.environment |= {"TENANTRY_DEMOTE": "on", "TENANTRY_MIGRATIONS": "migrations"}
    made = Fleet(program, lambda *arguments: program.call("fleet", *arguments))
    try:
        for arguments in (["fleet", "init"], ["install"], ["fleet", "revision", "--autogenerate", "-m", "first"]):
            assert program.call(*arguments, *(["--rev-id", "one"] if "revision" in arguments else [])).code == 0
        assert made.call("upgrade").code == 0
        for slug in ("acme", "globex", "initech"):
            assert program.call("tenants", "create", slug, "--isolation", "schema").code == 0
        yield made
    finally:
        postgres.drop_database(database)
        with postgres.admin() as connection:
            for kind in ("owner", "operator", "platform", "app"):
                connection.execute(f"DROP ROLE IF EXISTS {program.prefix}_{kind}")


@pytest.fixture
def postgres_shop(program: Program, postgres: Any) -> Iterator[Program]:
    """The program on PostgreSQL, installed, with real logins in its environment."""
    database = postgres.create_database()
    program.environment |= {"TENANTRY_URL": postgres.url(database), "TENANTRY_OWNER_URL": postgres.url(database)}
    assert program.call("install", "--create-tables").code == 0
    names = {kind: f"{program.prefix}_{kind}_login" for kind in ("app", "operator", "platform")}
    urls = {kind: program.call("install", "--login", name, "--role", kind).out.strip() for kind, name in names.items()}
    program.environment |= {"TENANTRY_URL": urls["app"], "TENANTRY_OPERATOR_URL": urls["operator"]}
    program.environment["TENANTRY_PLATFORM_URL"] = urls["platform"]
    yield program
    postgres.drop_database(database)
    with postgres.admin() as connection:
        groups = [f"{program.prefix}_{kind}" for kind in ("owner", "operator", "platform", "app")]
        for role in [*names.values(), *groups]:
            connection.execute(f"DROP ROLE IF EXISTS {role}")
