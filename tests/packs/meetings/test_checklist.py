"""Before production: each item of the checklist leads to a finding of the doctor's or to a page."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from sqlalchemy import text

from tenantry import Config, Tenancy
from tenantry.doctor import CODES, examine
from tenantry.packs.meetings import MeetingsBase

from .cells import CELLS, Ground, Place

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "packs" / "meetings.md"
TEXT = PAGE.read_text(encoding="utf-8")
# The description's own items, in its words.
CHECKLIST = (
    "PostgreSQL 15+ running with Multi-AZ (RDS)",
    "Database credentials stored in AWS Secrets Manager",
    "Connection pooling configured (PgBouncer recommended)",
    "Alembic migrations run successfully",
    "Automated backups enabled (7+ day retention)",
    "Monitoring set up (CloudWatch, Datadog, etc.)",
    "SSL/TLS encryption for connections enabled",
    "Row-Level Security (RLS) policies configured",
    "Test suite passes in production-like environment",
    "Disaster recovery plan documented",
    "Runbook for common operations created",
)


@pytest.mark.ledger("S1-073", "S1-074", "S1-068")
def test_each_item_leads_to_a_finding_or_a_page() -> None:
    rows = dict(re.findall(r"(?m)^\| ([^|]+) \| ([^|]+) \|$", TEXT.partition("## Before production")[2]))
    assert [item for item in rows if item in CHECKLIST] == list(CHECKLIST)
    for item in CHECKLIST:
        codes = re.findall(r"\b[DN]\d{3}\b", rows[item])
        pages = re.findall(r"\]\(([^)]+)\)", rows[item])
        folders = re.findall(r"`(examples/\w+)`", rows[item])
        assert codes or pages or folders, item
        assert all((ROOT / folder).is_dir() for folder in folders)
        assert set(codes) <= set(CODES)
        assert not [page for page in pages if not leads_somewhere(page)], item


def test_every_link_of_the_page_leads_somewhere() -> None:
    links = re.findall(r"\]\(([^)]+)\)", TEXT)
    assert links
    assert not [link for link in links if not leads_somewhere(link)]


def leads_somewhere(link: str) -> bool:
    file, _, heading = link.partition("#")
    page = (PAGE.parent / file).resolve() if file else PAGE
    if not page.is_file():
        return False
    said = re.findall(r"(?m)^#+ (.*)", page.read_text(encoding="utf-8"))
    return not heading or heading in {re.sub(r"[^a-z0-9 -]", "", each.lower()).replace(" ", "-") for each in said}


@pytest.mark.ledger("S1-004", "S1-060", "S1-061")
def test_the_page_tells_of_the_three_set_ups_and_of_what_goes_wrong() -> None:
    for words in (
        "createdb slack_fathom_crono",
        "CREATE USER myuser",
        "postgres:15-alpine",
        "slack-fathom-postgres",
        "Multi-AZ",
        "automated backups kept 7 to 30 days",
        "point-in-time recovery",
        "each quarter",
        "Secrets Manager",
        "postgresql://login:password@host:5432/database",
        "firewall",
        "PostgreSQL is not running",
        "password authentication failed",
    ):
        assert words in TEXT, words
    compose = (ROOT / "examples" / "meetings" / "compose.yaml").read_text(encoding="utf-8")
    assert "container_name: slack-fathom-postgres" in compose
    assert "image: postgres:15-alpine" in compose


@pytest.mark.ledger("S1-064", "S1-071", "S1-072")
def test_the_doctor_finds_the_tests_ground_well(ground: Ground) -> None:
    tenancy = ground.tenancy(Place("postgresql-rows", "sync"))
    report = examine(tenancy)
    # A development server may be a release behind.
    assert {finding.code for finding in report.findings} <= {"D701", "N701", "N702", "N103"}
    with tenancy.session("acme-postgresql-rows") as session:
        own = "select rolsuper or rolbypassrls or rolcreaterole from pg_roles where rolname = current_user"
        assert session.execute(text(own)).scalar_one() is False
        session.connection().exec_driver_sql("select 1")


@pytest.mark.ledger("S1-040", "S1-042", "S1-071")
def test_every_table_is_walled(ground: Ground) -> None:
    tenancy = ground.tenancy(Place("postgresql-rows", "sync"))
    with tenancy.session("acme-postgresql-rows") as session:
        asked = "select relname, relrowsecurity and relforcerowsecurity from pg_class where relname = any(:names)"
        names = [table.name for table in MeetingsBase.metadata.sorted_tables]
        found = {row[0]: row[1] for row in session.execute(text(asked), {"names": names})}
    assert found == dict.fromkeys(names, True)


@pytest.mark.ledger("S1-065", "S1-043")
def test_urls_are_references_and_show_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEETINGS_URL", "postgresql://app:hunter2@127.0.0.1:1/saas")
    tenancy = Tenancy("env:MEETINGS_URL", models=MeetingsBase, config=Config())
    assert "hunter2" not in repr(tenancy)
    assert tenancy.servers.main.database == "saas"
    tenancy.close()


@pytest.mark.ledger("S1-047")
@pytest.mark.parametrize("cell", ["postgresql-rows", "sqlite-file"])
def test_the_audit_is_kept_two_years(ground: Ground, cell: str) -> None:
    assert cell in CELLS
    pack = ground.pack(Place(cell, "sync"))
    key = f"rival-{cell}"
    with pack.tenancy.session(key) as session:
        before = len(pack.audit.entries(session))
    assert before > 0
    assert pack.audit.purge(key).count == 0
    with pack.tenancy.session(key) as session:
        assert len(pack.audit.entries(session)) >= before
    assert "two years" in TEXT
