-- Revert documents:20261122_0004_topics from sqlite
-- The rows go with the tables: back up first.

BEGIN;

DROP TABLE document_topics;
DROP TABLE topics;

COMMIT;
