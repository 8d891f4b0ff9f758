-- Revert documents:20261122_0005_graph from pg
-- The rows go with the tables: back up first.

BEGIN;

DROP TABLE graph_relationships;
DROP TABLE graph_nodes;

COMMIT;
