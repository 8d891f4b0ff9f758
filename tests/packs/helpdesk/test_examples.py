"""The example scripts run as they stand, on SQLite and on PostgreSQL, and the application that they make answers."""

from __future__ import annotations

import os
import re
import runpy
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from fastapi.testclient import TestClient

from tenantry.cli.commands import root
from tenantry.packs.helpdesk import door

EXAMPLES = Path(__file__).parents[3] / "examples" / "helpdesk"


def run(env: dict[str, str], directory: Path, *arguments: str) -> str:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("TENANTRY_", "POSTGRES_"))}
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=directory,
        env={**clean, **env, "PYTHONPATH": str(EXAMPLES)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def settings() -> dict[str, str]:
    """Returns what .env.example sets."""
    lines = (EXAMPLES / ".env.example").read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


@pytest.fixture
def scripts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[..., dict[str, Any]]]:
    """Runs a script in an empty directory, with the settings that are given, as a process of its own would."""
    monkeypatch.chdir(tmp_path)
    for name, value in {**settings(), "HELPDESK_TOKEN_KEY": secrets.token_hex(32)}.items():
        monkeypatch.setenv(name, value)

    def script(name: str, *arguments: str, run_name: str = "__main__") -> dict[str, Any]:
        monkeypatch.setattr(sys, "argv", [name, *arguments])
        door.reset()
        return runpy.run_path(str(EXAMPLES / name), run_name=run_name)

    yield script
    door.reset()


@pytest.mark.ledger("S0-027")
def test_on_sqlite_with_the_settings_that_are_given(
    scripts: Callable[..., dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    scripts("migrate.py")
    assert capsys.readouterr().out == "running: done.\n"
    scripts("add_sample_data.py")
    assert "in 4 companies: northwind-bakery" in capsys.readouterr().out
    assert Path("core/data/catalog.sqlite3").exists()
    with TestClient(scripts("app.py", run_name="app")["app"]) as client:
        assert client.get("/health").json()["status"] == "healthy"
        assert client.get("/api/tickets").status_code == 401
    with pytest.raises(SystemExit, match="--yes"):
        scripts("reset_db.py")
    scripts("reset_db.py", "--yes")
    assert capsys.readouterr().out == "4 companies erased.\n"


@pytest.mark.ledger("S0-094")
def test_the_way_of_working_has_six_steps_and_its_commands_exist() -> None:
    page = (EXAMPLES.parents[1] / "docs" / "packs" / "helpdesk.md").read_text(encoding="utf-8")
    steps = re.findall(r"^\d\. .*(?:\n   .*)*", page, re.MULTILINE)
    assert [step[0] for step in steps] == ["1", "2", "3", "4", "5", "6"]
    named = re.findall(r"`tenantry ([a-z ]+?)(?: --[^`]*)?`", "\n".join(steps))
    assert named == ["doctor", "fleet revision", "archive backup", "top"]
    for words in named:
        shown = CliRunner().invoke(root, [*words.split(), "--help"])
        assert shown.exit_code == 0, words


@pytest.mark.ledger("S0-094")
def test_the_schema_page_says_what_the_models_say() -> None:
    written = runpy.run_path(str(EXAMPLES.parents[1] / "tools" / "schema.py"))["written"]
    page = EXAMPLES.joinpath("DATABASE_SCHEMA.md").read_text(encoding="utf-8")
    assert written("tenantry.packs.helpdesk", "HelpdeskBase", "Helpdesk") == page


@pytest.mark.soak
@pytest.mark.ledger("S0-093")
def test_on_postgresql_with_logins_of_their_own(postgres: Any, tmp_path: Path) -> None:
    try:
        with postgres.lend_database() as url:
            env = {"TENANTRY_OWNER_URL": url, "DATABASE_TYPE": "postgresql", "TENANTRY_DEMOTE": "true"}
            said = run(env, tmp_path, str(EXAMPLES / "migrate.py"), "logins")
            env |= dict(line.split("=", 1) for line in said.splitlines())
            assert run(env, tmp_path, str(EXAMPLES / "migrate.py")) == "running: done.\n"
            assert "in 4 companies" in run(env, tmp_path, str(EXAMPLES / "add_sample_data.py"))
            assert run(env, tmp_path, str(EXAMPLES / "reset_db.py"), "--yes") == "4 companies erased.\n"
    finally:
        with postgres.admin() as connection:
            for name in ("helpdesk_app", "helpdesk_platform"):
                connection.execute(f'DROP ROLE IF EXISTS "{name}"')
