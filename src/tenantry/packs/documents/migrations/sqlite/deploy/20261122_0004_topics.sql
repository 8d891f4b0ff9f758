-- Deploy documents:20261122_0004_topics to sqlite
-- requires: 20261122_0002_documents
--
-- Topics, and which documents are about them.
-- Impact: New tables; no lock on what is in use beyond the moment in which its key is referred to.

BEGIN;

CREATE TABLE topics (
    tenant_id CHAR(32) NOT NULL,
    id CHAR(32) NOT NULL,
    name VARCHAR(255) NOT NULL,
    description TEXT,
    keywords JSON NOT NULL,
    parent_topic_id CHAR(32),
    extraction_method VARCHAR(50),
    created_at DATETIME NOT NULL,
    updated_at DATETIME NOT NULL,
    CONSTRAINT pk_topics PRIMARY KEY (tenant_id, id),
    CONSTRAINT fk_topics_tenant_id FOREIGN KEY(tenant_id) REFERENCES organizations (tenant_id),
    CONSTRAINT uq_topics_name UNIQUE (tenant_id, name),
    CONSTRAINT fk_topics_parent_topic_id FOREIGN KEY(tenant_id, parent_topic_id) REFERENCES topics (tenant_id, id)
);

CREATE TABLE document_topics (
    tenant_id CHAR(32) NOT NULL,
    id CHAR(32) NOT NULL,
    document_id CHAR(32) NOT NULL,
    topic_id CHAR(32) NOT NULL,
    relevance_score FLOAT NOT NULL,
    extracted_at DATETIME NOT NULL,
    created_at DATETIME NOT NULL,
    updated_at DATETIME NOT NULL,
    CONSTRAINT pk_document_topics PRIMARY KEY (tenant_id, id),
    CONSTRAINT ck_document_topics_relevance_score CHECK (relevance_score >= 0 AND relevance_score <= 1),
    CONSTRAINT uq_document_topics_document_id_topic_id UNIQUE (tenant_id, document_id, topic_id),
    CONSTRAINT fk_document_topics_document_id FOREIGN KEY(tenant_id, document_id) REFERENCES documents (tenant_id, id) ON DELETE CASCADE,
    CONSTRAINT fk_document_topics_topic_id FOREIGN KEY(tenant_id, topic_id) REFERENCES topics (tenant_id, id) ON DELETE CASCADE
);

CREATE INDEX ix_document_topics_topic_id ON document_topics (tenant_id, topic_id);

CREATE INDEX ix_topics_parent_topic_id ON topics (tenant_id, parent_topic_id);

CREATE TRIGGER IF NOT EXISTS tenantry_set_null_topics_parent_topic_id BEFORE DELETE ON topics BEGIN UPDATE topics SET parent_topic_id = NULL WHERE tenant_id = OLD.tenant_id AND parent_topic_id = OLD.id; END;

COMMIT;
