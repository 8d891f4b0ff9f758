"""What the owner may see while a script runs in common tables, where the wall is forced on the owner too.

A forced owner without a tenant gets an error from every look at a row. So a statement that changes or reads rows of
walled tables runs as the operator, and one that has PostgreSQL compare rows by itself (a foreign key, a validation, a
new type) runs with the force taken off for its own length, or orphans would pass unseen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from tenantry.fleet.sqitch.statements import Script, Statement
from tenantry.isolation.wall import quote

_CHANGING: Final = frozenset({"insert", "update", "delete", "merge", "with"})
_ROWS: Final = _CHANGING | {"select", "table", "values"}
_COMPARING: Final = frozenset({"references", "foreign", "validate", "type"})
_COPIES: Final = frozenset({"table", "temp", "temporary", "unlogged", "materialized"})


@dataclass(frozen=True, slots=True)
class Sight:
    """What stands in a script's way: which tables have their walls, and who may look past those."""

    walled: frozenset[str]
    forced: frozenset[str]
    operator: str
    raise_walls: Callable[[], object]

    def run(self, connection: Any, statement: Statement) -> int:
        """Runs one statement and returns how many rows of the models' walled tables it changed."""
        forced = self.forced.intersection(statement.words)
        with self._opened(connection, statement, forced):
            cursor = connection.execute(statement.text, prepare=False)
        counts = self.walled.intersection(statement.words) and statement.words[0] in _CHANGING
        return max(cursor.rowcount, 0) if counts else 0

    @contextmanager
    def _opened(self, connection: Any, statement: Statement, forced: frozenset[str]) -> Iterator[None]:
        if not forced:
            yield
        elif statement.words[0] in _ROWS:
            with _inside(connection):
                if not self.walled.intersection(statement.words) <= forced:
                    # With its wall a table that the script has just made gets the operator's rights.
                    self.raise_walls()
                connection.execute(f"SET LOCAL ROLE {self.operator}")
                yield
                connection.execute("SET LOCAL ROLE NONE")
        elif _compares(statement):
            with _inside(connection):
                _force(connection, forced, "NO FORCE")
                yield
                _force(connection, forced, "FORCE")
        else:
            yield


def chooses_roles(script: Script) -> bool:
    """Whether a script says itself in which roles it runs."""
    return any(
        statement.words[:1] == ("set",) and {"role", "authorization"} & {*statement.words}
        for statement in script.statements
    )


def _compares(statement: Statement) -> bool:
    if statement.words[0] == "alter":
        return bool(_COMPARING.intersection(statement.words))
    return statement.words[0] == "create" and statement.words[1] in _COPIES and "select" in statement.words


@contextmanager
def _inside(connection: Any) -> Iterator[None]:
    """Makes one transaction of what follows, where the script has none open."""
    alone = connection.info.transaction_status.name == "IDLE"
    if alone:
        connection.execute("BEGIN")
    yield
    if alone:
        connection.execute("COMMIT")


def _force(connection: Any, tables: frozenset[str], word: str) -> None:
    for table in sorted(tables):
        connection.execute(f"ALTER TABLE IF EXISTS {quote(table)} {word} ROW LEVEL SECURITY")
