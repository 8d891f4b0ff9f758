-- Verify documents:20261122_0006_audit on pg

BEGIN;

SELECT tenant_id, chain, seq, digest, recorded_at
FROM audit_heads WHERE FALSE;

SELECT tenant_id, seq, id, recorded_at, event_type, category, status, description, resource_type, resource_id,
    actor, impersonator, correlation_id, changes, details, salt, content_digest, key_id, previous_digest,
    digest
FROM audit_log WHERE FALSE;

ROLLBACK;
