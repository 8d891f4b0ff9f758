"""A script's statements as a client sends them, and whether they make one transaction of their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement: its text, the line it begins in, and its names and keywords in order, as the database reads them.

    What stands inside strings and dollar quotes is not among the words.
    """

    text: str
    line: int
    words: tuple[str, ...]

    @property
    def opens(self) -> bool:
        """Whether it begins a transaction."""
        return self.words[:1] == ("begin",) or self.words[:2] == ("start", "transaction")

    @property
    def commits(self) -> bool:
        """Whether it ends a transaction for good and begins no other."""
        return self.words[:1] in (("commit",), ("end",)) and not {"chain", "prepared"} & {*self.words}

    @property
    def steers(self) -> bool:
        """Whether it begins or ends a transaction; savepoints do neither."""
        if self.words[:1] == ("rollback",):
            return "to" not in self.words
        return self.opens or self.words[:1] in (("commit",), ("end",), ("abort",)) or self.words[:2] == _PREPARE


_PREPARE = ("prepare", "transaction")


@dataclass(frozen=True, slots=True)
class Script:
    """What one file runs, in order."""

    name: str
    statements: Sequence[Statement]

    @property
    def whole(self) -> bool:
        """Whether it is exactly one transaction, so that more can join it before it ends."""
        if len(self.statements) < 2:
            return False
        first, *inner, last = self.statements
        return first.opens and last.commits and not any(statement.steers for statement in inner)

    @property
    def text(self) -> str:
        """The statements, one after the other."""
        return "\n".join(f"{statement.text};" for statement in self.statements)
