"""What a fingerprint sees through: another spelling, another order, another place."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from tenantry.fleet.fingerprints import Fingerprint, differences
from tenantry.fleet.fingerprints_postgres import renamed
from tenantry.fleet.fingerprints_sqlite import read
from tenantry.fleet.fingerprints_text import normal

PLAIN = """
CREATE TABLE companies (tenant_id CHAR(32) NOT NULL, id CHAR(32) NOT NULL, PRIMARY KEY (tenant_id, id));
CREATE TABLE tickets (
    tenant_id CHAR(32) NOT NULL, id CHAR(32) NOT NULL, number INTEGER DEFAULT 1, note VARCHAR(40) NOT NULL,
    share FLOAT, company_id CHAR(32), twice INTEGER GENERATED ALWAYS AS (number * 2) STORED,
    PRIMARY KEY (tenant_id, id), UNIQUE (tenant_id, number), CONSTRAINT counts CHECK (number > 0),
    FOREIGN KEY (tenant_id, company_id) REFERENCES companies (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX ix_note ON tickets (tenant_id, note);
CREATE INDEX ix_lower ON tickets (tenant_id, lower(note)) WHERE number > 3;
CREATE TRIGGER gone AFTER DELETE ON tickets BEGIN DELETE FROM companies WHERE id = OLD.company_id; END
"""

# The same, as a batch, an ALTER TABLE and somebody with other habits would leave it.
SPELLED_OTHERWISE = """
create table "companies" ("id" char(32) not null, `tenant_id` CHAR( 32 ) not null, primary key(tenant_id, id));
create table [tickets] (
    "id" CHAR(32) NOT NULL, -- the row's own, (really
    "tenant_id" CHAR(32) NOT NULL, note VARCHAR(40) NOT NULL,
    "twice" INTEGER AS (("number" * 2)) STORED,
    "company_id" CHAR(32), "share" double, number INTEGER /* counted */ DEFAULT (1),
    CONSTRAINT fk FOREIGN KEY("company_id", tenant_id) REFERENCES "companies" (id, tenant_id) ON DELETE CASCADE,
    CONSTRAINT uq UNIQUE("tenant_id", number),
    CONSTRAINT "counts" CHECK(("number">0)),
    CONSTRAINT "pk" PRIMARY KEY (tenant_id, "id")
);
CREATE INDEX "ix_lower" ON "tickets" ("tenant_id", LOWER("note"))  WHERE (number>3);
CREATE INDEX ix_note ON tickets ("tenant_id","note");
CREATE TRIGGER "gone" after delete on "tickets"
BEGIN
    DELETE FROM companies WHERE "id" = old.company_id;
END
"""

# One thing at a time in place of another, and what must be said of it.
CHANGES = {
    "number INTEGER DEFAULT 1|number INTEGER DEFAULT 2": "tickets.number: INTEGER null default 1 here, INTEGER null",
    "DEFAULT 1|": "tickets.number: INTEGER null default 1 here, INTEGER null in the models",
    "share FLOAT|share REAL": "tickets.share: DOUBLE null here, REAL null in the models",
    "number INTEGER|number BIGINT": "tickets.number: INTEGER null default 1 here, BIGINT null default 1 in the models",
    "note VARCHAR(40) NOT NULL|note VARCHAR(40)": "tickets.note: VARCHAR(40) not null here, VARCHAR(40) null in the",
    "number * 2|number * 3": "generated twice of tickets: number * 2 here, number * 3 in the models",
    "UNIQUE (tenant_id, number),|": "unique (tenant_id, number) of tickets: here, not in the models",
    "CHECK (number > 0)|CHECK (number > 1)": "check counts of tickets: number > 0 here, number > 1 in the models",
    "CONSTRAINT counts CHECK (number > 0),|": "check counts of tickets: number > 0 here, not in the models",
    "ON DELETE CASCADE|ON DELETE RESTRICT": "of tickets: on delete cascade here, on delete restrict in the models",
    "PRIMARY KEY (tenant_id, id), UNIQUE|PRIMARY KEY (id, tenant_id), UNIQUE": "primary key tickets: (tenant_id, id) h",
    "(tenant_id, note);|(tenant_id, note DESC);": "index ix_note of tickets: (tenant_id, note) here, (tenant_id, note",
    "CREATE INDEX ix_note|CREATE UNIQUE INDEX ix_note": "index ix_note of tickets: (tenant_id, note) here, unique (ten",
    "lower(note)|upper(note)": "index ix_lower of tickets: (tenant_id, lower (note)) where number > 3 here, ",
    "WHERE number > 3|": "index ix_lower of tickets: (tenant_id, lower (note)) where number > 3 here, ",
    "AFTER DELETE|BEFORE DELETE": "trigger gone of tickets: after delete on tickets",
    "company_id CHAR(32),|company_id CHAR(32) COLLATE NOCASE,": "collate company_id of tickets: nocase in the models",
    "id) ON DELETE CASCADE|id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED": "deferral tenant_id, company_id of ti",
    "CASCADE\n);|CASCADE\n) WITHOUT ROWID;": "table tickets: plain here, without rowid in the models",
}


def shape(script: str) -> Fingerprint:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(script)
        return read(connection)


def test_another_spelling_is_no_difference() -> None:
    assert differences(shape(PLAIN), shape(SPELLED_OTHERWISE)) == []
    assert shape(PLAIN).digest == shape(SPELLED_OTHERWISE).digest


@pytest.mark.parametrize("change", CHANGES)
def test_every_change_is_one_difference_said_in_words(change: str) -> None:
    old, new = change.split("|")
    assert old in PLAIN
    (said,) = differences(shape(PLAIN), shape(PLAIN.replace(old, new)))
    assert CHANGES[change] in said


def test_of_a_missing_table_nothing_else_is_said() -> None:
    without = PLAIN.partition("CREATE TABLE tickets")[0]
    assert differences(shape(without), shape(PLAIN)) == ["table tickets: in the models, not here"]
    assert differences(shape(PLAIN), shape(without)) == ["table tickets: here, not in the models"]


def test_what_a_migration_keeps_for_itself_is_no_part_of_the_shape() -> None:
    version = ";CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)"
    assert shape(PLAIN + version) == shape(PLAIN)


def test_literals_keep_their_case_and_needless_quotes_go() -> None:
    assert normal("CHECK ( \"Status\" IN ('Open' , 'open') )") == "check (status in ('Open', 'open'))"
    assert normal("\"two words\" = 'it''s'") == "\"two words\" = 'it''s'"
    assert normal('"check" > 1') == '"check" > 1'
    assert normal("((a) + (b))") == "(a) + (b)"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("REFERENCES t_a.tickets(id)", "REFERENCES tickets(id)"),
        ("nextval('t_a.tickets_id_seq'::regclass)", "nextval('tickets_id_seq'::regclass)"),
        ("DEFAULT 't_a.tickets'::text", "DEFAULT 't_a.tickets'::text"),
        ("REFERENCES t_b.tickets(id)", "REFERENCES t_b.tickets(id)"),
        ("REFERENCES not_t_a.tickets(id)", "REFERENCES not_t_a.tickets(id)"),
        ("CHECK (note <> 'it''s t_a.x' AND t_a.f(note))", "CHECK (note <> 'it''s t_a.x' AND f(note))"),
    ],
)
def test_a_home_does_not_name_itself_and_names_others(text: str, told: str) -> None:
    assert renamed(text, "t_a", "") == told
    assert renamed(told, "other", "t_c") == told
