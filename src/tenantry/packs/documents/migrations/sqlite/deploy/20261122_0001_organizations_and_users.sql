-- Deploy documents:20261122_0001_organizations_and_users to sqlite
--
-- Organisations and their users.
-- Impact: New tables; no lock on what is in use beyond the moment in which its key is referred to.

BEGIN;

CREATE TABLE organizations (
    tenant_id CHAR(32) NOT NULL,
    id CHAR(32) NOT NULL,
    name VARCHAR(255) NOT NULL,
    slug VARCHAR(100),
    domain VARCHAR(255),
    "plan" VARCHAR(50) NOT NULL,
    settings JSON NOT NULL,
    is_active BOOLEAN NOT NULL,
    created_at DATETIME NOT NULL,
    updated_at DATETIME NOT NULL,
    deleted_at DATETIME,
    deleted_by VARCHAR(255),
    CONSTRAINT pk_organizations PRIMARY KEY (tenant_id, id),
    CONSTRAINT uq_organizations_tenant UNIQUE (tenant_id),
    CONSTRAINT ck_organizations_is_tenant CHECK (tenant_id = id)
);

CREATE TABLE users (
    tenant_id CHAR(32) NOT NULL,
    id CHAR(32) NOT NULL,
    email VARCHAR(320) NOT NULL,
    username VARCHAR(150),
    display_name VARCHAR(255),
    role VARCHAR(30) NOT NULL,
    is_active BOOLEAN NOT NULL,
    last_login_at DATETIME,
    created_at DATETIME NOT NULL,
    updated_at DATETIME NOT NULL,
    deleted_at DATETIME,
    deleted_by VARCHAR(255),
    CONSTRAINT pk_users PRIMARY KEY (tenant_id, id),
    CONSTRAINT fk_users_tenant_id FOREIGN KEY(tenant_id) REFERENCES organizations (tenant_id),
    CONSTRAINT ck_users_role CHECK (role IN ('admin', 'editor', 'member', 'viewer'))
);

CREATE UNIQUE INDEX uq_organizations_name ON organizations (tenant_id, name) WHERE deleted_at IS NULL;

CREATE UNIQUE INDEX uq_organizations_slug ON organizations (tenant_id, slug) WHERE deleted_at IS NULL;

CREATE UNIQUE INDEX uq_users_email ON users (tenant_id, email) WHERE deleted_at IS NULL;

COMMIT;
