-- Revert documents:20261122_0001_organizations_and_users from pg
-- The rows go with the tables: back up first.

BEGIN;

DROP TABLE users;
DROP TABLE organizations;

COMMIT;
