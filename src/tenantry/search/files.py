"""Searching a tenant's own SQLite file by its FTS5 index: what people type as FTS5 takes it, and the question."""

from __future__ import annotations

import re
from typing import Any, Final, NamedTuple

from sqlalchemy import Column, Select, bindparam, column, literal, select, table, union_all
from sqlalchemy import text as sql
from sqlalchemy.orm import Session

from tenantry.isolation.searching_sqlite import keys_table, parts, words_table
from tenantry.search.plain import choices_of

# What no row meets; a query without any phrase would be a syntax error.
_NOTHING: Final = '""'
# What makes a word to FTS5's tokenizer; of anything else it finds none.
_LETTER: Final = re.compile(r"[^\W_]")
_STANDING: Final = sql("SELECT count(*) FROM sqlite_master WHERE name IN :names").bindparams(
    bindparam("names", expanding=True)
)


class Query(NamedTuple):
    """A query of FTS5's, and one that rows must not meet where a choice says only what must be absent."""

    wanted: str
    unwanted: str


def query_of(text: str) -> Query:
    """Returns what FTS5 is asked for a text; none is a syntax error."""
    wanted, unwanted = [], []
    for choice in choices_of(text):
        yes = [_quoted(term) for required, term in choice if required and _LETTER.search(term)]
        no = [_quoted(term) for required, term in choice if not required and _LETTER.search(term)]
        absent = f"({' OR '.join(no)})"
        if yes:
            wanted.append(f"(({' '.join(yes)}) NOT {absent})" if no else f"({' '.join(yes)})")
        elif no:
            unwanted.append(absent)
    return Query(" OR ".join(wanted) or _NOTHING, " AND ".join(unwanted))


def hits_of(name: str, key: Column[Any], *, without: bool) -> Select[Any]:
    """Returns the question for the keys and ranks of what a query finds in the index of a table.

    Args:
        without: whether the query says what rows must not meet, too.
    """
    keys = table(keys_table(name), column("id"), column("key", key.type))
    words = table(words_table(name), column("rowid"), column("rank"), column("words"))
    met = words.c.words.op("MATCH")(bindparam("wanted"))
    found = select(keys.c.key.label("id"), (-words.c.rank).label("rank"))
    found = found.join_from(words, keys, words.c.rowid == keys.c.id).where(met)
    if without:
        unmet = words.c.words.op("MATCH")(bindparam("unwanted"))
        others = [keys.c.id.not_in(select(words.c.rowid).where(condition)) for condition in (met, unmet)]
        both = union_all(found, select(keys.c.key, literal(0.0)).where(*others)).subquery("both")
        found = select(both.c.id, both.c.rank)
    return found.order_by(sql("rank DESC"), sql("1" if without else "key")).limit(bindparam("most"))


def is_ready(session: Session, name: str) -> bool:
    """Whether the index of a table stands in the session's file, and what keeps it."""
    names = parts(name)
    return bool(session.execute(_STANDING, {"names": names}).scalar() == len(names))


def _quoted(term: str) -> str:
    return '"' + term.replace('"', '""') + '"'
