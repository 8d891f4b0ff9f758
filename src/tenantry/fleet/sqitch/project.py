"""A Sqitch project on disk: its plan, its settings, and the scripts of each change, read once."""

from __future__ import annotations

import getpass
import hashlib
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

from tenantry.errors import MigrationsMissing, ScriptRefused
from tenantry.fleet.sqitch import lexing_postgres, lexing_sqlite
from tenantry.fleet.sqitch.conf import Conf, read_conf
from tenantry.fleet.sqitch.parsing import read_plan
from tenantry.fleet.sqitch.plan import Change, Plan
from tenantry.fleet.sqitch.statements import Script
from tenantry.isolation.registries import DATABASE_REGISTRY

POSTGRES: Final = "pg"
SQLITE: Final = "sqlite"
DEPLOY: Final = "deploy"
REVERT: Final = "revert"
VERIFY: Final = "verify"


@dataclass(frozen=True, slots=True)
class Committer:
    """Who the registry says did it."""

    name: str
    email: str


class Project:
    """One project as its files were when they were first asked for; *engine* is Sqitch's word for the database.

    Raises: MigrationsMissing without a plan; PlanInvalid.
    """

    def __init__(self, folder: Path, engine: str) -> None:
        self.folder = folder
        self.engine = engine
        self._scripts: dict[tuple[str, str], Script | None] = {}

    @cached_property
    def conf(self) -> Conf:
        """The project's sqitch.conf; a user's own and the system's are not read."""
        return read_conf(self.folder / "sqitch.conf")

    @property
    def plan_file(self) -> Path:
        """Where the plan is."""
        return self.folder / (self._setting("plan_file") or Path(self._setting("top_dir") or ".", "sqitch.plan"))

    @cached_property
    def plan(self) -> Plan:
        """The plan."""
        if not self.plan_file.is_file():
            raise MigrationsMissing(where=f" at {self.plan_file}")
        return read_plan(self.plan_file)

    @property
    def registry(self) -> str:
        """How the registry of a whole database is called."""
        return self._setting("registry") or DATABASE_REGISTRY

    @property
    def verifies(self) -> bool:
        """Whether every change is verified when it was deployed."""
        return self.conf.is_on("deploy.verify")

    @cached_property
    def committer(self) -> Committer:
        """Who deploys: SQITCH_FULLNAME and SQITCH_EMAIL, then the project's user.name, then the login."""
        login = getpass.getuser()
        name = os.environ.get("SQITCH_FULLNAME") or self.conf.get("user.name")
        email = os.environ.get("SQITCH_EMAIL") or self.conf.get("user.email")
        return Committer(name or login, email or f"{login}@{socket.gethostname()}")

    def script(self, change: Change, kind: str, *, registry: str = "") -> Script:
        """Returns a change's script.

        Raises: ScriptRefused where it is missing or holds what cannot be run.
        """
        script = self.find_script(change, kind, registry=registry)
        if script is None:
            file = self.file(change, kind)
            raise ScriptRefused(file=file, line=1, reason=f"The {kind} script of {change} is missing.")
        return script

    def find_script(self, change: Change, kind: str, *, registry: str = "") -> Script | None:
        """Returns a change's script, or None where it has none.

        Raises: ScriptRefused where it holds what cannot be run.
        """
        key = (change.id, f"{kind}/{registry}")
        if key not in self._scripts:
            file = self.file(change, kind)
            self._scripts[key] = self._read(file, kind, registry) if file.is_file() else None
        return self._scripts[key]

    def digest(self, change: Change) -> str | None:
        """Returns the SHA-1 of a deploy script, by which `sqitch check` knows it again."""
        file = self.file(change, DEPLOY)
        return hashlib.sha1(file.read_bytes(), usedforsecurity=False).hexdigest() if file.is_file() else None

    def file(self, change: Change, kind: str) -> Path:
        """Returns where a script is; that of a reworked change bears one of the tags it was reworked after."""
        extension = self._setting("extension") or "sql"
        if not change.reworked_at:
            return self._directory(kind) / f"{change.name}.{extension}"
        names = [f"{change.name}@{tag}.{extension}" for tag in change.reworked_at]
        deploys = self._reworked_directory(DEPLOY)
        found = next((name for name in names if (deploys / name).exists()), names[0])
        return self._reworked_directory(kind) / found

    def _directory(self, kind: str) -> Path:
        return self.folder / (self._setting(f"{kind}_dir") or Path(self._setting("top_dir") or ".", kind))

    def _reworked_directory(self, kind: str) -> Path:
        top = self._setting("reworked_dir") or self._setting("top_dir") or "."
        return self.folder / (self._setting(f"reworked_{kind}_dir") or Path(top, kind))

    def _setting(self, name: str) -> str | None:
        return self.conf.get(f"engine.{self.engine}.{name}", f"core.{name}")

    def _variables(self, kind: str, registry: str) -> Mapping[str, str]:
        sections = dict.fromkeys(["core", DEPLOY, kind, f"engine.{self.engine}"])
        return {**self.conf.section(*(f"{section}.variables" for section in sections)), "registry": registry}

    def _read(self, file: Path, kind: str, registry: str) -> Script:
        name = str(file.relative_to(self.folder)) if file.is_relative_to(self.folder) else str(file)
        try:
            text = file.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            raise ScriptRefused(file=name, line=1, reason="This is not UTF-8.") from None
        if self.engine == SQLITE:
            return lexing_sqlite.read_script(text, name)
        return lexing_postgres.read_script(text, name, self._variables(kind, registry))
