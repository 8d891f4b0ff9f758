-- Deploy documents:20261122_0006_audit to sqlite
--
-- The audit: entries, and the end of each chain.
-- Impact: New tables. Every recorded action adds an entry and locks its tenant's head for three short statements.

BEGIN;

CREATE TABLE audit_heads (
    tenant_id CHAR(32) NOT NULL,
    chain VARCHAR NOT NULL,
    seq BIGINT NOT NULL,
    digest VARCHAR(64) NOT NULL,
    recorded_at DATETIME NOT NULL,
    CONSTRAINT pk_audit_heads PRIMARY KEY (tenant_id, chain)
);

CREATE TABLE audit_log (
    tenant_id CHAR(32) NOT NULL,
    seq BIGINT NOT NULL,
    id CHAR(32) NOT NULL,
    recorded_at DATETIME NOT NULL,
    event_type VARCHAR NOT NULL,
    category VARCHAR NOT NULL,
    status VARCHAR NOT NULL,
    description TEXT,
    resource_type VARCHAR,
    resource_id VARCHAR,
    actor VARCHAR,
    impersonator VARCHAR,
    correlation_id VARCHAR,
    changes JSON,
    details JSON,
    salt VARCHAR(32),
    content_digest VARCHAR(64) NOT NULL,
    key_id VARCHAR NOT NULL,
    previous_digest VARCHAR(64) NOT NULL,
    digest VARCHAR(64) NOT NULL,
    CONSTRAINT pk_audit_log PRIMARY KEY (tenant_id, seq),
    CONSTRAINT uq_audit_log_id UNIQUE (tenant_id, id)
);

CREATE INDEX ix_audit_log_failures ON audit_log (tenant_id, seq) WHERE status <> 'success';

CREATE INDEX ix_audit_log_resource ON audit_log (tenant_id, resource_type, resource_id);

CREATE INDEX ix_audit_log_time ON audit_log (tenant_id, recorded_at);

CREATE TRIGGER "tenantry_append_only_audit_log_delete" BEFORE DELETE ON "audit_log" BEGIN SELECT RAISE(ABORT, 'audit_log is append-only: its rows are neither changed nor deleted'); END;

CREATE TRIGGER "tenantry_append_only_audit_log_update" BEFORE UPDATE ON "audit_log" BEGIN SELECT RAISE(ABORT, 'audit_log is append-only: its rows are neither changed nor deleted'); END;

COMMIT;
