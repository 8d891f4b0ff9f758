-- Verify documents:20261122_0005_graph on sqlite

BEGIN;

SELECT tenant_id, id, document_id, node_type, label, external_id, properties, is_active, created_at,
    updated_at
FROM graph_nodes WHERE FALSE;

SELECT tenant_id, id, source_node_id, target_node_id, relationship_type, weight, confidence, is_directed,
    properties, created_at, updated_at
FROM graph_relationships WHERE FALSE;

ROLLBACK;
