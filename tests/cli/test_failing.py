"""Errors and their exit codes; one that nobody expected keeps its traceback."""

from __future__ import annotations

import pytest

from tenantry import errors
from tenantry.cli import failing


def test_a_mistake_and_a_failure_have_codes_of_their_own():
    assert failing.explain(errors.TenantNotFound(key="x"))[1] == 2
    assert failing.explain(errors.OutcomeUnknown(action="a commit"))[1] == 1


def test_an_error_of_the_system():
    sentence, code = failing.explain(PermissionError(13, "Permission denied", "/data/catalog.sqlite3"))
    assert (sentence, code) == ("Permission denied: /data/catalog.sqlite3", 1)


def test_what_a_person_sees_when_the_server_is_down(program):
    program.environment["TENANTRY_URL"] = "postgresql://app:hush-hush@127.0.0.1:1/saas"
    result = program.run("install")
    assert (result.code, result.out) == (1, "")
    assert result.err.strip() == (
        "Nothing listens at 127.0.0.1:1. Check that the server runs, and the host and port of the URL."
    )


def test_an_unexpected_error_is_not_swallowed():
    with pytest.raises(RuntimeError, match="a bug"):
        failing.end(RuntimeError("a bug"))


def test_an_unexpected_error_shows_where_it_happened_and_no_values(shop):
    path = shop.directory / f"{shop.module}.py"
    path.write_text(path.read_text() + "\nsecret = 'hush-hush'\ntenancy.close = lambda: [][secret]\n")
    result = shop.run("doctor")
    assert result.code == 1
    assert "Traceback" in result.err
    assert "hush-hush" not in result.err
