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

CREATE FUNCTION tenantry.register(new_tenant jsonb, new_identities jsonb, ceiling integer)
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
    new_id uuid := (new_tenant ->> 'id')::uuid;
BEGIN
    PERFORM tenantry.refuse_bound();
    -- One row serialises all registrations, so that the ceiling cannot be passed by two at once.
    PERFORM 1 FROM tenantry.meta WHERE name = 'version' FOR UPDATE;
    IF (SELECT count(*) FROM tenantry.tenants t WHERE t.status <> 'erased') >= ceiling THEN
        RAISE EXCEPTION 'tenant limit' USING ERRCODE = 'TN003';
    END IF;
    INSERT INTO tenantry.tenants (id, slug, name, status, settings, epoch, created_at, updated_at)
    VALUES (new_id, new_tenant ->> 'slug', new_tenant ->> 'name', 'provisioning', new_tenant -> 'settings', 1, now(), now());
    INSERT INTO tenantry.placements (tenant_id, epoch, server, isolation, physical)
    VALUES (new_id, 1, new_tenant ->> 'server', new_tenant ->> 'isolation', new_tenant ->> 'physical');
    INSERT INTO tenantry.identities (kind, value, tenant_id)
    SELECT i ->> 0, i ->> 1, new_id FROM jsonb_array_elements(new_identities) AS i;
    INSERT INTO tenantry.journal (id, kind, tenant_id, step, state, holder, lease_until, detail, created_at, updated_at)
    VALUES (new_id, 'create', new_id, 'registered', 'running', new_tenant ->> 'holder',
            now() + make_interval(secs => (new_tenant ->> 'lease')::double precision), '{}', now(), now());
END
$body$;

CREATE FUNCTION tenantry.advance(
    asked_tenant uuid, next_step text, next_holder text, lease double precision, seen_holder text)
RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
    PERFORM tenantry.refuse_bound();
    UPDATE tenantry.journal SET step = next_step, holder = next_holder, updated_at = now(),
        lease_until = now() + make_interval(secs => lease)
    WHERE journal.id = asked_tenant AND journal.kind = 'create' AND journal.state = 'running'
      AND (seen_holder IS NULL OR journal.holder = seen_holder);
    RETURN FOUND;
END
$body$;

CREATE FUNCTION tenantry.activate(asked_tenant uuid) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
    PERFORM tenantry.refuse_bound();
    UPDATE tenantry.tenants SET status = 'active', updated_at = now()
    WHERE tenants.id = asked_tenant AND tenants.status = 'provisioning';
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    UPDATE tenantry.journal SET step = 'active', state = 'done', updated_at = now()
    WHERE journal.id = asked_tenant AND journal.kind = 'create';
    RETURN true;
END
$body$;

CREATE FUNCTION tenantry.discard(asked_tenant uuid) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
    PERFORM tenantry.refuse_bound();
    PERFORM 1 FROM tenantry.tenants t WHERE t.id = asked_tenant AND t.status = 'provisioning' FOR UPDATE;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    DELETE FROM tenantry.identities WHERE tenant_id = asked_tenant;
    DELETE FROM tenantry.placements WHERE tenant_id = asked_tenant;
    DELETE FROM tenantry.journal WHERE journal.id = asked_tenant AND kind = 'create';
    DELETE FROM tenantry.tenants WHERE tenants.id = asked_tenant;
    RETURN true;
END
$body$;

CREATE FUNCTION tenantry.unfinished()
RETURNS TABLE (tenant_id uuid, step text, holder text, expired boolean)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
    PERFORM tenantry.refuse_bound();
    RETURN QUERY SELECT j.tenant_id, j.step, j.holder, j.lease_until < now()
        FROM tenantry.journal j WHERE j.kind = 'create' AND j.state = 'running';
END
$body$;

CREATE FUNCTION tenantry.record_operator(why text, on_server text) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
    INSERT INTO tenantry.operator_log (at, login, server, reason) VALUES (now(), session_user, on_server, why)
$body$;

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA tenantry FROM PUBLIC;
GRANT USAGE ON SCHEMA tenantry TO tenantry_app, tenantry_platform, tenantry_operator;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA tenantry TO tenantry_platform;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA tenantry TO tenantry_platform;
GRANT EXECUTE ON FUNCTION tenantry.refuse_bound(), tenantry.catalog_version(), tenantry.resolve(text, text),
    tenantry.register(jsonb, jsonb, integer), tenantry.advance(uuid, text, text, double precision, text),
    tenantry.activate(uuid), tenantry.discard(uuid), tenantry.unfinished() TO tenantry_app, tenantry_platform;
GRANT EXECUTE ON FUNCTION tenantry.record_operator(text, text) TO tenantry_operator;
