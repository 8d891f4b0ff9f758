-- Verify documents:20261122_0002_documents on sqlite

BEGIN;

SELECT tenant_id, id, owner_id, version, title, content, content_type, status, source_url, file_path,
    file_size, content_hash, word_count, language, metadata, created_at, updated_at, deleted_at, deleted_by
FROM documents WHERE FALSE;

SELECT tenant_id, id, document_id, version_number, title, content, change_summary, diff, changed_by,
    content_hash, metadata, created_at
FROM document_versions WHERE FALSE;

ROLLBACK;
