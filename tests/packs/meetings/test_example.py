"""The example as it lies there: its scripts run, its history obeys Alembic's verbs, its schema page is up to date."""

from __future__ import annotations

import configparser
import io
import os
import re
import runpy
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config as AlembicConfig

from tenantry import Config, Tenancy
from tenantry.packs.meetings import MIGRATIONS, Meetings, MeetingsBase

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "examples" / "meetings"
SECONDS = 100


@pytest.fixture
def environment(fresh_database: str, tmp_path: Path) -> Mapping[str, str]:
    """A developer's environment, with a database of its own."""
    alone = {name: value for name, value in os.environ.items() if not name.startswith(("TENANTRY_", "DATABASE_"))}
    urls = {"DATABASE_URL": fresh_database, "TENANTRY_OWNER_URL": fresh_database, "TENANTRY_DEMOTE": "true"}
    return {**alone, **urls, "BACKUPS": str(tmp_path / "backups")}


def run(*words: str, environment: Mapping[str, str], cwd: Path = EXAMPLE) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", *words],
        cwd=cwd,
        env=dict(environment),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.ledger("S1-010", "S1-062")
def test_the_script_tries_the_database(environment: Mapping[str, str]) -> None:
    told = run("test_database.py", environment=environment).splitlines()
    assert told[-1] == "✓ All tests passed!"
    assert len(told) == 9


@pytest.mark.soak
@pytest.mark.ledger("S1-005", "S1-009")
def test_from_the_settings_to_sample_data_and_back(environment: Mapping[str, str], tmp_path: Path) -> None:
    place = tmp_path / "example"
    shutil.copytree(EXAMPLE, place)
    settings = (place / ".env.example").read_text(encoding="utf-8")
    for name in ("DATABASE_URL", "TENANTRY_OWNER_URL"):
        settings = re.sub(rf"^{name}=.*$", f"{name}={environment[name]}", settings, flags=re.MULTILINE)
    (place / ".env").write_text(settings, encoding="utf-8")
    bare = {name: value for name, value in environment.items() if name not in settings}
    assert "every home is at head" in run("migrate.py", environment=bare, cwd=place)
    assert "alder-software: 66 of 66 rows added" in run("add_sample_data.py", environment=bare, cwd=place)
    assert "alder-software: 0 of 66 rows added" in run("add_sample_data.py", environment=bare, cwd=place)
    assert "Nothing was changed" in run("reset_db.py", environment=bare, cwd=place)
    assert "Erased" in run("reset_db.py", "--yes", environment=bare, cwd=place)
    assert "0 workspaces: none" in run("reset_db.py", environment=bare, cwd=place)


@pytest.fixture
def installed(environment: Mapping[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An installation without tables, and a copy of the history with alembic.ini beside it."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    shutil.copytree(MIGRATIONS, tmp_path / "migrations")
    given = configparser.ConfigParser(interpolation=None)
    given.read(EXAMPLE / "alembic.ini")
    assert given["alembic"]["script_location"] == "tenantry.packs.meetings:migrations"
    given["alembic"]["script_location"] = str(tmp_path / "migrations")
    with (tmp_path / "alembic.ini").open("w") as file:
        given.write(file)
    url = environment["DATABASE_URL"]
    made = Meetings(Tenancy(url, models=MeetingsBase, config=Config(demote=True, migrations=MIGRATIONS)))
    made.tenancy.install()
    yield tmp_path
    made.tenancy.close()


@pytest.mark.ledger("S1-055", "S1-056", "S1-009")
def test_alembics_verbs(installed: Path) -> None:
    def told(verb: Callable[..., Any], *words: str, **options: Any) -> str:
        out = io.StringIO()
        config = AlembicConfig(str(installed / "alembic.ini"), stdout=out, output_buffer=out)
        verb(config, *words, **options)
        return out.getvalue()

    told(command.upgrade, "0001")
    told(command.upgrade, "head")
    assert told(command.current).startswith("0002 (head)")
    assert "0001 -> 0002 (head)" in told(command.history)
    told(command.downgrade, "-1")
    assert told(command.current).startswith("0001")
    assert "CREATE TABLE tenants" in told(command.upgrade, "head", sql=True)
    told(command.stamp, "head")
    assert told(command.current).startswith("0002 (head)")
    told(command.stamp, "0001")
    told(command.upgrade, "head")
    told(command.revision, "Add custom index")
    assert [*(installed / "migrations" / "versions").glob("*_add_custom_index.py")]


@pytest.mark.soak
@pytest.mark.ledger("S1-058", "S1-059")
def test_the_server_is_backed_up_and_restored(environment: Mapping[str, str], tmp_path: Path, postgres: Any) -> None:
    key = run("-c", "from tenantry.cli import main; main()", "archive", "key", environment=environment).strip()
    everything = {
        **environment,
        "TENANTRY_ARCHIVE_KEYS": key,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    run("migrate.py", environment=everything)
    run("add_sample_data.py", environment=everything)
    shell(str(EXAMPLE / "backup.sh"), environment=everything)
    shell(str(EXAMPLE / "backup.sh"), "tenants", "users", environment=everything)
    whole, plain = sorted((tmp_path / "backups").iterdir())
    assert all(re.fullmatch(r"backup_\d{8}_\d{6}(_\d+)?", folder.name) for folder in (whole, plain))
    assert [file.name for file in plain.iterdir() if file.name.endswith(".sql.gz")]
    name = environment["DATABASE_URL"].rpartition("/")[2]
    postgres.drop_database(name)
    shell(str(EXAMPLE / "restore.sh"), str(whole), environment=everything)
    assert "alder-software: 0 of 66 rows added" in run("add_sample_data.py", environment=everything)


def shell(*words: str, environment: Mapping[str, str]) -> None:
    done = subprocess.run(
        ["sh", *words], cwd=EXAMPLE, env=dict(environment), capture_output=True, text=True, timeout=SECONDS, check=False
    )
    assert done.returncode == 0, done.stderr + done.stdout


@pytest.mark.ledger("S1-075")
def test_the_schema_page_says_what_the_models_say() -> None:
    found = runpy.run_path(str(ROOT / "tools" / "schema.py"))
    page = found["written"]("tenantry.packs.meetings", "MeetingsBase", "Meetings")
    assert page == EXAMPLE.joinpath("DATABASE_SCHEMA.md").read_text(encoding="utf-8")
