"""Whether a login's connection is encrypted, where it has to be."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from psycopg.rows import namedtuple_row

from tenantry.doctor import questions
from tenantry.doctor.logins import judge_encryption


@pytest.mark.ledger("S1-070")
@pytest.mark.parametrize(
    ("encrypted", "near", "codes"),
    [(True, False, []), (True, True, []), (False, True, []), (False, False, ["D110"])],
)
def test_what_comes_from_another_machine_is_encrypted(encrypted: bool, near: bool, codes: list[str]) -> None:
    found = judge_encryption(encrypted=encrypted, near=near, where="app login")
    assert [finding.code for finding in found] == codes


@pytest.mark.ledger("S1-070")
def test_the_server_says_where_from_and_how(postgres: Any) -> None:
    with psycopg.connect(postgres.url(), row_factory=namedtuple_row) as connection:
        row = connection.execute(questions.WHO).fetchone()
        assert row is not None
        assert row.encrypted == connection.pgconn.ssl_in_use
        here = connection.execute("select host(inet_client_addr()) as address").fetchone()
        assert row.near == (here is None or here.address is None or here.address in ("127.0.0.1", "::1"))
