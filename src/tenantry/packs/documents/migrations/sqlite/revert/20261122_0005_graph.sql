-- Revert documents:20261122_0005_graph from sqlite
-- The rows go with the tables: back up first.

BEGIN;

DROP TRIGGER tenantry_set_null_graph_nodes_document_id;
DROP TABLE graph_relationships;
DROP TABLE graph_nodes;

COMMIT;
