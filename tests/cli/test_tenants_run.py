"""``tenantry tenants run``: a command for each tenant, on SQLite."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

ECHO = 'echo "$TENANTRY_TENANT $TENANTRY_TENANT_ID"; echo careful >&2'


@pytest.fixture
def three(shop):
    """The program with the tenants acme, beta and gamma; beta has a setting."""
    shop.call("tenants", "create", "beta", "--setting", "plan=gold")
    shop.call("tenants", "create", "gamma")
    return shop


def ids(shop) -> dict[str, str]:
    return {tenant["slug"]: tenant["id"] for tenant in shop.call("tenants", "list", "--json").data}


def test_each_tenant_is_in_the_environment(three):
    result = three.call("tenants", "run", "--jobs", "2", "--", "sh", "-c", ECHO)
    assert result.code == 0
    assert sorted(result.out.splitlines()) == [f"{slug} | {slug} {identity}" for slug, identity in ids(three).items()]
    assert result.err.count("| careful") == 3
    assert "It ended well for 3 of 3 tenants." in result.said


def test_what_failed_is_told_and_the_others_go_on(three):
    result = three.call("tenants", "run", "sh", "-c", 'test "$TENANTRY_TENANT" != beta || exit 7')
    assert result.code == 3
    assert "beta" in result.out
    assert "exit code 7" in result.out
    assert "It ended well for 2 of 3 tenants." in result.said
    killed = three.call("tenants", "run", "--where", "slug=acme", "--", "sh", "-c", "kill -9 $$")
    assert (killed.code, "ended by signal 9" in killed.out) == (3, True)


def test_lines_for_machines(three):
    result = three.call("tenants", "run", "--json", "--", "sh", "-c", f"{ECHO}; test $TENANTRY_TENANT != acme")
    assert result.code == 3
    *tenants, summary = result.lines
    said = {line["tenant"]: (line["code"], line["out"], line["err"]) for line in tenants}
    assert said["beta"] == (0, f"beta {ids(three)['beta']}\n", "careful\n")
    assert said["acme"][0] == 1
    assert summary == {"event": "summary", "ok": False, "done": 2, "failed": ["acme"]}


@pytest.mark.parametrize(
    ("conditions", "wanted"),
    [
        (["slug=b*"], ["beta"]),
        (["slug=acme,gamma"], ["acme", "gamma"]),
        (["setting.plan=gold"], ["beta"]),
        (["tenant=slack:T012"], ["acme"]),
        (["isolation=database", "server=main", "name=g*"], ["gamma"]),
    ],
)
def test_only_some_tenants(three, conditions, wanted):
    options = [option for condition in conditions for option in ("--where", condition)]
    result = three.call("tenants", "run", *options, "--", "sh", "-c", "echo here")
    assert result.out.splitlines() == [f"{slug} | here" for slug in wanted]


def test_a_suspended_tenant_is_left_alone(three):
    three.call("tenants", "suspend", "beta")
    result = three.call("tenants", "run", "--", "true")
    assert "It ended well for 2 of 2 tenants." in result.said


def test_a_command_that_is_a_tenantry_of_the_same_program(three):
    (three.directory / "pyproject.toml").unlink()
    named = f"{three.module}:tenancy"
    inner = f"{sys.executable.rpartition('/')[0]}/tenantry shell $TENANTRY_TENANT -c 'print(tenant.slug)'"
    result = three.run("--app", named, "tenants", "run", "--where", "slug=beta", "--", "sh", "-c", inner)
    assert (result.code, result.out) == (0, "beta | beta\n")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "Missing argument"),
        (["--", "no-such-command-here"], "There is no command 'no-such-command-here'"),
        (["--where", "slug=zz*", "--", "true"], "No active tenant matches --where slug=zz*"),
        (["--where", "colour=red", "--", "true"], "setting.NAME"),
        (["--jobs", "0", "--", "true"], "Invalid value"),
    ],
)
def test_a_mistake_is_one_sentence(three, arguments, sentence):
    result = three.call("tenants", "run", *arguments)
    assert (result.code, result.out) == (2, "")
    assert sentence in result.said


def test_an_interrupt_ends_the_commands(three):
    """The command for the first tenant says its process number and would go on for ever."""
    command = three.command("tenants", "run", "--", "sh", "-c", "echo $$; exec sleep 600")
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(**command, **pipes, start_new_session=True) as running:
        number = int(running.stdout.readline().rpartition("| ")[2])
        os.kill(running.pid, signal.SIGINT)
        out, said = running.communicate(timeout=60)
    assert running.returncode == 130
    assert "Interrupted" in said
    assert out == "", "nothing more was begun"
    with pytest.raises(ProcessLookupError):
        os.kill(number, 0)
