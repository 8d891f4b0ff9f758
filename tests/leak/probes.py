"""What several routes do: count, compare outcomes, try many spellings."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from sqlalchemy import Result, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from .suite import Leak, columns_of, refusal_of
from .worlds import World


def more_than_own(world: World, table: str | None, seen: int | None) -> list[Leak]:
    """Returns evidence if *seen* is more rows than tenant A has in *table* (no table: than none)."""
    own = world.a.counts[table] if table else 0
    return [Leak(f"{seen} rows where A has {own}")] if (seen or 0) > own else []


def told_apart(session: Session, probe: Callable[[Any], Any], *, held: Any, free: Any) -> list[Leak]:
    """Returns evidence if *probe* ends differently for a value that tenant B holds and for one that nobody holds."""
    outcomes = [_outcome(session, probe, value) for value in (held, free)]
    return [Leak(f"{held!r} ends as {outcomes[0]}, {free!r} as {outcomes[1]}")] if len(set(outcomes)) > 1 else []


def _outcome(session: Session, probe: Callable[[Any], Any], value: Any) -> str:
    try:
        return f"done: {probe(value)!r}"
    except DBAPIError as error:
        driver = error.orig
        return f"{type(driver).__name__} {getattr(driver, 'sqlstate', None) or getattr(driver, 'sqlite_errorname', '')}"
    except Exception as error:
        refusal_of(error)
        return type(error).__name__
    finally:
        session.rollback()


def each(session: Session, statements: Iterable[str], parameters: dict[str, Any] | None = None) -> list[Any]:
    """Sends each statement in a transaction of its own; returns all rows, and the text of all refusals."""
    seen: list[Any] = []
    for statement in statements:
        try:
            result = session.execute(text(statement), parameters or {})
            seen += result.all() if result.returns_rows else []
            session.commit()
        except Exception as error:
            seen.append(refusal_of(error))
            session.rollback()
    return seen


def _kept(value: Any) -> Any:
    """The rows of a result and the columns of an object, taken before a rollback expires them."""
    if isinstance(value, Result):
        return value.all() if value.returns_rows else None
    if isinstance(value, list):
        return [_kept(part) for part in value]
    return columns_of(value) if hasattr(value, "__mapper__") else value


def attempts(session: Session, steps: Iterable[Callable[[], Any]]) -> list[Any]:
    """Calls each step; returns what each gave, or the text of its refusal."""
    seen: list[Any] = []
    for step in steps:
        try:
            seen.append(_kept(step()))
        except Exception as error:
            seen.append(refusal_of(error))
            session.rollback()
    return seen
