"""``tenantry fleet``: its help, what is asked wrongly, its scripts, and what it says on SQLite."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from tenantry.cli.fleeting import app
from tenantry.packs.assistant import MIGRATIONS
from tenantry.settings import Config

VERBS = sorted(typer.main.get_command(app).commands)
SQITCH = {
    "sqitch.plan": "%syntax-version=1.0.0\n%project=shop\n\n"
    "tickets 2026-01-02T03:04:05Z Ann <ann@example.com> # Tickets of each tenant.\n"
    "@v1 2026-01-02T03:04:06Z Ann <ann@example.com> # The first.\n",
    "deploy/tickets.sql": "CREATE TABLE tickets (subject TEXT NOT NULL);\n",
    "revert/tickets.sql": "DROP TABLE tickets;\n",
    "verify/tickets.sql": "SELECT subject FROM tickets WHERE 1 = 0;\n",
    "deploy/notes.sql": "CREATE TABLE notes (text TEXT NOT NULL);\n",
    "revert/notes.sql": "DROP TABLE notes;\n",
    "verify/notes.sql": "SELECT text FROM notes WHERE 1 = 0;\n",
}


def test_the_scripts_of_a_package_are_found_by_its_name() -> None:
    assert Config(migrations="tenantry.packs.assistant:migrations").migrations == MIGRATIONS


@pytest.mark.parametrize(
    "path", ["migrations", "a/migrations", "C:\\migrations", "no.package:there", "json.decoder:it"]
)
def test_whatever_else_names_scripts_is_a_path(path: str) -> None:
    assert Config(migrations=path).migrations == path


@pytest.fixture
def files(shop):
    """The program on SQLite files with scripts, at its first revision; the tenant acme has a file of its own."""
    shop.environment["TENANTRY_MIGRATIONS"] = "migrations"
    assert shop.call("fleet", "init").code == 0
    return shop


def revision(shop, *arguments: str) -> Path:
    made = shop.call("fleet", "revision", *arguments)
    assert made.code == 0, made
    assert "Next: tenantry fleet plan" in made.said
    return Path(made.out.strip())


def test_every_verb_of_the_issue_is_there():
    wanted = "init revision plan upgrade downgrade status current history heads stamp check sql pause resume rollback"
    assert {*wanted.split(), "work", "reset", "verify"} == set(VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_teaches_by_an_example(program, verb):
    result = program.call("fleet", verb, "--help")
    assert result.code == 0
    assert f"tenantry fleet {verb}" in result.said or f"tenantry fleet --sqitch db {verb}" in result.said
    assert "Example" in result.out


def test_help_of_the_fleet_needs_no_alembic():
    code = (
        "import sys\n"
        "from tenantry.cli import main\n"
        "sys.argv[1:] = ['fleet', '--help']\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print('HEAVY', 'alembic' in sys.modules, file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip().endswith("HEAVY False")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["upgrade", "--canary", "5%", "--canary", "acme"], "mixes a share with others"),
        (["upgrade", "--canary", "0%"], "not above 0 and at most 100"),
        (["upgrade", "--canary", "nobody"], "No tenant has the key 'nobody'"),
        (["upgrade", "--max-failures", "few"], "is no number"),
        (["upgrade", "--health", "nowhere:check"], "There is no module 'nowhere'"),
        (["upgrade", "--health", "json:loads.nothing"], "has no 'loads.nothing'"),
        (["upgrade", "--health", "json:__name__"], "cannot be called"),
        (["upgrade", "--where", "colour=red"], "says nothing that can be looked for"),
        (["upgrade", "--where", "slug="], "says nothing that can be looked for"),
        (["upgrade", "--where", "slug=zz*"], "No home matches --where slug=zz*"),
        (["upgrade", "--where", "tenant=nobody"], "No tenant has the key"),
        (["upgrade", "--jobs", "0"], "Invalid value"),
        (["upgrade", "--lock-timeout", "0"], "Invalid value"),
        (["upgrade", "--no-such-option"], "No such option"),
        (["upgrade", "abcdef"], "There is no revision 'abcdef'"),
        (["upgrade", "--backup"], "No store was named, so there is nowhere to keep archives."),
        (["downgrade"], "Missing argument"),
        (["downgrade", "base"], "Add --yes."),
        (["downgrade", "-7", "--yes"], "There is no revision '-7'"),
        (["stamp", "abcdef"], "There is no revision 'abcdef'"),
        (["revision"], "A revision without a message says nothing"),
        (["revision", "-m", "x", "--merge", "--autogenerate"], "two different things"),
        (["revision", "-m", "x", "--head", "abcdef"], "There is no revision 'abcdef'"),
        (["history", "-r", "abcdef:"], "Alembic refused"),
        (["init"], "has an env.py already"),
        (["resume"], "has no run to resume"),
        (["resume", "not-a-run"], "Invalid value"),
        (["pause"], "has no run yet"),
        (["rollback"], "has no run yet"),
        (["verify"], "have no verify scripts"),
        (["reset"], "add --confirm data"),
        (["reset", "--yes"], "This is no development server"),
        (["--sqitch", "nowhere", "status"], "No migrations were found"),
    ],
)
def test_a_mistake_is_one_sentence_and_changes_nothing(untouched, arguments, sentence):
    before = untouched.call("fleet", "current", "--json").out
    result = untouched.call("fleet", *arguments)
    assert result.code == 2, result
    assert sentence in result.said
    assert result.out == ""
    assert "Traceback" not in result.err
    assert untouched.call("fleet", "current", "--json").out == before


def test_without_migrations_the_way_to_them_is_said(shop):
    result = shop.call("fleet", "status")
    assert result.code == 2
    assert "`tenantry fleet init` makes the directory" in result.said


def test_scripts_written_read_and_brought_to_every_file(files):
    """Alembic's verbs, in the order in which one types them; pyproject.toml names the directory."""
    del files.environment["TENANTRY_MIGRATIONS"]
    project = files.directory / "pyproject.toml"
    project.write_text(f'{project.read_text()}migrations = "migrations"\n')
    assert "There is no revision yet." in files.call("fleet", "history").said
    files.call("fleet", "stamp", "base")
    assert files.call("fleet", "upgrade").code == 0
    path = revision(files, "-m", "a note")
    assert "def upgrade()" in path.read_text()
    (entry,) = files.call("fleet", "heads", "--json").lines
    assert (entry["before"], entry["head"], entry["says"]) == ("base", True, "a note")
    result = files.call("fleet", "upgrade", "--json")
    assert result.code == 0
    *steps, summary = result.lines
    done = {step["home"]: step["state"] for step in steps if step["event"] == "record"}
    assert done == dict.fromkeys(["main/platform", "main/common", "acme"], "done")
    assert (summary["ok"], summary["done"], summary["failed"], summary["next"]) == (True, 3, [], [])


def test_two_heads_are_refused_and_merged(files):
    first = revision(files, "-m", "first", "--rev-id", "one")
    for name in ("left", "right"):
        revision(files, "-m", name, "--rev-id", name, "--head", "one", *(["--splice"] if name == "right" else []))
    refused = files.call("fleet", "upgrade")
    assert refused.code == 2
    assert "has 2 heads: left, right" in refused.said
    assert "--merge" in refused.said
    heads = files.call("fleet", "heads", "--json").lines
    assert {line["revision"] for line in heads} == {"left", "right"}
    revision(files, "--merge", "-m", "both again")
    assert len(files.call("fleet", "heads", "--json").lines) == 1
    listed = files.call("fleet", "history", "-r", "one:left").out
    assert re.search(r"left +│ one", listed)
    assert "right" not in listed
    assert files.call("fleet", "upgrade").code == 0
    assert first.exists()


def test_a_stamp_puts_on_record_and_runs_nothing(files):
    path = revision(files, "-m", "breaks", "--rev-id", "one")
    path.write_text(path.read_text().replace("pass", "raise RuntimeError", 1))
    stamped = files.call("fleet", "stamp", "head")
    assert stamped.code == 0
    assert "head is on record in 3 homes." in stamped.said
    assert {line["position"] for line in files.call("fleet", "current", "--json").lines} == {"at"}
    (line, _) = files.call("fleet", "stamp", "base", "--where", "tenant=acme", "--json").lines
    assert (line["home"], line["before"], line["after"]) == ("acme", "one", None)


def test_findings_are_told_with_what_to_do(files):
    revision(files, "-m", "behind")
    result = files.call("fleet", "check", "--where", "tenant=acme", "--no-orphans")
    assert result.code == 1
    assert "1 finding in 1 home." in result.said
    assert "What to do:" in result.out
    *found, summary = files.call("fleet", "check", "--json").lines
    assert {finding["message"] for finding in found} == {"It holds tables, but no revision is recorded in it."}
    assert summary == {"event": "summary", "ok": False, "findings": 3, "homes": 3}


def test_a_sqitch_project_is_a_history_too(shop):
    """A home that was made from the models is put on record as deployed; what is planned later is deployed to it."""
    for name, text in SQITCH.items():
        path = shop.directory / "db" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    planned = shop.call("fleet", "--sqitch", "db", "upgrade", "@v1", "--dry-run")
    assert "Next: tenantry fleet --sqitch db upgrade @v1" in planned.said
    assert shop.call("fleet", "--sqitch", "db", "upgrade", "@v1").code == 0
    with (shop.directory / "db" / "sqitch.plan").open("a") as plan:
        plan.write("notes 2026-01-03T03:04:05Z Ann <ann@example.com> # Notes of each tenant.\n")
    project = shop.directory / "pyproject.toml"
    project.write_text(f'{project.read_text()}sqitch = "db"\n')
    listed = shop.call("fleet", "history", "--json").lines
    assert [(line["revision"], line["before"], line["head"]) for line in listed] == [
        ("notes", "tickets @v1", True),
        ("tickets @v1", "base", False),
    ]
    assert shop.call("fleet", "upgrade").code == 0
    assert re.search(r"main +│ file +│ [0-9a-f]{12} +│ at +│ 1", shop.call("fleet", "status").out)
    assert "0 findings in 1 home." in shop.call("fleet", "verify").said
    assert shop.call("fleet", "downgrade", "base", "--yes").code == 0
    assert "base" in shop.call("fleet", "current").out
