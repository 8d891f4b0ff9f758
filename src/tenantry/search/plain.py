"""Searching without an engine for it: words by LIKE, and what is written alike by comparing trigrams here."""

from __future__ import annotations

import heapq
import re
from collections.abc import Iterable, Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, and_, case, func, literal, not_, or_

# What pg_trgm calls alike unless it is told otherwise.
THRESHOLD: Final = 0.3

_TERM: Final = re.compile(r'(-?)(?:"([^"]*)"|(\S+))')
_WORD: Final = re.compile(r"\w+")


def rank(text: str, columns: Sequence[Any]) -> ColumnElement[float] | None:
    """Returns how many of the terms of *text* the columns hold, less than nought where they do not fit.

    It is None where the text has no term.
    """
    choices = list(filter(None, choices_of(text)))
    if not choices:
        return None
    fits = or_(*(and_(*(_fits(columns, *term) for term in choice)) for choice in choices))
    wanted = [term for choice in choices for required, term in choice if required]
    counted = sum((case((_holds(column, term), 1.0), else_=0.0) for term in wanted for column in columns), literal(0.0))
    return case((fits, counted), else_=-1.0)


def alike(text: str, rows: Iterable[Any], *, limit: int) -> list[tuple[Any, float]]:
    """Returns the keys of *rows* (key and text) whose texts are like *text*, with their likeness, the nearest first."""
    wanted = trigrams(text)
    likeness = ((key, _likeness(wanted, trigrams(found or ""))) for key, found in rows)
    near = (pair for pair in likeness if pair[1] >= THRESHOLD)
    return heapq.nsmallest(limit, near, key=lambda pair: (-pair[1], pair[0]))


def trigrams(text: str) -> frozenset[str]:
    """Returns the threes of letters that the words of a text have, with two blanks before each word and one behind."""
    words = (f"  {word.lower()} " for word in _WORD.findall(text))
    return frozenset(word[place : place + 3] for word in words for place in range(len(word) - 2))


def choices_of(text: str) -> list[list[tuple[bool, str]]]:
    """Returns the terms between the ``or``s of a text, each with whether it is wanted or must be absent."""
    choices: list[list[tuple[bool, str]]] = [[]]
    for minus, phrase, word in _TERM.findall(text):
        if word.lower() == "or" and not minus:
            choices.append([])
        elif term := (phrase or word).strip():
            choices[-1].append((not minus, term))
    return choices


def _likeness(a: frozenset[str], b: frozenset[str]) -> float:
    return len(a & b) / len(a | b) if a | b else 0.0


def _fits(columns: Sequence[Any], wanted: bool, term: str) -> ColumnElement[bool]:
    held = or_(*(_holds(column, term) for column in columns))
    return held if wanted else not_(held)


def _holds(column: Any, term: str) -> ColumnElement[bool]:
    found: ColumnElement[bool] = func.coalesce(column, "").icontains(term, autoescape=True)
    return found
