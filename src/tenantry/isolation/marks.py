"""The comment on a tenant's own PostgreSQL database: whose it is, and at which revision its schema stands.

Comments on databases are read from any database of the server, so one question finds every tenant's revision. The
database itself keeps the comment true: a trigger of its version table rewrites it, whoever changes that table.
"""

from __future__ import annotations

import re
from typing import Final

from tenantry.isolation.stamps import VERSION_TABLE
from tenantry.isolation.wall import quote

NOTING: Final = "tenantry_note_revision"

_REVISION: Final = re.compile(r"(?:\A|\n)revision: (?P<revision>[^\n]*)\Z")

_BODY: Final = r"""
DECLARE
    said text := coalesce(shobj_description(
        (SELECT oid FROM pg_database WHERE datname = current_database()), 'pg_database'), '');
    standing text;
BEGIN
    EXECUTE format('SELECT string_agg(version_num, '','' ORDER BY version_num) FROM %I.%I',
        TG_TABLE_SCHEMA, TG_TABLE_NAME) INTO standing;
    EXECUTE format('COMMENT ON DATABASE %I IS %L', current_database(),
        regexp_replace(said, E'\n?revision: [^\n]*$', '') || E'\nrevision: ' || coalesce(standing, ''));
    RETURN NULL;
END
"""


def noting_statements(schema: str) -> list[str]:
    """Returns what has a tenant's database note its revision, once its version table stands in *schema*."""
    function, table = f"{quote(schema)}.{NOTING}", f"{quote(schema)}.{VERSION_TABLE}"
    return [
        f"CREATE OR REPLACE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql "
        f"SET search_path = pg_catalog, pg_temp AS $note${_BODY}$note$",
        f"REVOKE ALL ON FUNCTION {function}() FROM PUBLIC",
        f"CREATE OR REPLACE TRIGGER {NOTING} AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON {table} "
        f"FOR EACH STATEMENT EXECUTE FUNCTION {function}()",
    ]


def with_revision(comment: str, revision: str | None) -> str:
    """Returns the comment of a new database that stands at *revision*; None where it has no version table."""
    return comment if revision is None else f"{comment}\nrevision: {revision}"


def noted_revision(comment: str) -> str | None:
    """Returns the revision that a database's comment notes, '' before the first; None where it notes nothing."""
    found = _REVISION.search(comment)
    return found["revision"] if found else None


def without_revision(comment: str) -> str:
    """Returns what a database's comment says besides."""
    return _REVISION.sub("", comment)
