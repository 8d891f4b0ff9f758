"""``tenantry demo`` as a user runs it: what it prints, how it exits, and what it leaves behind."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

LIMIT = 240
MAIN = "from tenantry.cli import main; main()"
# Once everything is loaded, the wall of the common tickets is taken down.
TAMPERED = f"""
import psycopg
from tenantry.cli.demo import acts, world

def tamper(server):
    with psycopg.connect(server.url(world.DATABASE), autocommit=True) as connection:
        connection.execute("DROP POLICY tenantry_isolation ON public.tickets")
        connection.execute("ALTER TABLE public.tickets DISABLE ROW LEVEL SECURITY")

acts.gather_statistics = tamper
{MAIN}
"""


def run(*arguments: str, directory: Path, program: str = MAIN) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "TMPDIR": str(directory)}
    command = [sys.executable, "-c", program, "demo", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, env=environment)


def test_check_holds_and_leaves_nothing_behind(tmp_path: Path) -> None:
    done = run("--check", "--scale", "small", directory=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert re.match(
        r"HELD  [\d,]+ rows counted where they were loaded; \d+ attempts on \d+ routes and \d+ requests: no foreign",
        lines[-1],
    )
    assert "✗" not in done.stdout
    routes = [line for line in lines if re.match(r"\d+ +\S.*✓", line)]
    assert len(routes) >= 20
    tenants = [line for line in lines if re.match(r"[a-z-]+ +(PostgreSQL|SQLite) +(rows|schema|database|file) ", line)]
    assert len(tenants) == 12
    assert {tuple(line.split()[1:3]) for line in tenants} == {
        ("PostgreSQL", "rows"),
        ("PostgreSQL", "schema"),
        ("PostgreSQL", "database"),
        ("SQLite", "rows"),
        ("SQLite", "file"),
    }
    assert [*tmp_path.glob("tenantry-demo-*")] == []


def test_check_fails_when_a_policy_is_gone(tmp_path: Path) -> None:
    done = run("--check", "--scale", "small", directory=tmp_path, program=TAMPERED)
    assert done.returncode == 1, done.stdout + done.stderr
    verdict = done.stdout.partition("NOT HELD")[2].splitlines()
    assert re.match(r"  \d+ numbers are off\.", verdict[0])
    assert any("SELECT * FROM tickets, PostgreSQL rows: GOT IN: saw" in line for line in verdict)
    assert not any("PostgreSQL schema" in line or "PostgreSQL database" in line or "SQLite" in line for line in verdict)


def test_a_directory_without_logs_is_a_mistake_said_in_one_sentence(tmp_path: Path) -> None:
    done = run("--data", str(tmp_path), directory=tmp_path)
    assert done.returncode == 2
    assert "has no helpdesk_events.csv.gz" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_interruption_cleans_up(tmp_path: Path) -> None:
    environment = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(
        [sys.executable, "-c", MAIN, "demo"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )
    try:
        assert process.stdout
        for line in process.stdout:
            if "created 12 tenants" in line:
                assert [*tmp_path.glob("tenantry-demo-*")]
                process.send_signal(signal.SIGINT)
                break
        _, errors = process.communicate(timeout=LIMIT)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 130
    assert errors.strip() == "Stopped. Server and files are gone."
    assert [*tmp_path.glob("tenantry-demo-*")] == []
