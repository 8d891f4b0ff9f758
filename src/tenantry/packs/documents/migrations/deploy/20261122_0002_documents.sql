-- Deploy documents:20261122_0002_documents to pg
-- requires: 20261122_0001_organizations_and_users
--
-- Documents and their versions.
-- Impact: New tables. Each insert of a document keeps four b-trees and a GIN index of its metadata; a version is written
-- with each change of its content, so document_versions grows with the edits.
-- Walls: no row is seen before a policy lets it be; the fleet puts that up in the same transaction.

BEGIN;

CREATE TABLE documents (
    tenant_id UUID NOT NULL,
    id UUID NOT NULL,
    owner_id UUID NOT NULL,
    version INTEGER NOT NULL,
    title VARCHAR(500) NOT NULL,
    content TEXT,
    content_type VARCHAR(100) NOT NULL,
    status VARCHAR(20) NOT NULL,
    source_url VARCHAR(1024),
    file_path VARCHAR(1024),
    file_size BIGINT,
    content_hash VARCHAR(64),
    word_count INTEGER,
    language VARCHAR(10),
    metadata JSONB NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE NOT NULL,
    deleted_at TIMESTAMP WITH TIME ZONE,
    deleted_by VARCHAR(255),
    CONSTRAINT pk_documents PRIMARY KEY (tenant_id, id),
    CONSTRAINT fk_documents_tenant_id FOREIGN KEY(tenant_id) REFERENCES organizations (tenant_id),
    CONSTRAINT ck_documents_status CHECK (status IN ('draft', 'processing', 'published', 'archived')),
    CONSTRAINT ck_documents_version CHECK (version >= 1),
    CONSTRAINT fk_documents_owner_id FOREIGN KEY(tenant_id, owner_id) REFERENCES users (tenant_id, id)
);

CREATE TABLE document_versions (
    tenant_id UUID NOT NULL,
    id UUID NOT NULL,
    document_id UUID NOT NULL,
    version_number INTEGER NOT NULL,
    title VARCHAR(500),
    content TEXT,
    change_summary TEXT,
    diff TEXT,
    changed_by UUID,
    content_hash VARCHAR(64),
    metadata JSONB NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_document_versions PRIMARY KEY (tenant_id, id),
    CONSTRAINT ck_document_versions_version_number CHECK (version_number >= 1),
    CONSTRAINT uq_document_versions_document_id_version_number UNIQUE (tenant_id, document_id, version_number),
    CONSTRAINT fk_document_versions_document_id FOREIGN KEY(tenant_id, document_id) REFERENCES documents (tenant_id, id)
);

CREATE INDEX ix_document_versions_changed_by ON document_versions (tenant_id, changed_by);

CREATE INDEX ix_documents_content_hash ON documents (tenant_id, content_hash);

CREATE INDEX ix_documents_created_at ON documents (tenant_id, created_at);

CREATE INDEX ix_documents_metadata ON documents USING gin (metadata);

CREATE INDEX ix_documents_owner_id ON documents (tenant_id, owner_id);

CREATE INDEX ix_documents_status ON documents (tenant_id, status);

ALTER TABLE documents ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;

ALTER TABLE document_versions ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;

COMMIT;
