"""Which statements may leave something on a connection after their transaction, and what sweeps it away."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

# What else survives a ROLLBACK on a connection is gone with it: see outlives_sweep (HAZARDS A19). No RESET reaches the
# seed of random(), and who knows it knows what the next one draws.
SWEEP: Final = (
    "CLOSE ALL; UNLISTEN *; RESET ALL; "
    "SELECT pg_advisory_unlock_all(), setseed(hashtext(gen_random_uuid()::text) / 2147483648.0)"
)

# Plain DML and savepoints, without the functions that reach outside the transaction. Anything unknown is swept, in the
# message that ends the transaction: that costs no trip, but a twentieth of a short read.
_PLAIN: Final = re.compile(r"\s*(?:select|insert|update|delete|with|values|savepoint|release|rollback\s+to)\b", re.I)
_REACHING: Final = re.compile(
    r";|advisory|set_config|dblink|\blo_|\binto\s+(?:temp|unlogged)"
    # A name in Unicode escapes may be any of the others; so may what stands in a query given as text.
    r'|u&"|ts_stat|ts_rewrite|query_to_|crosstab|connectby'
    # A comment may stand between the name of a function and its bracket.
    r"|/\*|--",
    re.I,
)

# What stands before a bracket in plain DML and leaves nothing. A function of the application's own, or of a schema that
# is named, may do anything.
_CALL: Final = re.compile(r'((?:\.\s*)?[\w$"]+)\s*\(')
# A list of columns is no call.
_COLUMNS: Final = re.compile(r'\b(?:insert\s+into\s+[\w$".]+|as\s+[\w$"]+)\s*\(', re.I)
_HARMLESS: Final = re.compile(
    # words of SQL
    r"all|and|any|array|as|between|by|case|char|conflict|cube|else|except|exists|filter|from|full|grouping"
    r"|having|if|in|intersect|interval|is|join|key|lateral|like|materialized|not|null|numeric|on|only|or|order"
    r"|over|partition|returning|rollup|row|rows|select|set|sets|some|then|timestamp|union|using|values|varchar"
    r"|when|where|within"
    # aggregates and windows
    r"|array_agg|avg|bool_and|bool_or|count|dense_rank|first_value|json_agg|jsonb_agg|lag|last_value|lead|max"
    r"|min|percentile_cont|rank|row_number|string_agg|sum"
    # scalars
    r"|abs|cast|ceil|clock_timestamp|coalesce|concat|current_setting|date_part|date_trunc|extract|floor"
    r"|gen_random_uuid|greatest|json_build_object|jsonb_build_object|least|left|length|lower|ltrim|mod|now"
    r"|nullif|octet_length|position|power|replace|right|round|rtrim|split_part|sqrt|substr|substring|to_char"
    r"|to_json|to_jsonb|to_timestamp|to_tsquery|to_tsvector|trim|ts_rank|unnest|upper|websearch_to_tsquery",
    re.I,
)

# DEALLOCATE ALL and DISCARD would take the driver's own prepared statements too, and the driver would not know. What a
# connection heard while it listened stays with the driver. A block may put the words together as it runs.
_LASTING: Final = re.compile(
    r"\b(?:prepare|deallocate|discard|listen)\b|(?:^|[;/\r\n])\s*do\b(?!\s+(?:nothing|update)\b)", re.I
)


@lru_cache(maxsize=4096)
def may_leave_residue(statement: str) -> bool:
    """Whether session state may survive the end of the transaction that runs *statement*."""
    return not _PLAIN.match(statement) or bool(_REACHING.search(statement)) or _calls_unknown(statement)


def _calls_unknown(statement: str) -> bool:
    calls = _CALL.findall(_COLUMNS.sub("", statement))
    return not all(_HARMLESS.fullmatch(name) for name in calls)


@lru_cache(maxsize=1024)
def outlives_sweep(statement: str) -> bool:
    """Whether a statement that leaves residue may leave some that only the end of the connection removes."""
    return bool(_LASTING.search(statement))
