"""Outside judges find nothing wrong with an installation, and find what is planted in a copy of it."""

from __future__ import annotations

import re
import tomllib
from typing import Any

import psycopg
import pytest

from tenantry import Config
from tenantry.isolation.appending import function_body

from .conftest import Installation
from .pgrls import JUDGES, SETTINGS, Judgement, ask, command

pytestmark = pytest.mark.soak

TENANT = "tenant_id = (select current_setting('tenantry.tenant')::uuid)"
POLICY = "POLICY tenantry_isolation ON {table}"
MAKE = f"DROP {POLICY}; CREATE {POLICY} FOR ALL TO tenantry_app, tenantry_owner"

# What a careless hand may do to the wall of one table, and which judges must then object.
FAULTS = {
    "FORCE dropped": (["lint"], "ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY"),
    "row-level security off": (
        ["lint", "cross-tenant", "write", "anon"],
        "ALTER TABLE {table} DISABLE ROW LEVEL SECURITY",
    ),
    "policy missing": (["lint"], f"DROP {POLICY}"),
    "USING (true)": (["lint", "cross-tenant", "write"], f"{MAKE} USING (true) WITH CHECK ({TENANT})"),
    "WITH CHECK (true)": (["lint", "write"], f"{MAKE} USING ({TENANT}) WITH CHECK (true)"),
    "WITH CHECK dropped from INSERT": (
        ["write"],
        f"DROP {POLICY}; CREATE {POLICY} FOR SELECT TO tenantry_app USING ({TENANT});"
        " CREATE POLICY adding ON {table} FOR INSERT TO tenantry_app WITH CHECK (tenant_id IS NOT NULL)",
    ),
    "rows of nobody shown to all": (
        ["cross-tenant", "write", "anon"],
        f"ALTER {POLICY} USING (tenant_id IS NULL OR {TENANT})",
    ),
    "a second policy for everybody": (
        ["lint", "cross-tenant", "anon"],
        "CREATE POLICY curious ON {table} FOR SELECT TO PUBLIC USING (true)",
    ),
}


@pytest.mark.parametrize("judge", JUDGES)
def test_judge_clears_the_installation(judge: str, installation: Installation, record_property: Any) -> None:
    said = ask(judge, installation.url, installation.judged)
    record_property("judgement", f"{installation.database}: {' '.join(command(judge, ['...']))}: {said.summary}")
    assert said.clears(installation.tables), said.report
    assert "UNVERIFIED" not in said.report
    assert judge != "lint" or said.summary == "pgrls: no issues found.", said.report


@pytest.mark.parametrize("judge", JUDGES)
def test_judge_clears_an_installation_whose_tenants_are_moved(
    judge: str, fenced: Installation, record_property: Any
) -> None:
    said = ask(judge, fenced.url, fenced.judged)
    record_property("judgement", f"{fenced.database}: {' '.join(command(judge, ['...']))}: {said.summary}")
    assert said.clears(fenced.tables), said.report
    assert "UNVERIFIED" not in said.report


@pytest.mark.parametrize("installation", ["helpdesk"], indirect=True)
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("where", ["common tables", "a tenant's schema"])
def test_judges_object_to_a_planted_fault(
    fault: str, where: str, installation: Installation, record_property: Any
) -> None:
    objecting, statement = FAULTS[fault]
    schema = "public" if where == "common tables" else installation.schemas[0]
    with installation.copy(statement.format(table=f"{schema}.tickets")) as url:
        said = {judge: ask(judge, url, installation.judged) for judge in JUDGES}
    line = ", ".join(f"{judge} {_word(judgement, installation)}" for judge, judgement in said.items())
    record_property("judgement", f"{installation.database}: {fault} in {where}: {line}")
    for judge in objecting:
        assert not said[judge].clears(installation.tables), said[judge].report


def _word(judgement: Judgement, installation: Installation) -> str:
    return "clears" if judgement.clears(installation.tables) else "OBJECTS"


def test_tables_exempted_from_the_linter_are_closed_by_grants(installation: Installation) -> None:
    exempted = tomllib.loads(SETTINGS.read_text())["lint"]["rules"]["SEC001"]["allowlist"]
    rights = ["SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER"]
    with psycopg.connect(installation.url) as connection:
        for table in exempted:
            held = connection.execute(
                "SELECT r FROM unnest(%s::text[]) r WHERE has_table_privilege('tenantry_app', to_regclass(%s), r)",
                [rights, table],
            ).fetchall()
            assert held == ([("SELECT",)] if _is_shared(connection, table) else []), table


def test_no_trigger_stands_on_a_tenants_table_but_those_that_keep_its_rows(installation: Installation) -> None:
    question = """
        SELECT DISTINCT t.tgname::text, t.tgfoid::regproc::text, p.prosecdef, p.prosrc FROM pg_trigger t
        JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
        JOIN pg_proc p ON p.oid = t.tgfoid
        WHERE NOT t.tgisinternal AND n.nspname = ANY(%s)"""
    with psycopg.connect(installation.url) as connection:
        found = connection.execute(question, [installation.judged]).fetchall()
    names = (
        ("tenantry_append_only", "tenantry_append_only_truncate")
        if installation.database in ("kinds", "helpdesk")
        else ()
    )
    body = function_body(Config())
    ours = {(name, "tenantry_extensions.tenantry_keep_rows", False, body) for name in names}
    assert set(found) == ours
    # It reads no table: whoever runs it, no policy is in question.
    assert not re.search(r"\b(from|join|into|select|execute)\b", body, re.IGNORECASE)


def _is_shared(connection: psycopg.Connection, table: str) -> bool:
    known = connection.execute("SELECT to_regclass(%s) IS NOT NULL", [table]).fetchone()
    return known == (True,) and table.startswith("tenantry_shared.")
