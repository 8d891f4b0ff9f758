-- Deploy documents:20261122_0003_summaries to sqlite
-- requires: 20261122_0002_documents
--
-- Summaries of documents.
-- Impact: New tables; no lock on what is in use beyond the moment in which its key is referred to.

BEGIN;

CREATE TABLE summaries (
    tenant_id CHAR(32) NOT NULL,
    id CHAR(32) NOT NULL,
    document_id CHAR(32) NOT NULL,
    document_version INTEGER,
    summary_text TEXT NOT NULL,
    summary_type VARCHAR(30) NOT NULL,
    tool_name VARCHAR(100),
    agent_name VARCHAR(100),
    model VARCHAR(100),
    language VARCHAR(10),
    confidence FLOAT,
    prompt_tokens INTEGER NOT NULL,
    completion_tokens INTEGER NOT NULL,
    created_at DATETIME NOT NULL,
    updated_at DATETIME NOT NULL,
    CONSTRAINT pk_summaries PRIMARY KEY (tenant_id, id),
    CONSTRAINT ck_summaries_summary_type CHECK (summary_type IN ('brief', 'detailed', 'executive')),
    CONSTRAINT ck_summaries_confidence CHECK (confidence >= 0 AND confidence <= 1),
    CONSTRAINT ck_summaries_tokens CHECK (prompt_tokens >= 0 AND completion_tokens >= 0),
    CONSTRAINT fk_summaries_document_id FOREIGN KEY(tenant_id, document_id) REFERENCES documents (tenant_id, id) ON DELETE CASCADE
);

CREATE INDEX ix_summaries_document_id_summary_type ON summaries (tenant_id, document_id, summary_type);

COMMIT;
