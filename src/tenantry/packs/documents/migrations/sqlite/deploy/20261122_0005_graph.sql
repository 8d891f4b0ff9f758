-- Deploy documents:20261122_0005_graph to sqlite
-- requires: 20261122_0002_documents
--
-- The graph of documents: nodes and relationships.
-- Impact: New tables; no lock on what is in use beyond the moment in which its key is referred to.

BEGIN;

CREATE TABLE graph_nodes (
    tenant_id CHAR(32) NOT NULL,
    id CHAR(32) NOT NULL,
    document_id CHAR(32),
    node_type VARCHAR(50) NOT NULL,
    label VARCHAR(255) NOT NULL,
    external_id VARCHAR(255),
    properties JSON NOT NULL,
    is_active BOOLEAN NOT NULL,
    created_at DATETIME NOT NULL,
    updated_at DATETIME NOT NULL,
    CONSTRAINT pk_graph_nodes PRIMARY KEY (tenant_id, id),
    CONSTRAINT fk_graph_nodes_tenant_id FOREIGN KEY(tenant_id) REFERENCES organizations (tenant_id),
    CONSTRAINT fk_graph_nodes_document_id FOREIGN KEY(tenant_id, document_id) REFERENCES documents (tenant_id, id)
);

CREATE TABLE graph_relationships (
    tenant_id CHAR(32) NOT NULL,
    id CHAR(32) NOT NULL,
    source_node_id CHAR(32) NOT NULL,
    target_node_id CHAR(32) NOT NULL,
    relationship_type VARCHAR(50) NOT NULL,
    weight FLOAT NOT NULL,
    confidence FLOAT,
    is_directed BOOLEAN NOT NULL,
    properties JSON NOT NULL,
    created_at DATETIME NOT NULL,
    updated_at DATETIME NOT NULL,
    CONSTRAINT pk_graph_relationships PRIMARY KEY (tenant_id, id),
    CONSTRAINT ck_graph_relationships_ends CHECK (source_node_id <> target_node_id),
    CONSTRAINT ck_graph_relationships_confidence CHECK (confidence >= 0 AND confidence <= 1),
    CONSTRAINT uq_graph_relationships_from_to_type UNIQUE (tenant_id, source_node_id, target_node_id, relationship_type),
    CONSTRAINT fk_graph_relationships_source_node_id FOREIGN KEY(tenant_id, source_node_id) REFERENCES graph_nodes (tenant_id, id) ON DELETE CASCADE,
    CONSTRAINT fk_graph_relationships_target_node_id FOREIGN KEY(tenant_id, target_node_id) REFERENCES graph_nodes (tenant_id, id) ON DELETE CASCADE
);

CREATE INDEX ix_graph_nodes_document_id ON graph_nodes (tenant_id, document_id);

CREATE INDEX ix_graph_nodes_node_type ON graph_nodes (tenant_id, node_type);

CREATE INDEX ix_graph_relationships_target_node_id ON graph_relationships (tenant_id, target_node_id);

CREATE TRIGGER IF NOT EXISTS tenantry_set_null_graph_nodes_document_id BEFORE DELETE ON documents BEGIN UPDATE graph_nodes SET document_id = NULL WHERE tenant_id = OLD.tenant_id AND document_id = OLD.id; END;

COMMIT;
