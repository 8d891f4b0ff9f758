-- Revert documents:20261122_0002_documents from pg
-- The rows go with the tables: back up first.

BEGIN;

DROP TABLE document_versions;
DROP TABLE documents;

COMMIT;
