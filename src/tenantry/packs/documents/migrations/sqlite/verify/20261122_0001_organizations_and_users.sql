-- Verify documents:20261122_0001_organizations_and_users on sqlite

BEGIN;

SELECT tenant_id, id, name, slug, domain, "plan", settings, is_active, created_at, updated_at, deleted_at,
    deleted_by
FROM organizations WHERE FALSE;

SELECT tenant_id, id, email, username, display_name, role, is_active, last_login_at, created_at, updated_at,
    deleted_at, deleted_by
FROM users WHERE FALSE;

ROLLBACK;
