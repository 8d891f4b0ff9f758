-- Deploy documents:20261122_0004_topics to pg
-- requires: 20261122_0002_documents
--
-- Topics, and which documents are about them.
-- Impact: New tables; no lock on what is in use beyond the moment in which its key is referred to.
-- Walls: no row is seen before a policy lets it be; the fleet puts that up in the same transaction.

BEGIN;

CREATE TABLE topics (
    tenant_id UUID NOT NULL,
    id UUID NOT NULL,
    name VARCHAR(255) NOT NULL,
    description TEXT,
    keywords JSONB NOT NULL,
    parent_topic_id UUID,
    extraction_method VARCHAR(50),
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_topics PRIMARY KEY (tenant_id, id),
    CONSTRAINT fk_topics_tenant_id FOREIGN KEY(tenant_id) REFERENCES organizations (tenant_id),
    CONSTRAINT uq_topics_name UNIQUE (tenant_id, name),
    CONSTRAINT fk_topics_parent_topic_id FOREIGN KEY(tenant_id, parent_topic_id) REFERENCES topics (tenant_id, id) ON DELETE SET NULL (parent_topic_id)
);

CREATE TABLE document_topics (
    tenant_id UUID NOT NULL,
    id UUID NOT NULL,
    document_id UUID NOT NULL,
    topic_id UUID NOT NULL,
    relevance_score FLOAT NOT NULL,
    extracted_at TIMESTAMP WITH TIME ZONE NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_document_topics PRIMARY KEY (tenant_id, id),
    CONSTRAINT ck_document_topics_relevance_score CHECK (relevance_score >= 0 AND relevance_score <= 1),
    CONSTRAINT uq_document_topics_document_id_topic_id UNIQUE (tenant_id, document_id, topic_id),
    CONSTRAINT fk_document_topics_document_id FOREIGN KEY(tenant_id, document_id) REFERENCES documents (tenant_id, id) ON DELETE CASCADE,
    CONSTRAINT fk_document_topics_topic_id FOREIGN KEY(tenant_id, topic_id) REFERENCES topics (tenant_id, id) ON DELETE CASCADE
);

CREATE INDEX ix_document_topics_topic_id ON document_topics (tenant_id, topic_id);

CREATE INDEX ix_topics_parent_topic_id ON topics (tenant_id, parent_topic_id);

ALTER TABLE topics ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;

ALTER TABLE document_topics ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;

COMMIT;
