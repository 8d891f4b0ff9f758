-- Revert documents:20261122_0006_audit from pg
-- The rows go with the tables: back up first.

BEGIN;

DROP TABLE audit_log;
DROP TABLE audit_heads;

COMMIT;
