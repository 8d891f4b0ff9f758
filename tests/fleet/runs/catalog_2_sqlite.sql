-- The catalog as version 2 had it on SQLite, as its install() sent it.
CREATE TABLE fleet_runs (
    id CHAR(32) NOT NULL,
    verb TEXT NOT NULL,
    history TEXT NOT NULL,
    target TEXT,
    state TEXT NOT NULL,
    reason TEXT NOT NULL,
    stage INTEGER NOT NULL,
    options JSON NOT NULL,
    created_at DATETIME NOT NULL,
    updated_at DATETIME NOT NULL,
    PRIMARY KEY (id)
);
CREATE INDEX ix_tenantry_fleet_runs_state ON fleet_runs (state);
CREATE TABLE journal (
    id CHAR(32) NOT NULL,
    kind TEXT NOT NULL,
    tenant_id CHAR(32) NOT NULL,
    step TEXT NOT NULL,
    state TEXT NOT NULL,
    holder TEXT NOT NULL,
    lease_until DATETIME NOT NULL,
    detail JSON NOT NULL,
    created_at DATETIME NOT NULL,
    updated_at DATETIME NOT NULL,
    PRIMARY KEY (id)
);
CREATE INDEX ix_tenantry_journal_state ON journal (state);
CREATE INDEX ix_tenantry_journal_tenant_id ON journal (tenant_id);
CREATE TABLE meta (
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (name)
);
CREATE TABLE operator_log (
    id INTEGER NOT NULL,
    at DATETIME NOT NULL,
    login TEXT NOT NULL,
    server TEXT NOT NULL,
    reason TEXT NOT NULL,
    PRIMARY KEY (id)
);
CREATE TABLE servers (
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    location TEXT NOT NULL,
    PRIMARY KEY (name)
);
CREATE TABLE tenants (
    id CHAR(32) NOT NULL,
    slug TEXT NOT NULL,
    name TEXT NOT NULL,
    status TEXT NOT NULL,
    settings JSON NOT NULL,
    epoch INTEGER NOT NULL,
    created_at DATETIME NOT NULL,
    updated_at DATETIME NOT NULL,
    PRIMARY KEY (id),
    UNIQUE (slug)
);
CREATE INDEX ix_tenants_status ON tenants (status);
CREATE TABLE warm (
    id CHAR(32) NOT NULL,
    server TEXT NOT NULL,
    isolation TEXT NOT NULL,
    physical TEXT NOT NULL,
    head TEXT,
    state TEXT NOT NULL,
    holder TEXT NOT NULL,
    lease_until DATETIME NOT NULL,
    created_at DATETIME NOT NULL,
    PRIMARY KEY (id)
);
CREATE INDEX ix_warm_place ON warm (server, isolation, state);
CREATE TABLE fleet_work (
    run_id CHAR(32) NOT NULL,
    home TEXT NOT NULL,
    number INTEGER NOT NULL,
    server TEXT NOT NULL,
    kind TEXT NOT NULL,
    physical TEXT NOT NULL,
    tenant_id CHAR(32),
    ring TEXT NOT NULL,
    stage INTEGER NOT NULL,
    target TEXT,
    state TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    claimed INTEGER NOT NULL,
    due_at DATETIME NOT NULL,
    seconds FLOAT NOT NULL,
    "before" TEXT,
    "after" TEXT,
    touched JSON NOT NULL,
    error TEXT,
    holder TEXT,
    worker CHAR(32),
    lease_until DATETIME,
    PRIMARY KEY (run_id, home),
    FOREIGN KEY(run_id) REFERENCES fleet_runs (id)
);
CREATE INDEX ix_tenantry_fleet_work_tenant_id ON fleet_work (tenant_id);
CREATE INDEX ix_fleet_work_waiting ON fleet_work (run_id, state, stage, number);
CREATE TABLE identities (
    kind TEXT NOT NULL,
    value TEXT NOT NULL,
    tenant_id CHAR(32) NOT NULL,
    PRIMARY KEY (kind, value),
    FOREIGN KEY(tenant_id) REFERENCES tenants (id)
);
CREATE INDEX ix_tenantry_identities_tenant_id ON identities (tenant_id);
CREATE TABLE placements (
    tenant_id CHAR(32) NOT NULL,
    epoch INTEGER NOT NULL,
    server TEXT NOT NULL,
    isolation TEXT NOT NULL,
    physical TEXT NOT NULL,
    PRIMARY KEY (tenant_id, epoch),
    UNIQUE (server, isolation, physical, tenant_id),
    FOREIGN KEY(tenant_id) REFERENCES tenants (id)
);
INSERT INTO meta VALUES ('version', '2');
