"""The fence inside PostgreSQL, as statements: what holds a tenant's writers, notes changes, and turns late ones away.

Writers meet triggers, which stand only while a tenant is moved or restored. Each takes the tenant's lock with others of
its kind, and only then looks whether the place is open: a look before the lock would let a late commit pass (DESIGN
D8). A transaction whose snapshot is older than the fence fails instead of passing unseen.

Readers of a place that was left meet a restrictive policy. It compares the tenant column with what a function returns
or refuses: a test of the function alone would be asked for each row found, so never where none is; a comparison of
the column becomes the scan's own condition, or one of the whole statement, and PostgreSQL evaluates it before it looks
for rows. (One statement is known that is answered all the same: UNION ALL over tables that are empty of everybody.)
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Sequence
from typing import Final

from tenantry.isolation.fencing_names import NOTE_PREFIX, PRESENT_POLICY, SCHEMA, TRIGGER
from tenantry.isolation.wall import quote
from tenantry.models import TENANT_COLUMN
from tenantry.settings import Config

# Said by the transaction that has put the fence up; whoever else says it is refused.
FENCING: Final = "tenantry.fencing"
MOVED: Final = "TN001"
# TN002 and TN003 are the catalog's (functions.sql).
MOVING: Final = "TN004"

OPEN: Final = "open"
DEPARTED: Final = "departed"

_TABLES: Final = f"""
CREATE TABLE IF NOT EXISTS {SCHEMA}.fences (
    tenant_id uuid NOT NULL, place text NOT NULL, state text NOT NULL DEFAULT '{OPEN}'
        CHECK (state IN ('{OPEN}', '{DEPARTED}')),
    holder xid8, changed_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (tenant_id, place));
CREATE TABLE IF NOT EXISTS {SCHEMA}.changes (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id uuid NOT NULL, place text NOT NULL,
    relation text NOT NULL, key text[] NOT NULL);
CREATE INDEX IF NOT EXISTS changes_of_tenant ON {SCHEMA}.changes (tenant_id, place, number);
CREATE OR REPLACE FUNCTION {SCHEMA}.refuse(tenant uuid) RETURNS void LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp AS $body$
BEGIN RAISE EXCEPTION 'tenant % has left this place', tenant USING ERRCODE = '{MOVED}'; END $body$;
CREATE OR REPLACE FUNCTION {SCHEMA}.hold_off(tenant uuid) RETURNS void LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp AS $body$
BEGIN RAISE EXCEPTION 'tenant % is behind a fence', tenant USING ERRCODE = '{MOVING}'; END $body$
"""

# The first look at the lock does not wait, and yet never passes one who waits to put the fence up: PostgreSQL refuses
# it where a waiter's wish is in conflict. Only what must wait pays for a subtransaction.
_PASS: Final = f"""
CREATE OR REPLACE FUNCTION {SCHEMA}.pass(tenant uuid, named text, lock bigint, wait text, bound boolean) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = 0 AS $body$
DECLARE
    fence {SCHEMA}.fences;
BEGIN
    IF NOT pg_try_advisory_xact_lock_shared(lock) THEN
        PERFORM set_config('lock_timeout', wait, true);
        BEGIN
            PERFORM pg_advisory_xact_lock_shared(lock);
        EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
            PERFORM {SCHEMA}.hold_off(tenant);
        END;
    END IF;
    IF current_setting('transaction_isolation') = 'read committed' THEN
        SELECT * INTO fence FROM {SCHEMA}.fences f WHERE f.tenant_id = tenant AND f.place = named;
    ELSE
        BEGIN
            SELECT * INTO fence FROM {SCHEMA}.fences f WHERE f.tenant_id = tenant AND f.place = named FOR SHARE;
        EXCEPTION WHEN serialization_failure THEN
            PERFORM {SCHEMA}.hold_off(tenant);
        END;
    END IF;
    IF fence.holder = pg_current_xact_id_if_assigned() THEN
        RETURN;
    END IF;
    IF current_setting('{FENCING}', true) = 'on' THEN
        RAISE EXCEPTION '{FENCING} is only for the transaction that fences tenant %', tenant
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    IF fence.state IS NULL THEN
        PERFORM {SCHEMA}.hold_off(tenant);
    END IF;
    IF bound AND fence.state <> '{OPEN}' THEN
        PERFORM {SCHEMA}.refuse(tenant);
    END IF;
END $body$
"""

# Of the writers without a context, only those who touch the tenant's own rows are refused; but all of them wait here,
# before they hold a row that the transaction behind the fence may want.
_ENTER: Final = f"""
CREATE OR REPLACE FUNCTION {SCHEMA}.enter() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
    PERFORM {SCHEMA}.pass(TG_ARGV[0]::uuid, TG_ARGV[1], TG_ARGV[2]::bigint, TG_ARGV[3],
        TG_OP = 'TRUNCATE' OR current_setting('%(context)s', true) = TG_ARGV[0]);
    IF TG_OP = 'TRUNCATE' AND current_setting('{FENCING}', true) IS DISTINCT FROM 'on' THEN
        PERFORM {SCHEMA}.hold_off(TG_ARGV[0]::uuid);
    END IF;
    RETURN NULL;
END $body$
"""

_NOTE: Final = f"""
CREATE OR REPLACE FUNCTION {SCHEMA}.%(name)s() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp %(settings)s AS $body$
BEGIN
    IF current_setting('%(context)s', true) IS DISTINCT FROM TG_ARGV[0] THEN
        PERFORM {SCHEMA}.pass(TG_ARGV[0]::uuid, TG_ARGV[1], TG_ARGV[2]::bigint, TG_ARGV[3], true);
    END IF;
    IF TG_OP <> 'INSERT' THEN
        INSERT INTO {SCHEMA}.changes (tenant_id, place, relation, key)
            VALUES (TG_ARGV[0]::uuid, TG_ARGV[1], TG_ARGV[4], ARRAY[%(old)s]);
    END IF;
    IF TG_OP = 'INSERT' OR (TG_OP = 'UPDATE' AND (%(old)s) IS DISTINCT FROM (%(new)s)) THEN
        INSERT INTO {SCHEMA}.changes (tenant_id, place, relation, key)
            VALUES (TG_ARGV[0]::uuid, TG_ARGV[1], TG_ARGV[4], ARRAY[%(new)s]);
    END IF;
    RETURN NULL;
END $body$
"""
# The text of a key is to be the same whoever writes the row.
_CANONICAL: Final = "SET timezone = 'UTC' SET datestyle = 'ISO' SET intervalstyle = 'postgres' SET bytea_output = 'hex'"

_HERE: Final = f"""
CREATE OR REPLACE FUNCTION {SCHEMA}.here(named text) RETURNS uuid
    LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
    bound uuid := current_setting('%(context)s')::uuid;
BEGIN
    PERFORM {SCHEMA}.refuse(f.tenant_id) FROM {SCHEMA}.fences f
        WHERE f.tenant_id = bound AND f.place = named AND f.state = '{DEPARTED}';
    RETURN bound;
END $body$
"""

# With nobody behind a fence, nothing of it is left.
SWEEP: Final = f"""
DO $sweep$ BEGIN
    IF NOT EXISTS (SELECT 1 FROM {SCHEMA}.fences)
        AND NOT EXISTS (SELECT 1 FROM pg_policy WHERE polname = '{PRESENT_POLICY}')
    THEN DROP SCHEMA {SCHEMA} CASCADE; END IF;
END $sweep$
"""

# A snapshot from before the tenant left does not see that it left, but finds the row changed when it locks it.
_STILL: Final = f"""
CREATE OR REPLACE FUNCTION {SCHEMA}.still_here(named text) RETURNS uuid
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
    bound uuid := current_setting('%(context)s')::uuid;
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        BEGIN
            PERFORM 1 FROM {SCHEMA}.fences f WHERE f.tenant_id = bound AND f.place = named FOR SHARE;
        EXCEPTION WHEN serialization_failure THEN
            PERFORM {SCHEMA}.hold_off(bound);
        END;
    END IF;
    RETURN {SCHEMA}.here(named);
END $body$
"""


def schema_statements(config: Config) -> list[str]:
    """Returns what makes the fence's own tables and functions in a database; running it again is safe."""
    app, owner, operator = (config.role(name) for name in ("app", "owner", "operator"))
    words = {"context": config.context_setting}
    return [
        f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}",
        f"REVOKE ALL ON SCHEMA {SCHEMA} FROM PUBLIC",
        f"GRANT USAGE ON SCHEMA {SCHEMA} TO {app}, {owner}, {operator}",
        _TABLES,
        _PASS,
        _ENTER % words,
        _HERE % words,
        _STILL % words,
        f"REVOKE ALL ON ALL TABLES IN SCHEMA {SCHEMA} FROM PUBLIC, {app}",
        f"REVOKE ALL ON ALL FUNCTIONS IN SCHEMA {SCHEMA} FROM PUBLIC",
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON {SCHEMA}.fences, {SCHEMA}.changes TO {operator}",
        f"GRANT EXECUTE ON FUNCTION {SCHEMA}.here(text), {SCHEMA}.still_here(text) TO {app}, {owner}",
    ]


def lock_key(tenant: uuid.UUID, place: str) -> int:
    """Returns the signed 64-bit key of the lock that a tenant's writers share at one place."""
    digest = hashlib.sha256(f"{tenant}/{place}".encode()).digest()
    return int.from_bytes(digest[:8], signed=True)


def note_name(key: Sequence[str], *, plain: bool) -> str:
    """Returns the name of the function that notes changed rows by these key columns."""
    digest = hashlib.sha256("\0".join([*key, str(plain)]).encode()).hexdigest()
    return f"{NOTE_PREFIX}{digest[:16]}"


def note_statements(key: Sequence[str], config: Config, *, plain: bool) -> list[str]:
    """Returns what makes that function; *plain* says that no setting changes how the key is written."""
    name = note_name(key, plain=plain)
    values = {
        side: ", ".join(f"{side.upper()}.{quote(column)}::text" for column in key) or "NULL" for side in ("old", "new")
    }
    words = {"name": name, "context": config.context_setting, "settings": "" if plain else _CANONICAL, **values}
    return [_NOTE % words, f"REVOKE ALL ON FUNCTION {SCHEMA}.{name}() FROM PUBLIC"]


def trigger_statements(
    table: str,
    *,
    relation: str,
    key: Sequence[str],
    plain: bool,
    tenant: uuid.UUID,
    place: str,
    wait: int,
    config: Config,
) -> list[str]:
    """Returns what has one table hold the tenant's writers and note their changes; running it again is safe.

    Args:
        wait: for how many milliseconds a writer is held at most.
    """
    given = f"'{tenant}', {_literal(place)}, '{lock_key(tenant, place)}', '{wait}'"
    setting = f"current_setting('{config.context_setting}', true)"
    concerned = f"{setting} IS NULL OR {setting} IN ('', 'catalog', '{tenant}')"
    noting = f"EXECUTE FUNCTION {SCHEMA}.{note_name(key, plain=plain)}({given}, {_literal(relation)})"
    rows = {
        "INSERT": f"NEW.{TENANT_COLUMN} = '{tenant}'",
        "UPDATE": f"(OLD.{TENANT_COLUMN} = '{tenant}' OR NEW.{TENANT_COLUMN} = '{tenant}')",
        "DELETE": f"OLD.{TENANT_COLUMN} = '{tenant}'",
    }
    others = f"current_setting('{FENCING}', true) IS DISTINCT FROM 'on'"
    return [
        f"CREATE OR REPLACE TRIGGER {_trigger(tenant, 'enter')} BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE "
        f"ON {table} FOR EACH STATEMENT WHEN ({concerned}) EXECUTE FUNCTION {SCHEMA}.enter({given})",
        *(
            f"CREATE OR REPLACE TRIGGER {_trigger(tenant, event)} AFTER {event} ON {table} "
            f"FOR EACH ROW WHEN ({meant} AND {others}) {noting}"
            for event, meant in rows.items()
        ),
    ]


def fenced_question(schema: str) -> str:
    """Returns the expression that says whether changes are noted in a schema; *schema* is quoted already."""
    standing = (
        f"SELECT FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid "
        f"WHERE c.relnamespace = '{_doubled(schema)}'::regnamespace AND starts_with(t.tgname::text, '{TRIGGER}')"
    )
    # Where nobody was ever moved, the triggers of a large fleet are not read.
    return f"CASE WHEN to_regnamespace('{SCHEMA}') IS NULL THEN false ELSE EXISTS ({standing}) END"


def untrigger_statements(table: str, tenant: uuid.UUID) -> list[str]:
    """Returns what takes those triggers off a table, if it has them."""
    names = (_trigger(tenant, event) for event in ("enter", "insert", "update", "delete"))
    return [f"DROP TRIGGER IF EXISTS {name} ON {table}" for name in names]


def present_statements(table: str, *, place: str, config: Config) -> list[str]:
    """Returns what has a table refuse the sessions of tenants that have left, unless it does so already."""
    named = _literal(place)
    using = f"{TENANT_COLUMN} = (select {SCHEMA}.here({named}))"
    check = f"{TENANT_COLUMN} = (select {SCHEMA}.still_here({named}))"
    create = (
        f"CREATE POLICY {PRESENT_POLICY} ON {table} AS RESTRICTIVE FOR ALL "
        f"TO {config.role('app')}, {config.role('owner')} USING ({using}) WITH CHECK ({check})"
    )
    standing = (
        f"SELECT 1 FROM pg_policy WHERE polrelid = '{_doubled(table)}'::regclass AND polname = '{PRESENT_POLICY}'"
    )
    # Creating it would lock all readers out for a moment, although it stands.
    return [f"DO $make$ BEGIN IF NOT EXISTS ({standing}) THEN {create}; END IF; END $make$"]


def unpresent_statements(table: str, *, place: str) -> list[str]:
    """Returns what takes that policy off a table again, unless somebody has a fence or a tombstone there."""
    needed = f"SELECT 1 FROM {SCHEMA}.fences WHERE place = {_literal(place)}"
    dropping = f"DROP POLICY IF EXISTS {PRESENT_POLICY} ON {table}"
    return [
        # Whoever puts a fence up notes it first and then comes to the table: looked for under the lock, none is missed.
        f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE",
        f"DO $take$ BEGIN IF NOT EXISTS ({needed}) THEN {dropping}; END IF; END $take$",
    ]


def _trigger(tenant: uuid.UUID, event: str) -> str:
    return f"{TRIGGER}{tenant.hex}_{event.lower()}"


def _literal(text: str) -> str:
    return f"'{_doubled(text)}'"


def _doubled(text: str) -> str:
    return text.replace("'", "''")
