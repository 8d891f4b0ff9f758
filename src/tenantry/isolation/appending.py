"""What keeps append-only tables as they are in PostgreSQL, as statements: rights that are not given, and a trigger.

The rights hold an app login; the trigger holds the owner's mistakes and the foreign-key actions of other tables, which
run as the owner of the table. It lets a deletion pass that says it is a purge, in a session that logged in as the
owner or the operator: what an app login may set, or whose rights an action borrows, decides nothing.
"""

from __future__ import annotations

from typing import Final

from tenantry.models.append_only import REFUSAL
from tenantry.settings import Config

TRIGGER: Final = "tenantry_append_only"
TRUNCATION: Final = "tenantry_append_only_truncate"
FUNCTION: Final = "tenantry_keep_rows"
PURGING: Final = "tenantry.purging"

_BODY: Final = """
BEGIN
    IF TG_OP = 'DELETE' AND current_setting('{purging}', true) = 'on'
        AND (pg_has_role(session_user, '{owner}', 'MEMBER') OR pg_has_role(session_user, '{operator}', 'MEMBER'))
    THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION '% {refusal}', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END
"""


def function_body(config: Config) -> str:
    """Returns the body of the trigger's function."""
    owner, operator = config.role("owner"), config.role("operator")
    return _BODY.format(purging=PURGING, owner=owner, operator=operator, refusal=REFUSAL)


def function_statement(config: Config, *, schema: str) -> str:
    """Returns what makes the trigger's function in *schema* unless it stands as it should; two may run it at once."""
    body, name = function_body(config), f"{schema}.{FUNCTION}()"
    create = (
        f"CREATE OR REPLACE FUNCTION {name} RETURNS trigger LANGUAGE plpgsql "
        f"SET search_path = pg_catalog, pg_temp AS $keep${body}$keep$"
    )
    standing = f"(SELECT prosrc FROM pg_proc WHERE oid = to_regprocedure('{name}'))"
    return (
        f"DO $make$ BEGIN IF {standing} IS DISTINCT FROM $keep${body}$keep$ THEN {create}; "
        f"REVOKE ALL ON FUNCTION {name} FROM PUBLIC; END IF; "
        # Another home of the same database is being made, and has made it meanwhile.
        "EXCEPTION WHEN unique_violation OR duplicate_function OR internal_error THEN NULL; END $make$"
    )


def trigger_statements(table: str, *, schema: str) -> list[str]:
    """Returns what makes the two triggers of a table that has none."""
    run = f"EXECUTE FUNCTION {schema}.{FUNCTION}()"
    return [
        f"CREATE TRIGGER {TRIGGER} BEFORE UPDATE OR DELETE ON {table} FOR EACH ROW {run}",
        f"CREATE TRIGGER {TRUNCATION} BEFORE TRUNCATE ON {table} FOR EACH STATEMENT {run}",
    ]


def untrigger_statements(table: str) -> list[str]:
    """Returns what drops the triggers of a table, if it has them."""
    return [f"DROP TRIGGER IF EXISTS {name} ON {table}" for name in (TRIGGER, TRUNCATION)]


def grant_statements(table: str, config: Config) -> list[str]:
    """Returns the rights on an append-only table, whatever was granted before."""
    app, operator = config.role("app"), config.role("operator")
    return [
        f"REVOKE ALL ON {table} FROM PUBLIC, {config.role('platform')}, {app}, {operator}",
        f"GRANT SELECT, INSERT ON {table} TO {app}",
        # Only a purge deletes.
        f"GRANT SELECT, INSERT, DELETE ON {table} TO {operator}",
    ]
