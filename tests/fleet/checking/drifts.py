"""Changes made by hand to one tenant's home, each with what the check must say of it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Drift:
    """What is done to a home, and the code and the words by which it is found."""

    done: str
    code: str
    said: str


ON_POSTGRES = [
    Drift("ALTER TABLE {s}.notes ADD COLUMN extra text", "F201", "notes.extra: text null here, not in the models"),
    Drift(
        "DROP INDEX {s}.ix_tickets_open",
        "F201",
        "index ix_tickets_open of tickets: USING btree (tenant_id, company_id) WHERE (priority <> 'done'::text) "
        "in the models, not here",
    ),
    Drift(
        "ALTER TABLE {s}.tickets ALTER subject TYPE varchar(200)",
        "F201",
        "tickets.subject: character varying(200) not null here, character varying(80) not null in the models",
    ),
    Drift("DROP POLICY tenantry_isolation ON {s}.notes", "F201", "policy tenantry_isolation of notes: "),
    Drift("ALTER TABLE {s}.notes NO FORCE ROW LEVEL SECURITY", "F301", "Row-level security of notes is on, not forced"),
    Drift(
        "GRANT TRUNCATE ON {s}.tags TO {app}",
        "F201",
        "rights {app} of tags: DELETE, INSERT, SELECT, TRUNCATE, UPDATE here, DELETE, INSERT, SELECT, UPDATE in the "
        "models",
    ),
    Drift(
        "ALTER TABLE {s}.notes DROP CONSTRAINT fk_notes_ticket_id",
        "F201",
        "foreign key fk_notes_ticket_id of notes: ",
    ),
    Drift(
        "ALTER TABLE {s}.tickets ALTER priority SET DEFAULT 'high'",
        "F201",
        "tickets.priority: text not null default 'high'::text here, text not null default 'low'::text in the models",
    ),
    Drift("CREATE TABLE {s}.copy_of_tags AS TABLE {s}.tags", "F201", "table copy_of_tags: here, not in the models"),
    Drift("ALTER TABLE {s}.tickets DISABLE TRIGGER quiet", "F201", "trigger quiet of tickets: "),
    Drift("ALTER TABLE {s}.notes DISABLE TRIGGER ALL", "F305", "The foreign key fk_notes_ticket_id is not enf"),
    Drift(
        "ALTER TABLE {s}.tickets DROP CONSTRAINT number_counts",
        "F201",
        "check number_counts of tickets: CHECK ((number > 0)) in the models, not here",
    ),
    Drift(
        "ALTER TABLE {s}.notes ALTER body DROP NOT NULL",
        "F201",
        "notes.body: character varying null here, character varying not null in the models",
    ),
    Drift("DROP TABLE {s}.ticket_tags", "F201", "table ticket_tags: in the models, not here"),
    Drift(
        "ALTER POLICY tenantry_isolation ON {s}.tags WITH CHECK (true)",
        "F201",
        "policy tenantry_isolation of tags: permissive for all to ",
    ),
    Drift("CREATE VIEW {s}.names AS SELECT subject FROM {s}.tickets", "F201", "view names: "),
    Drift("CREATE TYPE {s}.mood AS ENUM ('sad', 'fine')", "F201", "type mood: enum 'sad', 'fine' here, not in the mod"),
    Drift(
        "CREATE FUNCTION {s}.one() RETURNS int LANGUAGE sql AS 'select 1'",
        "F201",
        "function one(): returns integer sql body ",
    ),
    Drift("ALTER TABLE {s}.notes OWNER TO {owner}", "F202", "owner notes: {owner} here, "),
    Drift("GRANT CREATE ON SCHEMA {s} TO {app}", "F202", "schema rights of {app}: CREATE, USAGE here, USAGE in most"),
    Drift(
        "ALTER TABLE {s}.tags ALTER id SET INCREMENT BY 10",
        "F201",
        "sequence id of tags: integer from 1 by 10 between 1 and 2147483647 cache 1 here, ",
    ),
    Drift("GRANT SELECT (body) ON {s}.notes TO {platform}", "F201", "rights {platform} on body of notes: SELECT here"),
    Drift("ALTER TABLE {s}.notes SET (fillfactor = 50)", "F201", "table notes: plain with fillfactor=50 here, plain"),
    Drift(
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = '{s}.ix_tickets_open'::regclass",
        "F303",
        "The index ix_tickets_open of tickets is invalid",
    ),
    Drift(
        "ALTER TABLE {s}.notes DROP CONSTRAINT fk_notes_ticket_id, ADD CONSTRAINT fk_notes_ticket_id "
        "FOREIGN KEY (tenant_id, ticket_id) REFERENCES {s}.tickets ON DELETE SET NULL (ticket_id) NOT VALID",
        "F304",
        "The constraint fk_notes_ticket_id of notes was never validated",
    ),
]

# In SQLite most of this takes a new table; an administrator in a hurry edits the schema's own text instead.
_EDIT = "UPDATE sqlite_schema SET sql = replace(sql, {old}, {new}) WHERE type = 'table' AND name = '{table}'"


def _edited(table: str, old: str, new: str) -> str:
    quoted = {name: "'" + text.replace("'", "''") + "'" for name, text in (("old", old), ("new", new))}
    return _EDIT.format(table=table, **quoted)


ON_SQLITE = [
    Drift("ALTER TABLE notes ADD COLUMN extra TEXT", "F201", "notes.extra: TEXT null here, not in the models"),
    Drift(
        "DROP INDEX ix_tickets_open",
        "F201",
        "index ix_tickets_open of tickets: (tenant_id, company_id) in the models, not here",
    ),
    Drift(
        _edited("tickets", "VARCHAR(80)", "VARCHAR(200)"),
        "F201",
        "tickets.subject: VARCHAR(200) not null here, VARCHAR(80) not null in the models",
    ),
    Drift("DROP TRIGGER tenantry_set_null_notes_ticket_id", "F201", "trigger tenantry_set_null_notes_ticket_id of tic"),
    Drift(
        "CREATE TRIGGER spy AFTER INSERT ON notes BEGIN DELETE FROM tags; END",
        "F201",
        "trigger spy of notes: after insert on notes begin delete from tags ; end here, not in the models",
    ),
    Drift(
        _edited("tickets", " ON DELETE CASCADE", ""),
        "F201",
        "foreign key (company_id, tenant_id) to companies (id, tenant_id) of tickets: no action here, on delete "
        "cascade in the models",
    ),
    Drift(
        _edited("tickets", "DEFAULT 'low'", "DEFAULT 'high'"),
        "F201",
        "tickets.priority: TEXT not null default 'high' here, TEXT not null default 'low' in the models",
    ),
    Drift("CREATE TABLE copy_of_tags AS SELECT * FROM tags", "F201", "table copy_of_tags: here, not in the models"),
    Drift(
        _edited("tickets", "CHECK (number > 0)", "CHECK (number > 1)"),
        "F201",
        "check number_counts of tickets: number > 1 here, number > 0 in the models",
    ),
    Drift(
        _edited("notes", "body VARCHAR NOT NULL", "body VARCHAR"),
        "F201",
        "notes.body: VARCHAR null here, VARCHAR not null in the models",
    ),
    Drift("DROP TABLE ticket_tags", "F201", "table ticket_tags: in the models, not here"),
    Drift("CREATE VIEW names AS SELECT subject FROM tickets", "F201", "view names: as select subject from tickets her"),
    Drift("CREATE UNIQUE INDEX once ON notes (body)", "F201", "index once of notes: unique (body) here, not in the mo"),
    Drift(
        _edited("tags", "label VARCHAR(40)", "label VARCHAR(40) COLLATE NOCASE"),
        "F201",
        "collate label of tags: nocase here, not in the models",
    ),
]
