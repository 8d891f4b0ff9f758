-- The catalog as version 1 had it on PostgreSQL, written out by hand: what an installation from before the fleet holds.
CREATE SCHEMA tenantry;
REVOKE ALL ON SCHEMA tenantry FROM PUBLIC;
CREATE TABLE tenantry.meta (name TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL);
INSERT INTO tenantry.meta VALUES ('version', '1');
CREATE TABLE tenantry.tenants (
    id UUID NOT NULL PRIMARY KEY,
    slug TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    status TEXT NOT NULL,
    settings JSONB NOT NULL,
    epoch INTEGER NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL
);
CREATE INDEX ix_tenants_status ON tenantry.tenants (status);
CREATE TABLE tenantry.identities (
    kind TEXT NOT NULL,
    value TEXT NOT NULL,
    tenant_id UUID NOT NULL REFERENCES tenantry.tenants (id),
    PRIMARY KEY (kind, value)
);
CREATE INDEX ix_tenantry_identities_tenant_id ON tenantry.identities (tenant_id);
CREATE TABLE tenantry.servers (name TEXT NOT NULL PRIMARY KEY, kind TEXT NOT NULL, location TEXT NOT NULL);
CREATE TABLE tenantry.placements (
    tenant_id UUID NOT NULL REFERENCES tenantry.tenants (id),
    epoch INTEGER NOT NULL,
    server TEXT NOT NULL,
    isolation TEXT NOT NULL,
    physical TEXT NOT NULL,
    PRIMARY KEY (tenant_id, epoch),
    UNIQUE (server, isolation, physical, tenant_id)
);
CREATE TABLE tenantry.journal (
    id UUID NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL,
    tenant_id UUID NOT NULL,
    step TEXT NOT NULL,
    state TEXT NOT NULL,
    holder TEXT NOT NULL,
    lease_until TIMESTAMPTZ NOT NULL,
    detail JSONB NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL
);
CREATE INDEX ix_tenantry_journal_tenant_id ON tenantry.journal (tenant_id);
CREATE INDEX ix_tenantry_journal_state ON tenantry.journal (state);
CREATE TABLE tenantry.operator_log (
    id BIGSERIAL NOT NULL PRIMARY KEY,
    at TIMESTAMPTZ NOT NULL,
    login TEXT NOT NULL,
    server TEXT NOT NULL,
    reason TEXT NOT NULL
);
CREATE FUNCTION tenantry.refuse_bound() RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
    IF current_setting('tenantry.tenant', true) IS DISTINCT FROM 'catalog' THEN
        RAISE EXCEPTION 'the catalog answers the library alone, outside every tenant''s transaction'
            USING ERRCODE = 'TN002';
    END IF;
END
$body$;
CREATE FUNCTION tenantry.catalog_version() RETURNS integer
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
    SELECT value::integer FROM tenantry.meta WHERE name = 'version'
$body$;
CREATE FUNCTION tenantry.resolve(asked_kind text, asked_value text)
RETURNS TABLE (id uuid, slug text, name text, status text, settings jsonb,
               server text, isolation text, physical text, epoch integer)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
    PERFORM tenantry.refuse_bound();
    RETURN QUERY
        SELECT t.id, t.slug, t.name, t.status, t.settings, p.server, p.isolation, p.physical, p.epoch
        FROM tenantry.tenants t
        JOIN tenantry.placements p ON p.tenant_id = t.id AND p.epoch = t.epoch
        WHERE t.id = CASE asked_kind
            WHEN 'id' THEN asked_value::uuid
            WHEN 'slug' THEN (SELECT s.id FROM tenantry.tenants s WHERE s.slug = asked_value)
            ELSE (SELECT i.tenant_id FROM tenantry.identities i WHERE i.kind = asked_kind AND i.value = asked_value)
        END;
END
$body$;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA tenantry FROM PUBLIC;
GRANT USAGE ON SCHEMA tenantry TO tenantry_app, tenantry_platform, tenantry_operator;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA tenantry TO tenantry_platform;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA tenantry TO tenantry_platform;
GRANT EXECUTE ON FUNCTION tenantry.refuse_bound(), tenantry.catalog_version(), tenantry.resolve(text, text)
    TO tenantry_app, tenantry_platform;
