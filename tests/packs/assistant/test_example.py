"""The assistant's example: what it says of the tables is what the models say, and its programs run."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest

from tenantry.packs import assistant

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "examples" / "assistant"


@pytest.mark.ledger("S3-052")
def test_the_schema_page_says_what_the_models_say() -> None:
    written = runpy.run_path(str(ROOT / "tools" / "schema.py"))["written"]
    page = EXAMPLE.joinpath("DATABASE_SCHEMA.md").read_text(encoding="utf-8")
    assert written("tenantry.packs.assistant", "AssistantBase", "Assistant") == page


@pytest.mark.ledger("S3-052")
def test_the_example_makes_its_databases_and_serves_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TENANTRY_URL", f"sqlite:///{tmp_path}")
    monkeypatch.setattr(sys, "argv", ["init_databases.py", "Acme", "Globex"])
    assistant.door.reset()
    runpy.run_path(str(EXAMPLE / "init_databases.py"), run_name="__main__")
    told = capsys.readouterr().out
    assert "This password is shown once" in told
    assert told.endswith("Acme: company 1\nGlobex: company 2\n")
    monkeypatch.setattr(sys, "argv", ["add_sample_data.py"])
    runpy.run_path(str(EXAMPLE / "add_sample_data.py"), run_name="__main__")
    assert "company-3: 63 of 63 rows added" in capsys.readouterr().out
    served = runpy.run_path(str(EXAMPLE / "app.py"))
    assert [company.id for company in served["assistant"].companies.list()] == [1, 2, 3]
    assert served["app"].title == "Assistant"
    assistant.door.reset()
    served["tenancy"].close()
