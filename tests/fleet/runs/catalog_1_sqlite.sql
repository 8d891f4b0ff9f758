-- The catalog as version 1 had it on SQLite, written out by hand: what an installation from before the fleet holds.
CREATE TABLE meta (name TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL);
INSERT INTO meta VALUES ('version', '1');
CREATE TABLE tenants (
    id CHAR(32) NOT NULL PRIMARY KEY,
    slug TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    status TEXT NOT NULL,
    settings JSON NOT NULL,
    epoch INTEGER NOT NULL,
    created_at DATETIME NOT NULL,
    updated_at DATETIME NOT NULL
);
CREATE INDEX ix_tenants_status ON tenants (status);
CREATE TABLE identities (
    kind TEXT NOT NULL,
    value TEXT NOT NULL,
    tenant_id CHAR(32) NOT NULL REFERENCES tenants (id),
    PRIMARY KEY (kind, value)
);
CREATE INDEX ix_tenantry_identities_tenant_id ON identities (tenant_id);
CREATE TABLE servers (name TEXT NOT NULL PRIMARY KEY, kind TEXT NOT NULL, location TEXT NOT NULL);
CREATE TABLE placements (
    tenant_id CHAR(32) NOT NULL REFERENCES tenants (id),
    epoch INTEGER NOT NULL,
    server TEXT NOT NULL,
    isolation TEXT NOT NULL,
    physical TEXT NOT NULL,
    PRIMARY KEY (tenant_id, epoch),
    UNIQUE (server, isolation, physical, tenant_id)
);
CREATE TABLE journal (
    id CHAR(32) NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL,
    tenant_id CHAR(32) NOT NULL,
    step TEXT NOT NULL,
    state TEXT NOT NULL,
    holder TEXT NOT NULL,
    lease_until DATETIME NOT NULL,
    detail JSON NOT NULL,
    created_at DATETIME NOT NULL,
    updated_at DATETIME NOT NULL
);
CREATE INDEX ix_tenantry_journal_tenant_id ON journal (tenant_id);
CREATE INDEX ix_tenantry_journal_state ON journal (state);
CREATE TABLE operator_log (
    id INTEGER NOT NULL PRIMARY KEY,
    at DATETIME NOT NULL,
    login TEXT NOT NULL,
    server TEXT NOT NULL,
    reason TEXT NOT NULL
);
