-- Verify documents:20261122_0003_summaries on pg

BEGIN;

SELECT tenant_id, id, document_id, document_version, summary_text, summary_type, tool_name, agent_name, model,
    language, confidence, prompt_tokens, completion_tokens, created_at, updated_at
FROM summaries WHERE FALSE;

ROLLBACK;
