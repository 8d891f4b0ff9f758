"""A small program with models of its own, on SQLite or PostgreSQL, and the command line called beside it."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tenantry.cli.commands import app

PROGRAM = """
import uuid

from sqlalchemy import ForeignKey
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from tenantry import Config, Tenancy
from tenantry.models import Platform, Shared, TenantOwned, TenantRecord


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


tenancy = Tenancy.from_env(models=Base, config=Config(role_prefix="{prefix}"))
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


@dataclass
class Program:
    """A directory with a program in it, and the environment in which the command line is called there."""

    directory: Path
    module: str
    prefix: str
    environment: dict[str, str] = field(default_factory=dict)

    def call(self, *arguments: str) -> Result:
        """Calls a command in this process."""
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(self.directory)
            patch.syspath_prepend(self.directory)
            for name, value in self.environment.items():
                patch.setenv(name, value)
            result = CliRunner(env={"COLUMNS": "200", "NO_COLOR": "1"}).invoke(app, list(arguments))
            sys.modules.pop(self.module, None)
        return Result(result.exit_code, result.stdout, result.stderr)

    def run(self, *arguments: str, stdin: str = "") -> Result:
        """Calls a command as a person does, in a process of its own."""
        done = subprocess.run(
            [str(Path(sys.executable).parent / "tenantry"), *arguments],
            cwd=self.directory,
            env={**os.environ, "COLUMNS": "200", "NO_COLOR": "1", **self.environment},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        return Result(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def program(tmp_path: Path) -> Program:
    """A program without a database, named in its pyproject.toml."""
    suffix = secrets.token_hex(4)
    made = Program(tmp_path, f"shop_{suffix}", f"c{suffix}")
    (tmp_path / f"{made.module}.py").write_text(PROGRAM.replace("{prefix}", made.prefix))
    (tmp_path / "pyproject.toml").write_text(f'[tool.tenantry]\napp = "{made.module}:tenancy"\n')
    return made


@pytest.fixture
def shop(program: Program) -> Program:
    """The program on an installed directory of SQLite files, with the tenant ``acme``."""
    program.environment["TENANTRY_URL"] = f"sqlite:///{program.directory}/data"
    assert program.call("install").code == 0
    created = program.call("tenants", "create", "acme", "--record", '{"name": "Acme Ltd"}', "--identity", "slack=T012")
    assert created.code == 0, created
    return program


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
