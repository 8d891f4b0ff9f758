"""What is stored and shown of a failed migration holds nothing of anybody's rows."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from tenantry.fleet.failing import describe

CANARY = 'canary "of" a\nneighbour'


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("SELECT %s::integer", "invalid input syntax for type integer"),
        ("SELECT %s::timestamptz", "invalid input syntax for type timestamp with time zone"),
        ("SELECT %s::jsonb", "invalid input syntax for type json"),
        ("SELECT %s::uuid", "invalid input syntax for type uuid"),
    ],
)
def test_a_value_that_could_not_be_converted_is_not_told(postgres: Any, statement: str, said: str) -> None:
    with postgres.admin() as connection, pytest.raises(psycopg.DataError) as refused:
        connection.execute(statement, (CANARY,))
    text = describe(refused.value)
    assert said in text
    assert not any(word in text for word in ("canary", "of a", "neighbour"))


def test_the_names_of_tables_and_keys_are_told(postgres: Any) -> None:
    with postgres.admin() as connection, pytest.raises(psycopg.errors.UndefinedTable) as refused:
        connection.execute("SELECT * FROM nowhere_to_be_found")
    assert describe(refused.value) == 'relation "nowhere_to_be_found" does not exist (SQLSTATE 42P01)'
