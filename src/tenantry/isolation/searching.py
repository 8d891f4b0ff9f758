"""What lets PostgreSQL search inside the wall as fast as without it, as statements: a column, indexes, two functions.

The operators of a search are not leakproof, so under row-level security no index serves them and every row of the
tenant is read. The functions run as the operator, whom no policy holds up, and carry the tenant's predicate themselves:
from the setting that the policies read, never from an argument. They return keys and ranks alone; the rows are joined
through the wall.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Table
from sqlalchemy.dialects.postgresql.base import PGDialect

from tenantry.isolation.wall import EXTENSIONS_SCHEMA
from tenantry.models import TENANT_COLUMN, is_walled
from tenantry.settings import Config

# In Table.info: how the rows of this table are searched.
SEARCH: Final = "tenantry_search"
COLUMN: Final = "tenantry_search"
FIND: Final = "tenantry_find_"
ALIKE: Final = "tenantry_alike_"
BTREE_GIN: Final = "btree_gin"
TRIGRAMS: Final = "pg_trgm"
SEARCH_PATH: Final = f"search_path=pg_catalog, {EXTENSIONS_SCHEMA}, pg_temp"
ARGUMENTS: Final = "text,integer"

# In the place of the schema, quoted, in which a statement is to run.
HOME: Final = "<home>"
# A tsvector holds a megabyte at most, and a row whose text were too long could not be written.
LONGEST: Final = 200_000

_LONGEST_NAME: Final = 63
_dialect: Final = PGDialect()  # type: ignore[no-untyped-call]  # left bare

_BODY: Final = """
BEGIN
    RETURN QUERY EXECUTE $query$
        SELECT t.{key}, {rank}::real FROM {table} t
        WHERE t.{tenant} = $2 AND {test} ORDER BY 2 DESC, 1 LIMIT $3
    $query$ USING {wanted}, current_setting('{setting}')::uuid, most;
END
"""

_STANDS: Final = """EXISTS (
    SELECT FROM pg_proc p WHERE p.oid = to_regprocedure({name})
    AND p.prosecdef AND p.prosrc = {body} AND p.proconfig = ARRAY['{path}'] AND pg_get_userbyid(p.proowner) = '{owner}'
    AND (SELECT array_agg(a.grantee::regrole::text ORDER BY 1) FROM aclexplode(p.proacl) a)
        = (SELECT array_agg(r ORDER BY 1) FROM unnest(ARRAY['{owner}', '{app}']) r))"""


@dataclass(frozen=True, slots=True)
class SearchPlan:
    """Which columns of a table are searched, in which language, and which one for what is written alike."""

    columns: tuple[str, ...]
    language: str
    similar: str


@dataclass(frozen=True, slots=True)
class Definer:
    """One function as it should stand in a schema."""

    name: str
    body: str

    @property
    def signature(self) -> str:
        """Its name and the types of its arguments."""
        return f"{self.name}({ARGUMENTS})"

    def within(self, schema: str) -> str:
        """Returns the body that it has in *schema*."""
        return self.body.replace(HOME, quoted(schema))


def plan_of(table: Table) -> SearchPlan | None:
    """Returns how the rows of a walled table are searched, or None."""
    plan: SearchPlan | None = table.info.get(SEARCH) if is_walled(table) else None
    return plan


def is_of_search(name: str) -> bool:
    """Whether a column, an index or a function of a home is there for a search: derived, and no part of its shape."""
    return name == COLUMN or name.startswith((FIND, ALIKE))


def quoted(name: str) -> str:
    """Returns *name* as an identifier, quoted whether it must be or not: the same here and in PostgreSQL."""
    return '"' + name.replace('"', '""') + '"'


def named(prefix: str, table: str) -> str:
    """Returns the name of a function or an index of *table*; long ones are digests, as PostgreSQL would cut them."""
    name = prefix + table
    if len(name.encode()) <= _LONGEST_NAME:
        return name
    return f"{prefix}{hashlib.sha256(table.encode()).hexdigest()[:16]}"


def key_of(table: Table) -> str:
    """Returns the column that tells a tenant's rows apart; `Search` takes no table that has several."""
    return next(column.name for column in table.primary_key.columns if column.name != TENANT_COLUMN)


def definers(table: Table, config: Config) -> list[Definer]:
    """Returns the functions of a searched table."""
    plan = plan_of(table)
    if plan is None:
        return []
    wanted = f"pg_catalog.websearch_to_tsquery('{plan.language}'::regconfig, wanted)"
    rank, test = f"ts_rank(t.{quoted(COLUMN)}, $1)", f"t.{quoted(COLUMN)} @@ $1"
    found = [Definer(named(FIND, table.name), _body(table, config, rank=rank, test=test, wanted=wanted))]
    if TRIGRAMS in config.extensions:
        column = f"t.{quoted(plan.similar)}::text"
        rank, test = f"similarity({column}, $1)", f"{column} % $1"
        found.append(Definer(named(ALIKE, table.name), _body(table, config, rank=rank, test=test, wanted="wanted")))
    return found


def search_statements(table: Table, config: Config) -> list[str]:
    """Returns what has a table of the search path's first schema searched, whatever stood there; none for another.

    It does nothing where a column is yet to come by a migration.
    """
    plan = plan_of(table)
    if plan is None:
        return []
    steps = [
        f"IF {_comment(table)} IS DISTINCT FROM '{digest(table, config)}' THEN "
        f"{_here(column_statements(table, config))} END IF;",
        *(
            f"IF NOT {_stands(definer, config)} THEN {_here(definer_statements(definer, table, config))} END IF;"
            for definer in definers(table, config)
        ),
    ]
    return [
        "DO $search$ DECLARE home text := '\"' || replace(current_schema(), '\"', '\"\"') || '\"'; "
        f"BEGIN IF {_stand(table, plan)} THEN {' '.join(steps)} END IF; END $search$"
    ]


def anew_statements(table: Table, config: Config, *, schema: str, only: Definer | None = None) -> list[str]:
    """Returns what has a table of *schema* searched as it should be, or makes one function, for people to run."""
    made = [] if only else column_statements(table, config)
    for definer in [only] if only else definers(table, config):
        made += definer_statements(definer, table, config)
    return [line.replace(HOME, quoted(schema)) for line in made]


def unsearch_statements(table: str) -> list[str]:
    """Returns what has a table of the search path's first schema searched no longer, if it was."""
    return [
        f"DROP FUNCTION IF EXISTS {quoted(named(FIND, table))}({ARGUMENTS})",
        f"DROP FUNCTION IF EXISTS {quoted(named(ALIKE, table))}({ARGUMENTS})",
        f"DROP INDEX IF EXISTS {quoted(named(ALIKE, table))}",
        f"ALTER TABLE {quoted(table)} DROP COLUMN IF EXISTS {quoted(COLUMN)}",
    ]


def digest(table: Table, config: Config) -> str:
    """Returns what tells the column and the indexes that a table should have from others: the column's comment."""
    return hashlib.sha256("\n".join(_columns(table, config)).encode()).hexdigest()[:32]


def column_statements(table: Table, config: Config) -> list[str]:
    """Returns what makes the column and the indexes of a searched table, in the place of those it had."""
    noted = f"COMMENT ON COLUMN {_table(table)}.{quoted(COLUMN)} IS '{digest(table, config)}'"
    return [*_columns(table, config), noted]


def _columns(table: Table, config: Config) -> list[str]:
    plan = plan_of(table)
    assert plan is not None  # noqa: S101  # asked of searched tables alone
    texts = " || ' ' || ".join(f"coalesce({quoted(name)}, '')" for name in plan.columns)
    vector = f"to_tsvector('pg_catalog.{plan.language}'::regconfig, left({texts}, {LONGEST}))"
    tenant = f"{quoted(TENANT_COLUMN)}, " if BTREE_GIN in config.extensions else ""
    find, alike = quoted(named(FIND, table.name)), quoted(named(ALIKE, table.name))
    trigrams = f"{EXTENSIONS_SCHEMA}.gin_trgm_ops"
    indexes = [f"CREATE INDEX {find} ON {_table(table)} USING gin ({tenant}{quoted(COLUMN)})"]
    if TRIGRAMS in config.extensions:
        alike_by = f"({quoted(plan.similar)}::text) {trigrams}"
        indexes.append(f"CREATE INDEX {alike} ON {_table(table)} USING gin ({tenant}{alike_by})")
    return [
        f"DROP INDEX IF EXISTS {HOME}.{alike}",
        f"ALTER TABLE {_table(table)} DROP COLUMN IF EXISTS {quoted(COLUMN)}",
        f"ALTER TABLE {_table(table)} ADD COLUMN {quoted(COLUMN)} tsvector GENERATED ALWAYS AS ({vector}) STORED",
        *indexes,
    ]


def definer_statements(definer: Definer, table: Table, config: Config) -> list[str]:
    """Returns what makes a function in the place of what bears its name."""
    name = f"{HOME}.{quoted(definer.name)}({ARGUMENTS})"
    operator, app = config.role("operator"), config.role("app")
    key = table.c[key_of(table)].type.compile(_dialect)
    return [
        f"DROP FUNCTION IF EXISTS {name}",
        # ROWS: as many as a page has, so that they are joined by the key of the table.
        f"CREATE FUNCTION {HOME}.{quoted(definer.name)}(wanted text, most integer) "
        f"RETURNS TABLE (id {key}, rank real) LANGUAGE plpgsql STABLE SECURITY DEFINER ROWS 20 "
        f"SET search_path = pg_catalog, {EXTENSIONS_SCHEMA}, pg_temp AS $body${definer.body}$body$",
        # While it is still the owner's own, who has none of the operator's rights.
        f"REVOKE ALL ON FUNCTION {name} FROM PUBLIC",
        f"GRANT EXECUTE ON FUNCTION {name} TO {app}",
        # Whoever owns a function must be able to make it.
        f"GRANT CREATE ON SCHEMA {HOME} TO {operator}",
        f"ALTER FUNCTION {name} OWNER TO {operator}",
        f"REVOKE CREATE ON SCHEMA {HOME} FROM {operator}",
    ]


def _body(table: Table, config: Config, *, rank: str, test: str, wanted: str) -> str:
    return _BODY.format(
        key=quoted(key_of(table)),
        rank=rank,
        table=_table(table),
        tenant=quoted(TENANT_COLUMN),
        test=test,
        wanted=wanted,
        setting=config.context_setting,
    )


def _table(table: Table) -> str:
    return f"{HOME}.{quoted(table.name)}"


def _comment(table: Table) -> str:
    return (
        f"(SELECT col_description(a.attrelid, a.attnum) FROM pg_attribute a WHERE a.attname = '{COLUMN}' "
        f"AND NOT a.attisdropped AND a.attrelid = to_regclass(home || {_literal('.' + quoted(table.name))}))"
    )


def _stand(table: Table, plan: SearchPlan) -> str:
    names = {*plan.columns, plan.similar}
    return (
        f"(SELECT count(*) = {len(names)} FROM pg_attribute a WHERE NOT a.attisdropped "
        f"AND a.attname IN ({', '.join(map(_literal, sorted(names)))}) "
        f"AND a.attrelid = to_regclass(home || {_literal('.' + quoted(table.name))}))"
    )


def _stands(definer: Definer, config: Config) -> str:
    return _STANDS.format(
        name=f"home || {_literal(f'.{quoted(definer.name)}({ARGUMENTS})')}",
        body=f"replace($body${definer.body}$body$, '{HOME}', home)",
        path=SEARCH_PATH,
        owner=config.role("operator"),
        app=config.role("app"),
    )


def _here(statements: list[str]) -> str:
    return f"EXECUTE replace($do${'; '.join(statements)}$do$, '{HOME}', home);"


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
