"""Samples: the same ones each time, loaded once, and what real files become."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tenantry import Tenancy
from tenantry.packs.meetings import (
    AccountMapping,
    CRMConnection,
    Meetings,
    MeetingsBase,
    MeetingSession,
    Tenant,
    User,
)
from tenantry.packs.meetings.samples import generated, read
from tenantry.samples import load

FILES = {
    "sales_calls.csv.gz": (
        "company,call_no,turn,speaker,text\n"
        'modamart,0,0,Sales Rep,"Hi, it is Jamie"\n'
        "modamart,0,1,Customer,Hello\n"
        "modamart,1,0,Customer,I want my money back\n"
        "verity-capital,0,0,Sales Rep,Hi\n"
    ),
    "meetings_qmsum_product_committee.jsonl.gz": json.dumps(
        {
            "meeting": "ES2002a",
            "domain": "Product",
            "topics": ["The remote control"],
            "summaries": [{"q": "Summarise.", "a": "They began."}],
            "turns": [["Project Manager", "Okay right"], ["Marketing", "Mm-hmm ."]],
        }
    ),
    "northwind.sql.gz": (
        "CREATE TABLE customers ();\n"
        "INSERT INTO customers VALUES ('BSBEV', 'B''s Beverages', 'Victoria Ashworth', NULL, 'UK');\n"
        "INSERT INTO employees VALUES (2, 'Fuller', 'Andrew', 'Vice President, Sales', NULL);\n"
    ),
}


@pytest.fixture(params=[pytest.param("postgresql", marks=pytest.mark.soak), "sqlite"])
def pack(request: pytest.FixtureRequest, postgres: Any, tmp_path: Path) -> Iterator[Meetings]:
    if request.param == "sqlite":
        made = Meetings(Tenancy(f"sqlite:///{tmp_path / 'data'}", models=MeetingsBase))
        made.tenancy.install(create_tables=True)
        yield made
        made.tenancy.close()
        return
    with postgres.lend_database() as url:
        made = Meetings(Tenancy(url, models=MeetingsBase))
        made.tenancy.install(create_tables=True)
        yield made
        made.tenancy.close()


@pytest.mark.ledger("S1-062")
def test_generated_workspaces_are_loaded_once(pack: Meetings) -> None:
    samples = generated(tenants=3, rows=12)
    assert [sample.slug for sample in samples] == ["alder-software", "birch-logistics", "cedar-foods"]
    assert samples == generated(tenants=3, rows=12)
    for sample in samples:
        assert load(pack.tenancy, sample) == sample.size
        assert load(pack.tenancy, sample) == 0
    assert pack.prepare().failed == {}
    with pack.tenancy.session("birch-logistics") as db:
        meetings = db.query(MeetingSession).all()
        assert len(meetings) == 12
        assert {meeting.user.slack_email.partition("@")[2] for meeting in meetings} == {"birch-logistics.example"}
        done = [meeting for meeting in meetings if meeting.processing_status == "completed"]
        assert all(meeting.ai_summary and meeting.processed_at for meeting in done)
        tenant = db.query(Tenant).one()
        assert pack.tenancy.tenants.get(("slack_team", tenant.slack_team_id)).id == tenant.id
        assert tenant.get_default_crm_connection(db).provider_type == "salesforce"
    assert len({sample.slug for sample in generated(tenants=25, rows=0)}) == 25


@pytest.mark.ledger("S1-062")
def test_real_files_become_workspaces(pack: Meetings, tmp_path: Path) -> None:
    folder = tmp_path / "real" / "crm"
    folder.mkdir(parents=True)
    for name, text in FILES.items():
        with gzip.open(folder / name, "wt", encoding="utf-8") as file:
            file.write(text)
    samples = {sample.slug: sample for sample in read(tmp_path / "real")}
    assert set(samples) == {"modamart", "verity-capital", "product-meetings", "northwind"}
    assert read(tmp_path) == []
    for sample in samples.values():
        load(pack.tenancy, sample)
    with pack.tenancy.session("modamart") as db:
        calls = {call.title: call for call in db.query(MeetingSession).all()}
        assert set(calls) == {"Sales call 0", "Sales call 1"}
        assert calls["Sales call 0"].key_points == ["Hello"]
        assert calls["Sales call 0"].processing_status == "pending"
    with pack.tenancy.session("product-meetings") as db:
        meeting = db.query(MeetingSession).one()
        assert (meeting.ai_summary, meeting.key_points) == ("They began.", ["The remote control"])
        assert (meeting.processing_status, meeting.tokens_used) == ("completed", 4)
        assert meeting.user.slack_display_name == "Project Manager"
    with pack.tenancy.session("northwind") as db:
        mapping = db.query(AccountMapping).one()
        assert (mapping.crm_account_name, mapping.crm_connection_id) == (
            "B's Beverages",
            db.query(CRMConnection).one().id,
        )
        assert db.query(User).one().slack_email == "andrew.fuller@northwind.example"
