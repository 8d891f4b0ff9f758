-- Revert documents:20261122_0003_summaries from sqlite
-- The rows go with the tables: back up first.

BEGIN;

DROP TABLE summaries;

COMMIT;
