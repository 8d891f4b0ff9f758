"""``tenantry fleet`` on a server: planned, tried on a canary, failed, mended, resumed, taken back."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import signal
import subprocess
import uuid
from collections.abc import Iterator

import psycopg
import pytest

from tenantry.archive.keys import new_key

HOMES = {"main/common", "acme", "globex", "initech"}


@contextlib.contextmanager
def priority_in(fleet, slug: str) -> Iterator[None]:
    """A home that cannot take the second revision."""
    fleet.sql(slug, "ALTER TABLE tickets ADD COLUMN priority integer")
    yield
    fleet.sql(slug, "ALTER TABLE tickets DROP COLUMN priority")


def run_in(result) -> str:
    return re.search(r"Run (\S+) is", result.said).group(1)


def test_a_plan_changes_nothing(fleet):
    fleet.add_priority()
    planned = fleet.call("plan", "--canary", "acme")
    assert planned.code == 0
    assert re.search(r"canary +│ main +│ schema +│ one +│ two +│ two +│ 1 +│ acme", planned.out)
    assert re.search(r"rest +│ main +│ schema +│ one +│ two +│ two +│ 2 +│ globex, initech", planned.out)
    assert "nothing was changed. Next: tenantry fleet upgrade head" in planned.said
    dry = fleet.call("upgrade", "--canary", "acme", "--dry-run", "--json")
    *homes, summary = dry.lines
    assert {(line["home"], line["ring"], tuple(line["steps"])) for line in homes} == {
        ("acme", "canary", ("two",)),
        *((home, "rest", ("two",)) for home in HOMES - {"acme"}),
    }
    assert summary["next"] == ["tenantry fleet upgrade head --canary acme"]
    assert set(fleet.standing().values()) == {"one"}


def test_every_home_is_upgraded_and_the_exit_code_says_so(fleet):
    fleet.add_priority()
    result = fleet.call("upgrade", "--canary", "34%", "--health", "(select count(*) from tickets) = 0")
    assert result.code == 0, result
    assert "4 of 4 homes are at two." in result.said
    assert "upgrade: asking whether the canaries are well: 2" in result.said
    assert fleet.standing() == dict.fromkeys(HOMES, "two")
    again = fleet.call("upgrade")
    assert (again.code, again.out) == (0, "")
    assert "Nothing to do" in again.said
    assert fleet.call("current", "--check-heads").code == 0
    assert "0 findings in 4 homes" not in fleet.call("check").said, "the models know no priority"


def test_one_poisoned_tenant_is_reported_with_its_error_and_what_to_do(fleet):
    fleet.add_priority()
    with priority_in(fleet, "globex"):
        result = fleet.call("upgrade")
    assert result.code == 3
    assert "3 of 4 homes are at two, 1 failed." in result.said
    assert re.search(r"globex │ failed │ one +│ .*already exists \(SQLSTATE 42701\)", result.out)
    run = run_in(result)
    assert f"Next: tenantry fleet resume {run} (when the cause is mended)" in result.said
    assert fleet.standing() == dict.fromkeys(HOMES, "two") | {"globex": "one"}
    assert fleet.call("current", "--check-heads").code == 3
    status = fleet.call("status")
    assert "3 of 4 homes are at two." in status.said
    assert "42701" in status.out
    resumed = fleet.call("resume", run)
    assert resumed.code == 0, resumed
    assert fleet.standing() == dict.fromkeys(HOMES, "two")


def test_a_failing_canary_leaves_every_other_home_untouched(fleet):
    fleet.add_priority()
    with priority_in(fleet, "acme"):
        result = fleet.call("upgrade", "--canary", "acme", "--json")
    assert result.code == 3
    summary = result.lines[-1]
    assert (summary["event"], summary["ok"], summary["state"], summary["left"]) == ("summary", False, "stopped", 3)
    assert [(home["home"], "42701" in home["error"]) for home in summary["failed"]] == [("acme", True)]
    assert summary["next"][0].startswith(f"tenantry fleet resume {summary['run']}")
    assert set(fleet.standing().values()) == {"one"}


def test_a_canary_that_is_not_well_stops_the_run_and_is_rolled_back(fleet):
    fleet.add_priority()
    fleet.program.write("checks", "def is_well(session):\n    return session.tenant.slug != 'acme'\n")
    result = fleet.call("upgrade", "--canary", "acme", "--health", "checks:is_well")
    assert result.code == 3
    assert "The health check of acme answered False." in result.said
    run = run_in(result)
    assert fleet.standing() == dict.fromkeys(HOMES, "one") | {"acme": "two"}
    refused = fleet.call("rollback", run, "--ring", "canary")
    assert refused.code == 2
    assert "1 home would go back to where run" in refused.said
    assert "Add --yes." in refused.said
    back = fleet.call("rollback", run, "--ring", "canary", "--yes")
    assert back.code == 0, back
    assert "1 of 1 home is back." in back.said
    assert set(fleet.standing().values()) == {"one"}
    assert "rolled_back and cannot be resumed" in fleet.call("resume", run).said


@pytest.mark.soak
def test_a_run_with_a_function_goes_on_only_with_one(fleet):
    fleet.add_priority()
    fleet.program.write("checks", "def no(session):\n    return False\n\n\ndef yes(session):\n    return True\n")
    stopped = fleet.call("upgrade", "--canary", "acme", "--health", "checks:no", "--json").lines[-1]
    assert stopped["next"][0] == f"tenantry fleet resume {stopped['run']} --health …"
    refused = fleet.call("resume")
    assert refused.code == 2
    assert "was begun with health=" in refused.said
    assert fleet.call("resume", "--health", "checks:yes").code == 0
    assert fleet.standing() == dict.fromkeys(HOMES, "two")


def test_down_by_one_and_up_to_a_name(fleet):
    fleet.add_priority()
    assert fleet.call("upgrade", "two").code == 0
    refused = fleet.call("downgrade", "-1")
    assert refused.code == 2
    assert "Every home beyond -1 would go back to it" in refused.said
    assert fleet.call("downgrade", "-1", "--yes").code == 0
    assert set(fleet.standing().values()) == {"one"}
    assert fleet.call("upgrade", "+1").code == 0
    assert set(fleet.standing().values()) == {"two"}


@pytest.mark.soak
def test_only_some_homes(fleet):
    fleet.add_priority()
    assert fleet.call("upgrade", "--where", "tenant=acme").code == 0
    assert fleet.call("upgrade", "--where", "kind=schema", "--where", "slug=g*,nobody").code == 0
    assert fleet.standing() == {"main/common": "one", "acme": "two", "globex": "two", "initech": "one"}
    shown = fleet.call("status", "--where", "home=main/*", "--json").lines
    assert [line["home"] for line in shown if line["event"] == "home"] == ["main/common"]


def test_a_backup_comes_before_each_tenant(fleet):
    fleet.add_priority()
    refused = fleet.call("upgrade", "--backup")
    assert refused.code == 2
    assert "No store was named" in refused.said
    assert set(fleet.standing().values()) == {"one"}
    call, environment = fleet.program.call, fleet.program.environment
    assert call("tenants", "create", "umbrella", "--isolation", "rows", "--record", '{"name": "U"}').code == 0
    environment["TENANTRY_ARCHIVE"] = f"{fleet.program.directory}/backups"
    environment["TENANTRY_ARCHIVE_KEYS"] = new_key("one")
    assert fleet.call("upgrade", "--backup").code == 0
    archives = call("archive", "list", "--json").data
    assert {(each["revision"], each["detail"]["note"]) for each in archives} == {("one", "before a migration")}
    tenants = {each["id"]: each["slug"] for each in call("tenants", "list", "--json").data}
    assert sorted(tenants[each["tenant"]] for each in archives) == ["acme", "globex", "initech", "umbrella"]
    # A function of the program's comes before the archive.
    keep = "def keep(tenant):\n    with open('kept', 'a') as file:\n        print(tenant.slug, file=file)\n"
    fleet.program.write("ops", keep)
    environment["TENANTRY_BACKUP"] = "ops:keep"
    assert fleet.call("downgrade", "one", "--backup", "--yes").code == 0
    kept = (fleet.program.directory / "kept").read_text().split()
    assert sorted(kept) == ["acme", "globex", "initech", "umbrella"]


def test_the_sql_is_shown_and_not_run(fleet):
    fleet.add_priority()
    shown = fleet.call("sql")
    assert shown.code == 0
    assert shown.out.count("ADD COLUMN priority") == 2, "one home of each kind stands for all"
    assert "SET LOCAL lock_timeout" in shown.out
    assert fleet.call("upgrade", "head", "--sql").out == shown.out
    assert set(fleet.standing().values()) == {"one"}
    fleet.call("upgrade")
    assert "Nothing to do" in fleet.call("sql").said


def test_a_worker_finds_nothing_and_what_was_paused_goes_on(fleet):
    fleet.add_priority()
    idle = fleet.call("work")
    assert idle.code == 0
    assert "No work is left." in idle.said
    with priority_in(fleet, "acme"):
        run = fleet.call("upgrade", "--canary", "acme", "--json").lines[-1]["run"]
    refused = fleet.call("pause", run)
    assert refused.code == 2
    assert "is stopped and cannot be paused" in refused.said
    assert fleet.call("status", "--run", run, "--json").lines[-1]["left"] == 3
    assert re.search(r"globex +│ rest +│ pending", fleet.call("status", "--run", run).out)


def test_pausing_a_run_that_another_process_works_on(fleet):
    """A lock keeps one home busy until the pause has arrived; then the run stands still, and goes on when asked."""
    fleet.add_priority()
    owner = fleet.program.environment["TENANTRY_OWNER_URL"]
    arguments = ("fleet", "upgrade", "--jobs", "1", "--attempts", "500", "--lock-timeout", "0.05", "--json")
    with psycopg.connect(owner) as reader:
        reader.execute("LOCK TABLE public.tickets IN ACCESS SHARE MODE")
        with subprocess.Popen(**fleet.program.command(*arguments), stdout=subprocess.PIPE, text=True) as upgrading:
            begun = next(line for line in map(json.loads, upgrading.stdout) if line["event"] == "record")
            assert (begun["home"], begun["state"]) == ("main/common", "pending")
            paused = fleet.call("pause")
            assert "is paused" in paused.said
            assert "Next: tenantry fleet resume" in paused.said
            last = [json.loads(line) for line in upgrading.stdout][-1]
        assert (upgrading.returncode, last["state"], last["done"]) == (3, "paused", 0)
    assert set(fleet.standing().values()) == {"one"}
    assert fleet.call("resume").code == 0
    assert fleet.standing() == dict.fromkeys(HOMES, "two")


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_says_how_to_go_on(fleet, sent):
    fleet.add_priority()
    owner = fleet.program.environment["TENANTRY_OWNER_URL"]
    arguments = ("fleet", "upgrade", "--attempts", "500", "--lock-timeout", "0.05", "--json")
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with psycopg.connect(owner) as reader:
        reader.execute("LOCK TABLE public.tickets IN ACCESS SHARE MODE")
        with subprocess.Popen(**fleet.program.command(*arguments), **pipes) as upgrading:
            next(line for line in map(json.loads, upgrading.stdout) if line["event"] == "record")
            upgrading.send_signal(sent)
            _, said = upgrading.communicate(timeout=60)
    assert upgrading.returncode == 130
    assert "Interrupted" in said
    assert "tenantry fleet resume" in said
    assert "Traceback" not in said
    assert fleet.call("resume").code == 0
    assert fleet.standing() == dict.fromkeys(HOMES, "two")


@pytest.mark.soak
def test_a_worker_that_goes_on_for_ever_brings_up_who_fell_behind(fleet):
    fleet.add_priority()
    assert fleet.call("upgrade").code == 0
    assert fleet.call("downgrade", "one", "--where", "tenant=acme", "--yes").code == 0
    arguments = ("fleet", "work", "--forever", "--poll", "0.1", "--json")
    with subprocess.Popen(**fleet.program.command(*arguments), stdout=subprocess.PIPE, text=True) as working:
        last = next(line for line in map(json.loads, working.stdout) if line["event"] == "summary")
        working.send_signal(signal.SIGTERM)
    assert (working.returncode, last["ok"], last["done"]) == (130, True, 1)
    assert fleet.standing() == dict.fromkeys(HOMES, "two")


def test_what_to_type_next_names_the_program_that_was_named(fleet):
    fleet.add_priority()
    (fleet.program.directory / "pyproject.toml").unlink()
    named = f"{fleet.program.module}:tenancy"
    planned = fleet.program.call("--app", named, "fleet", "plan")
    assert f"Next: tenantry --app {named} fleet upgrade head" in planned.said


def test_a_terminal_gets_a_bar_and_the_error_channel_alone(fleet):
    fleet.add_priority()
    ours, theirs = pty.openpty()
    command = fleet.program.command("fleet", "upgrade")
    command["env"] = {**command["env"], "TERM": "xterm", "NO_COLOR": ""}
    with subprocess.Popen(**command, stdout=subprocess.PIPE, stderr=theirs, stdin=theirs) as upgrading:
        os.close(theirs)
        seen = b""
        with contextlib.suppress(OSError):  # what Linux raises where the other side of a terminal is closed
            while piece := os.read(ours, 4096):
                seen += piece
        out = upgrading.stdout.read()
    os.close(ours)
    assert (upgrading.returncode, out) == (0, b"")
    said = seen.decode()
    assert "━" in said
    assert re.search(r"\d done, \d failed, \d left", said)
    assert "4 of 4 homes are at two." in " ".join(said.split())


def test_a_reset_has_to_be_meant(fleet):
    fleet.add_priority()
    assert fleet.call("upgrade").code == 0
    fleet.sql("acme", "INSERT INTO tickets (tenant_id, id, subject) SELECT id, id, 'x' FROM tenantry.tenants LIMIT 1")
    database = fleet.program.environment["TENANTRY_URL"].rpartition("/")[2]
    for arguments in ([], ["--confirm", "other"]):
        refused = fleet.call("reset", *arguments)
        assert refused.code == 2
        assert f"add --confirm {database}" in refused.said
    assert fleet.sql("acme", "SELECT count(*) FROM tickets") == [(1,)]
    assert fleet.call("reset", "--confirm", database).code == 0
    assert fleet.standing() == dict.fromkeys(HOMES, "two")
    assert fleet.sql("acme", "SELECT count(*) FROM tickets") == [(0,)]
    assert fleet.program.call("tenants", "show", "acme").code == 0


def test_the_newest_run_of_a_fleet_without_one(fleet):
    unknown = str(uuid.uuid4())
    for command in (["rollback", unknown, "--yes"], ["status", "--run", unknown], ["resume", unknown]):
        refused = fleet.call(*command)
        assert refused.code == 2
        assert f"has no run {unknown}" in refused.said
