-- Verify documents:20261122_0004_topics on pg

BEGIN;

SELECT tenant_id, id, name, description, keywords, parent_topic_id, extraction_method, created_at, updated_at
FROM topics WHERE FALSE;

SELECT tenant_id, id, document_id, topic_id, relevance_score, extracted_at, created_at, updated_at
FROM document_topics WHERE FALSE;

ROLLBACK;
