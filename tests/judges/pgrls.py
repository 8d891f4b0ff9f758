"""pgrls, somebody else's linter and prover of row-level security, in an environment of its own."""

from __future__ import annotations

import os
import re
import subprocess
import venv
from dataclasses import dataclass
from pathlib import Path

PACKAGE = "pgrls==0.57.1"
ENVIRONMENT = Path(__file__).parents[2] / "build" / "judges"
SETTINGS = Path(__file__).with_name("pgrls.toml")

JUDGES = {
    "lint": ("lint", "--fail-on", "error", "--min-severity", "warning"),
    "cross-tenant": ("verify", "--strict", "--mode", "cross-tenant"),
    "write": ("verify", "--strict", "--mode", "write"),
    "anon": ("verify", "--strict", "--mode", "anon"),
}

_VERDICT = re.compile(r"^(\S+)\s+(PROVEN|LEAK|UNVERIFIED)\b", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Judgement:
    """What one judge said of one database."""

    judge: str
    exit_code: int
    report: str

    @property
    def summary(self) -> str:
        """The last line, which counts."""
        return self.report.rstrip().rpartition("\n")[2]

    @property
    def verdicts(self) -> dict[str, str]:
        """A prover's verdict on each table."""
        return dict(_VERDICT.findall(self.report))

    def clears(self, tables: set[str]) -> bool:
        """Whether the judge objects to nothing and, if it proves, has proven every one of *tables*."""
        proven = {table for table, verdict in self.verdicts.items() if verdict == "PROVEN"}
        return self.exit_code == 0 and (self.judge == "lint" or proven == tables)


def program() -> Path:
    """Returns pgrls itself; its environment is made once, from the package index."""
    found = ENVIRONMENT / "bin" / "pgrls"
    if not found.exists():
        venv.create(ENVIRONMENT, with_pip=True, clear=True)
        install = [str(ENVIRONMENT / "bin" / "python"), "-m", "pip", "install", "--quiet", PACKAGE]
        subprocess.run(install, check=True)
    return found


def command(judge: str, schemas: list[str]) -> list[str]:
    """Returns the command line that has *judge* look at *schemas*; the database's URL travels in the environment."""
    return ["pgrls", *JUDGES[judge], "--config", SETTINGS.name, "--schemas", ",".join(schemas)]


def ask(judge: str, url: str, schemas: list[str]) -> Judgement:
    """Has *judge* look at *schemas* of the database at *url*."""
    _, *arguments = command(judge, schemas)
    done = subprocess.run(
        [program(), *arguments],
        env={**os.environ, "DATABASE_URL": url},
        cwd=SETTINGS.parent,
        capture_output=True,
        text=True,
        timeout=300,
    )
    return Judgement(judge, done.returncode, done.stdout + done.stderr)
