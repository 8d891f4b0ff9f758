"""Samples: the same ones each time, loaded once, and what real event logs become; the examples run."""

from __future__ import annotations

import gzip
import runpy
import secrets
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import func, select

from tenantry import Tenancy
from tenantry.packs.incidents import (
    Action,
    Decision,
    Event,
    Incident,
    Incidents,
    IncidentsBase,
    Workflow,
    door,
    incidents_tenancy,
)
from tenantry.packs.incidents.samples import generated, read
from tenantry.samples import load

EXAMPLES = Path(__file__).parents[3] / "examples" / "incidents"
FILES = {
    "receipt_permits.csv.gz": (
        "case:channel,case:concept:name,case:deadline,case:department,concept:name,org:group,org:resource,time:timestamp\n"
        "Internet,case-1,2011-12-06 13:41:31+01:00,General,Confirmation of receipt,G1,R1,2011-10-11 13:45:40+02:00\n"
        "Internet,case-1,2011-12-06 13:41:31+01:00,General,T03 Adjust confirmation of receipt,G1,R2,"
        "2011-10-12 08:26:25+02:00\n"
        "Internet,case-1,2011-12-06 13:41:31+01:00,General,T10 Determine necessity to stop indication,G1,R2,"
        "2011-12-07 08:26:25+02:00\n"
        "e-mail,case-2,,Experts,Confirmation of receipt,G2,R1,2011-10-11 13:45:40+02:00\n"
    ),
    "hiring_events.csv.gz": (
        "case_id,case_name,concept_name,time_timestamp,org_resource\n"
        "1,1,Hand In Job Application,2015-01-05T00:00:08+00:00,\n"
        "1,1,Application Rejected,2015-01-06T00:00:08+00:00,\n"
        "2,2,Hand In Job Application,2015-01-05T00:00:08+00:00,\n"
        "2,2,Application Rejected,2015-01-07T00:00:08+00:00,\n"
    ),
}


@pytest.fixture
def tenancy(tmp_path: Path) -> Iterator[Tenancy]:
    found = Tenancy(f"sqlite:///{tmp_path}/data", models=IncidentsBase)
    Incidents(found)
    found.install(create_tables=True)
    yield found
    found.close()


@pytest.mark.ledger("S4-045")
def test_made_up_rows_are_the_same_each_time_and_loaded_once(tenancy: Tenancy) -> None:
    first, second = generated(tenants=2, rows=60), generated(tenants=2, rows=60)
    assert [sample.rows for sample in first] == [sample.rows for sample in second]
    for sample in first:
        assert load(tenancy, sample) == sample.size > 60
        assert load(tenancy, sample) == 0
    with tenancy.session(first[0].slug) as session:
        counts = [session.scalar(select(func.count()).select_from(model)) for model in first[0].rows]
        assert counts == [len(rows) for rows in first[0].rows.values()]
        for row in session.scalars(select(Incident)):
            assert row.event_count > 0
            assert {action.incident_id for action in row.actions} <= {row.id}


@pytest.mark.ledger("S4-045")
def test_a_sample_stands_where_the_flow_goes_on(tenancy: Tenancy) -> None:
    (sample,) = generated(tenants=1, rows=60)
    load(tenancy, sample)
    incident = next(row for row in sample.rows[Incident] if row["status"] == "NEW")
    event = next(row for row in sample.rows[Event] if row["correlation_id"] == incident["correlation_id"])
    failing = next(
        row
        for row in sample.rows[Event]
        if row["workflow_id"] == incident["workflow_id"] and "error_code" in row["payload"]
    )
    told = {name: failing[name] for name in ("workflow_id", "event_type", "payload", "occurred_at")}
    found = Incidents(tenancy).ingest(sample.slug, {**told, "idempotency_key": uuid.uuid4().hex})
    assert (found.incident.id, found.incident.event_count) == (incident["id"], incident["event_count"] + 1)
    assert event["workflow_id"] == incident["workflow_id"]


@pytest.mark.ledger("S4-045")
def test_event_logs_become_workflows_events_and_incidents(tenancy: Tenancy, tmp_path: Path) -> None:
    (tmp_path / "workflow").mkdir()
    assert read(tmp_path) == []
    for name, text in FILES.items():
        (tmp_path / "workflow" / name).write_bytes(gzip.compress(text.encode()))
    samples = {sample.slug: sample for sample in read(tmp_path)}
    assert sorted(samples) == ["hiring", "permits-e-mail", "permits-internet"]
    permits = samples["permits-internet"]
    assert [row["name"] for row in permits.rows[Workflow]] == ["General"]
    assert [row["event_type"] for row in permits.rows[Event]] == [
        "permit.confirmation_of_receipt",
        "permit.adjust_confirmation_of_receipt",
        "permit.determine_necessity_to_stop_indication",
    ]
    codes = {row["payload"].get("error_code") for row in permits.rows[Event]}
    assert codes == {None, "reworked", "deadline_passed"}
    (rejected,) = samples["hiring"].rows[Incident]
    assert (rejected["event_count"], rejected["title"]) == (2, "application.rejected: Hand In Job Application")
    assert samples["permits-e-mail"].rows[Incident] == []
    for sample in samples.values():
        assert load(tenancy, sample) == sample.size
    assert {len(permits.rows[model]) for model in (Decision, Action)} == {0, 1}


@pytest.mark.ledger("S4-047", "S4-001")
def test_the_page_tells_of_architecture_and_testing() -> None:
    page = (EXAMPLES.parents[1] / "docs" / "packs" / "incidents.md").read_text(encoding="utf-8")
    assert {"## Architecture", "## Testing", "## When something is wrong"} <= set(page.splitlines())


@pytest.mark.ledger("S4-045")
def test_the_examples_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("TENANTRY_URL", f"sqlite:///{tmp_path}/data")

    def run(*words: str) -> str:
        monkeypatch.setattr(sys, "argv", list(words))
        runpy.run_path(str(EXAMPLES / words[0]), run_name="__main__")
        return capsys.readouterr().out

    assert run("migrate.py") == "kill_switches: done. 3 vendors added.\n"
    assert run("add_sample_data.py").endswith("tenants: northwind-1, contoso-1, fabrikam-1.\n")
    tenancy = incidents_tenancy()
    with tenancy.session("northwind-1") as session:
        workflow = session.scalars(select(Workflow).filter_by(name="payment-run")).one()
    tenancy.close()
    door.reset()
    assert "payment.failed" in run("service.py", str(workflow.tenant_id), str(workflow.id))
    assert run("reset_db.py", "--yes") == "3 tenants erased.\n"
    with pytest.raises(SystemExit, match="--yes"):
        run("reset_db.py")
    monkeypatch.setenv("AWFDRS_TOKEN_KEY", secrets.token_hex(32))
    served = runpy.run_path(str(EXAMPLES / "app.py"))
    assert "/incidents" in served["app"].openapi()["paths"]
    served["tenancy"].close()


@pytest.mark.ledger("S4-045")
def test_the_schema_page_says_what_the_models_say() -> None:
    written = runpy.run_path(str(EXAMPLES.parents[1] / "tools" / "schema.py"))["written"]
    page = EXAMPLES.joinpath("DATABASE_SCHEMA.md").read_text(encoding="utf-8")
    assert written("tenantry.packs.incidents", "IncidentsBase", "Incidents") == page
