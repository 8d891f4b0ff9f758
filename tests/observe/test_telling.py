"""Logs and spans carry the tenant and what is known of the request; both are read back."""

from __future__ import annotations

import io
import json
import logging
import subprocess
import sys

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

from tenantry import Tenancy
from tenantry.errors import EraseNotConfirmed
from tenantry.observe import JSONLines, logger_of
from tenantry.observe.spans import export_operations, export_spans

from .models import Base, Folder

SECRET = "4711-secret"


@pytest.fixture
def lines():
    """A logger that writes JSON, and what reads it back."""
    stream, logger = io.StringIO(), logging.getLogger("shop")
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JSONLines())
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    logger.removeHandler(handler)


def test_logs_carry_the_tenant_and_the_request(door, place, lines):
    door.session.info.update(correlation_id="r-7", actor="ann")
    log = logger_of(door.session, "shop")
    log.info("Sold %d lamps\nand a chair", 3)
    log.warning("Alike", extra={"tenantry": {"order": 5}})
    first, second = lines()
    assert first["message"] == "Sold 3 lamps\nand a chair"
    assert first["tenant"] == f"near-{place.cell}"
    assert first["tenant_id"] == str(door.session.tenant.id)
    assert (first["correlation_id"], first["actor"], first["level"]) == ("r-7", "ann", "info")
    assert "impersonator" not in first
    assert (second["order"], second["tenant"], second["level"]) == (5, f"near-{place.cell}", "warning")


def test_what_is_passed_along_does_not_change_whose_it_is(door, place, lines):
    logger_of(door.session, logging.getLogger("shop")).info("x", extra={"tenantry": {"tenant": "another"}})
    assert lines()[0]["tenant"] == f"near-{place.cell}"


def test_an_exception_is_part_of_the_line(lines):
    try:
        raise ValueError("broken")
    except ValueError:
        logging.getLogger("shop").exception("It failed")
    assert "ValueError: broken" in lines()[0]["exception"]


@pytest.fixture
def traced(watched):
    """Spans of the place's sessions, as an exporter gets them."""
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    end = export_spans(watched.observer, provider)
    yield exporter, provider.get_tracer("shop")
    end()
    provider.shutdown()


def ask(session):
    session.info["correlation_id"] = "r-8"
    session.scalars(select(Folder).where(Folder.name == SECRET)).all()
    session.execute(text(f"SELECT '{SECRET}'"))


def serve(tenancy, key, tracer):
    with tracer.start_as_current_span("GET /folders"), tenancy.transaction(key) as session:
        ask(session)


async def serve_async(tenancy, key, tracer):
    with tracer.start_as_current_span("GET /folders"):
        async with tenancy.aio.transaction(key) as session:
            await session.run_sync(ask)


def test_spans_carry_the_tenant_and_stand_in_the_requests_span(ground, place, traced):
    exporter, tracer = traced
    if place.door == "sync":
        serve(ground.tenancy(place), f"near-{place.cell}", tracer)
    else:
        # The loop's own context: what this test's thread has set is not seen in it.
        ground.runner.run(serve_async(ground.tenancy(place), f"near-{place.cell}", tracer))
    spans = {span.name: span for span in exporter.get_finished_spans()}
    request, whole = spans["GET /folders"], spans["tenantry.transaction"]
    queries = [span for span in exporter.get_finished_spans() if span.name == "SELECT"]
    assert whole.parent.span_id == request.context.span_id
    assert len(queries) == 2
    assert {query.parent.span_id for query in queries} == {whole.context.span_id}
    for span in (whole, *queries):
        assert span.context.trace_id == request.context.trace_id
        assert span.attributes["tenantry.tenant"] == f"near-{place.cell}"
        assert span.attributes["tenantry.correlation_id"] == "r-8"
        assert span.attributes["db.system.name"] == ("postgresql" if place.postgresql else "sqlite")
        assert span.start_time <= span.end_time
    assert whole.attributes["tenantry.committed"] is True
    assert whole.attributes["tenantry.statements"] == 2
    assert "FROM folders" in queries[0].attributes["db.query.text"]
    assert SECRET not in str([span.to_json() for span in exporter.get_finished_spans()])


def test_a_statement_that_fails_is_a_span_that_says_so(door, traced):
    exporter, _ = traced
    with pytest.raises(DBAPIError):
        door.run(lambda session: session.execute(text("SELECT nothing_of_that_name")))
    door.rollback()
    failed, whole = exporter.get_finished_spans()
    assert failed.status.status_code is StatusCode.ERROR
    assert failed.attributes["error.type"]
    assert whole.attributes["tenantry.committed"] is False


def test_without_opentelemetry_a_sentence_names_the_extra():
    code = (
        "import sys; sys.modules['opentelemetry'] = None\n"
        "import tenantry.observe\n"
        "try: import tenantry.observe.spans\n"
        "except Exception as error: print(type(error).__name__, error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.startswith("ExtraMissing ")
    assert "tenantry[otel]" in done.stdout


def test_long_operations_are_spans_with_their_steps(tmp_path):
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    end = export_operations(provider)
    tenancy = Tenancy(f"sqlite:///{tmp_path}", models=Base)
    try:
        tenancy.install(create_tables=True)
        tenant = tenancy.tenants.create("acme")
        with pytest.raises(EraseNotConfirmed):
            tenancy.tenants.erase("acme", confirm="amce")
        end()
        tenancy.tenants.create("beta")
    finally:
        tenancy.close()
    created, refused = exporter.get_finished_spans()
    assert (created.name, refused.name) == ("tenantry.tenants.create", "tenantry.tenants.erase")
    assert created.attributes["tenantry.tenant_id"] == str(tenant.id)
    assert "create place" in [event.name for event in created.events]
    assert (created.status.status_code, refused.status.status_code) == (StatusCode.UNSET, StatusCode.ERROR)
