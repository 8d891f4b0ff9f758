-- Deploy documents:20261122_0006_audit to pg
--
-- The audit: entries, and the end of each chain.
-- Impact: New tables. Every recorded action adds an entry and locks its tenant's head for three short statements.
-- Walls: no row is seen before a policy lets it be; the fleet puts that up in the same transaction.

BEGIN;

CREATE TABLE audit_heads (
    tenant_id UUID NOT NULL,
    chain VARCHAR NOT NULL,
    seq BIGINT NOT NULL,
    digest VARCHAR(64) NOT NULL,
    recorded_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_audit_heads PRIMARY KEY (tenant_id, chain)
);

CREATE TABLE audit_log (
    tenant_id UUID NOT NULL,
    seq BIGINT NOT NULL,
    id UUID NOT NULL,
    recorded_at TIMESTAMP WITH TIME ZONE NOT NULL,
    event_type VARCHAR NOT NULL,
    category VARCHAR NOT NULL,
    status VARCHAR NOT NULL,
    description TEXT,
    resource_type VARCHAR,
    resource_id VARCHAR,
    actor VARCHAR,
    impersonator VARCHAR,
    correlation_id VARCHAR,
    changes JSONB,
    details JSONB,
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

ALTER TABLE audit_heads ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;

ALTER TABLE audit_log ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;

COMMIT;
