"""The assistant's example: what it says of the tables is what the models say."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "examples" / "assistant"
SECONDS = 120


def run(*words: str, environment: dict[str, str], where: Path = EXAMPLE) -> str:
    everything = {name: value for name, value in os.environ.items() if not name.startswith("TENANTRY_")} | environment
    done = subprocess.run(
        [sys.executable, *words],
        cwd=where,
        env=everything,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_schema_page_says_what_the_models_say(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    named = ("tenantry.packs.assistant", "AssistantBase", "Assistant")
    run(str(ROOT / "tools" / "schema.py"), *named, str(page), environment={})
    assert page.read_text(encoding="utf-8") == EXAMPLE.joinpath("DATABASE_SCHEMA.md").read_text(encoding="utf-8")


def test_the_example_makes_its_databases_and_serves_them(tmp_path: Path) -> None:
    environment = {"TENANTRY_URL": f"sqlite:///{tmp_path}"}
    told = run("init_databases.py", "Acme", "Globex", environment=environment)
    assert "This password is shown once" in told
    assert told.endswith("Acme: company 1\nGlobex: company 2\n")
    assert run("-c", "import app; print(len(app.assistant.companies.list()))", environment=environment) == "2\n"
