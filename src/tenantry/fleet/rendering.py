"""Revisions as plain statements, worked out once and run on every home of a kind: Alembic is asked only the first time.

What a revision does must not depend on the home it runs in. It is therefore written out twice, for the home at hand and
for one that does not exist; where the two differ, or it asks the database something, every home is left to Alembic.
"""

from __future__ import annotations

import dataclasses
import io
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from alembic.runtime.migration import RevisionStep

from tenantry.events import announce
from tenantry.fleet.environment import VERSION_TABLE, migration_context, operations
from tenantry.fleet.lineage import heads_of, revision_of
from tenantry.fleet.operations.statements import data_table
from tenantry.fleet.sites import Site
from tenantry.ids import uuid7


class NotReplayable(Exception):
    """A revision asks the database, so what it does in one home says nothing about another."""


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement of one revision; *touches* is the table whose rows it is there to change."""

    text: str
    revision: str
    parameters: Any = ()
    touches: str | None = None
    many: bool = False


@dataclass(frozen=True, slots=True)
class Part:
    """Statements of one transaction; or, *alone*, a single one that refuses to be in any."""

    statements: tuple[Statement, ...]
    alone: bool = False


@dataclass(frozen=True, slots=True)
class Rendering:
    """What brings a home from one revision to another: one part, unless a statement refuses to be in a transaction."""

    parts: tuple[Part, ...]

    def progress(self, number: int) -> str | None:
        """Returns what to write down when the parts before *number* are done and it is about to begin.

        Counted within the revision that is under way, since the next run begins with that one; None between two.
        """
        revision = self.parts[number].statements[0].revision
        earlier = itertools.chain.from_iterable(part.statements for part in self.parts[:number])
        done = sum(statement.revision == revision for statement in earlier)
        return f"{revision}:{done}" if done or self.parts[number].alone else None

    def resume(self, progress: str | None) -> int | None:
        """Returns the number of the part that was about to begin, or None where none was."""
        parts = range(len(self.parts)) if progress else ()
        return next((number for number in parts if self.progress(number) == progress), None)


def may_replay(steps: Sequence[RevisionStep]) -> bool:
    """Whether no revision says ``replay = False``."""
    return all(getattr(step.revision.module, "replay", True) for step in steps)


def rendered(site: Site, steps: Sequence[RevisionStep], write: Callable[[Site, bool], Rendering]) -> Rendering | None:
    """Returns what *write* makes of *steps*, or None where the home has to be left to Alembic itself.

    It is asked twice, the second time for a home that does not exist.
    """
    if not may_replay(steps):
        return None
    try:
        first, second = write(site, False), write(_twin_of(site), True)
    except Exception as error:  # whatever a revision raises where nothing answers, on the real home Alembic tells why
        announce("fleet", "not replayed", home=str(site.home), reason=type(error).__name__)
        return None
    return first if first == second else None


def render(site: Site, before: str | None, steps: Sequence[RevisionStep], *, pretended: int | None = None) -> Rendering:
    """Returns the statements of *steps* for every PostgreSQL home like this one.

    Args:
        pretended: how many rows each data step is said to have touched, None where it is told that nobody knows.

    Raises: NotReplayable, and whatever a revision raises that cannot do without a database.
    """
    pen = _Pen(steps)
    context = migration_context(site, output=pen, fn=pen.follow, starting_rev=list(heads_of(before)) or None)
    # Alembic's own would answer every question with None, and a revision would take that for an answer.
    context.connection = context.impl.connection = _Mute(context.connection)  # type: ignore[assignment]  # a stand-in
    impl: Any = context.impl
    change = impl.change
    impl.change = lambda *arguments: (change(*arguments), pretended)[1]
    with operations(context):
        context.run_migrations()
    return Rendering(tuple(pen.parts()))


def _twin_of(site: Site) -> Site:
    home = site.home
    if home.tenant is None:
        return site
    tenant = uuid7()
    physical = home.physical.replace(home.tenant.hex, tenant.hex)
    return Site(site.tenancy, dataclasses.replace(home, physical=physical, tenant=tenant, slug=tenant.hex))


class _Pen(io.StringIO):
    """Takes down what Alembic writes in its offline mode, one statement at a time."""

    def __init__(self, steps: Sequence[RevisionStep]) -> None:
        super().__init__()
        self._steps = steps
        self._written: list[Statement] = []
        self._revision = ""
        self._begun = 0

    def follow(self, _: object, __: object) -> Iterator[RevisionStep]:
        """Yields the steps to Alembic and notes which of them is being written."""
        for step in self._steps:
            self._revision, self._begun = revision_of(step), len(self._written)
            yield step

    def write(self, written: str) -> int:
        """Takes one statement down."""
        text = written.strip().removesuffix(";")
        if text.startswith("-- Running "):
            # Before it Alembic makes the version table, which every home has by then.
            del self._written[self._begun :]
        else:
            self._written.append(Statement(text, self._revision, touches=data_table(text)))
        return len(written)

    def parts(self) -> Iterator[Part]:
        """Yields the transactions, and between Alembic's COMMIT and BEGIN each statement alone."""
        held: list[Statement] = []
        alone, split = False, ""
        for statement in self._written:
            if statement.text in ("COMMIT", "BEGIN"):
                yield from _divided(held, alone=alone)
                held, alone, split = [], statement.text == "COMMIT", statement.revision
                continue
            if split not in ("", statement.revision):
                # What comes after a revision that was split does not take its end along when it fails.
                yield from _divided(held, alone=False)
                held, split = [], ""
            held.append(statement)
        yield from _divided(held, alone=alone)


def _divided(statements: Sequence[Statement], *, alone: bool) -> Iterator[Part]:
    if alone:
        yield from (Part((statement,), alone=True) for statement in statements)
    elif statements:
        yield Part(tuple(statements))


class _Mute:
    """A connection that knows its dialect, has DDL written down, and cannot be asked anything."""

    def __init__(self, writing: Any) -> None:
        self.dialect = writing.dialect
        self._writing = writing

    def _run_ddl_visitor(self, visitor: Any, element: Any, *, checkfirst: Any = False, **options: Any) -> None:
        # Alembic asks so for its version table, which is struck out (``_Pen``).
        if checkfirst and getattr(element, "name", None) != VERSION_TABLE:
            raise NotReplayable(f"{element!r} is made only where it is missing")
        self._writing._run_ddl_visitor(visitor, element, **options)
