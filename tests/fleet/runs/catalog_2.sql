-- The catalog as version 2 had it on PostgreSQL, as its install() sent it.
CREATE SCHEMA IF NOT EXISTS tenantry;
REVOKE ALL ON SCHEMA tenantry FROM PUBLIC;
CREATE TABLE IF NOT EXISTS tenantry.meta (
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (name)
);
INSERT INTO tenantry.meta (name, value) VALUES ('version', '2') ON CONFLICT DO NOTHING;
UPDATE tenantry.meta SET value = '2' WHERE name = 'version' AND value <> '2';
CREATE TABLE IF NOT EXISTS tenantry.fleet_runs (
    id UUID NOT NULL,
    verb TEXT NOT NULL,
    history TEXT NOT NULL,
    target TEXT,
    state TEXT NOT NULL,
    reason TEXT NOT NULL,
    stage INTEGER NOT NULL,
    options JSONB NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE NOT NULL,
    PRIMARY KEY (id)
);
CREATE INDEX IF NOT EXISTS ix_tenantry_fleet_runs_state ON tenantry.fleet_runs (state);
CREATE TABLE IF NOT EXISTS tenantry.journal (
    id UUID NOT NULL,
    kind TEXT NOT NULL,
    tenant_id UUID NOT NULL,
    step TEXT NOT NULL,
    state TEXT NOT NULL,
    holder TEXT NOT NULL,
    lease_until TIMESTAMP WITH TIME ZONE NOT NULL,
    detail JSONB NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE NOT NULL,
    PRIMARY KEY (id)
);
CREATE INDEX IF NOT EXISTS ix_tenantry_journal_state ON tenantry.journal (state);
CREATE INDEX IF NOT EXISTS ix_tenantry_journal_tenant_id ON tenantry.journal (tenant_id);
CREATE TABLE IF NOT EXISTS tenantry.operator_log (
    id BIGSERIAL NOT NULL,
    at TIMESTAMP WITH TIME ZONE NOT NULL,
    login TEXT NOT NULL,
    server TEXT NOT NULL,
    reason TEXT NOT NULL,
    PRIMARY KEY (id)
);
CREATE TABLE IF NOT EXISTS tenantry.servers (
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    location TEXT NOT NULL,
    PRIMARY KEY (name)
);
CREATE TABLE IF NOT EXISTS tenantry.tenants (
    id UUID NOT NULL,
    slug TEXT NOT NULL,
    name TEXT NOT NULL,
    status TEXT NOT NULL,
    settings JSONB NOT NULL,
    epoch INTEGER NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE NOT NULL,
    PRIMARY KEY (id),
    UNIQUE (slug)
);
CREATE INDEX IF NOT EXISTS ix_tenants_status ON tenantry.tenants (status);
CREATE TABLE IF NOT EXISTS tenantry.warm (
    id UUID NOT NULL,
    server TEXT NOT NULL,
    isolation TEXT NOT NULL,
    physical TEXT NOT NULL,
    head TEXT,
    state TEXT NOT NULL,
    holder TEXT NOT NULL,
    lease_until TIMESTAMP WITH TIME ZONE NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    PRIMARY KEY (id)
);
CREATE INDEX IF NOT EXISTS ix_warm_place ON tenantry.warm (server, isolation, state);
CREATE TABLE IF NOT EXISTS tenantry.fleet_work (
    run_id UUID NOT NULL,
    home TEXT NOT NULL,
    number INTEGER NOT NULL,
    server TEXT NOT NULL,
    kind TEXT NOT NULL,
    physical TEXT NOT NULL,
    tenant_id UUID,
    ring TEXT NOT NULL,
    stage INTEGER NOT NULL,
    target TEXT,
    state TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    claimed INTEGER NOT NULL,
    due_at TIMESTAMP WITH TIME ZONE NOT NULL,
    seconds FLOAT NOT NULL,
    before TEXT,
    after TEXT,
    touched JSONB NOT NULL,
    error TEXT,
    holder TEXT,
    worker UUID,
    lease_until TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (run_id, home),
    FOREIGN KEY(run_id) REFERENCES tenantry.fleet_runs (id)
);
CREATE INDEX IF NOT EXISTS ix_tenantry_fleet_work_tenant_id ON tenantry.fleet_work (tenant_id);
CREATE INDEX IF NOT EXISTS ix_fleet_work_waiting ON tenantry.fleet_work (run_id, state, stage, number);
CREATE TABLE IF NOT EXISTS tenantry.identities (
    kind TEXT NOT NULL,
    value TEXT NOT NULL,
    tenant_id UUID NOT NULL,
    PRIMARY KEY (kind, value),
    FOREIGN KEY(tenant_id) REFERENCES tenantry.tenants (id)
);
CREATE INDEX IF NOT EXISTS ix_tenantry_identities_tenant_id ON tenantry.identities (tenant_id);
CREATE TABLE IF NOT EXISTS tenantry.placements (
    tenant_id UUID NOT NULL,
    epoch INTEGER NOT NULL,
    server TEXT NOT NULL,
    isolation TEXT NOT NULL,
    physical TEXT NOT NULL,
    PRIMARY KEY (tenant_id, epoch),
    UNIQUE (server, isolation, physical, tenant_id),
    FOREIGN KEY(tenant_id) REFERENCES tenantry.tenants (id)
);
CREATE OR REPLACE FUNCTION tenantry.refuse_bound() RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
    IF current_setting('tenantry.tenant', true) IS DISTINCT FROM 'catalog' THEN
        RAISE EXCEPTION 'the catalog answers the library alone, outside every tenant''s transaction'
            USING ERRCODE = 'TN002';
    END IF;
END
$body$;
CREATE OR REPLACE FUNCTION tenantry.catalog_version() RETURNS integer
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
    SELECT value::integer FROM tenantry.meta WHERE name = 'version'
$body$;
CREATE OR REPLACE FUNCTION tenantry.resolve(asked_kind text, asked_value text)
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
CREATE OR REPLACE FUNCTION tenantry.register(new_tenant jsonb, new_identities jsonb, ceiling integer)
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
    new_id uuid := (new_tenant ->> 'id')::uuid;
BEGIN
    PERFORM tenantry.refuse_bound();
    -- One row serialises all registrations, so that the ceiling cannot be passed by two at once.
    PERFORM 1 FROM tenantry.meta WHERE name = 'version' FOR UPDATE;
    -- Counted only where there is a ceiling: a hundred thousand take a while.
    IF ceiling IS NOT NULL THEN
        IF (SELECT count(*) FROM tenantry.tenants t WHERE t.status <> 'erased') >= ceiling THEN
            RAISE EXCEPTION 'tenant limit' USING ERRCODE = 'TN003';
        END IF;
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
CREATE OR REPLACE FUNCTION tenantry.enrol(new_tenant jsonb, new_identities jsonb, ceiling integer, at_head text)
RETURNS TABLE (id uuid, physical text, placed boolean, others boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
    PERFORM tenantry.refuse_bound();
    -- A placement that is kept ready brings its identifier; who asks at the same time takes the next one.
    DELETE FROM tenantry.warm w WHERE w.id = (
        SELECT r.id FROM tenantry.warm r
        WHERE r.server = new_tenant ->> 'server' AND r.isolation = new_tenant ->> 'isolation'
          AND r.state = 'ready' AND r.head IS NOT DISTINCT FROM at_head
        ORDER BY r.id LIMIT 1 FOR UPDATE SKIP LOCKED)
    RETURNING w.id, w.physical INTO id, physical;
    placed := FOUND;
    IF NOT placed THEN
        id := (new_tenant ->> 'id')::uuid;
        physical := new_tenant ->> 'physical';
        IF new_tenant ->> 'server' = 'main' THEN
            -- What is made next is made on this server, and its commit brings this one to the disk before it.
            PERFORM set_config('synchronous_commit', 'off', true);
        END IF;
    END IF;
    PERFORM tenantry.register(
        new_tenant || jsonb_build_object('id', id, 'physical', physical), new_identities, ceiling);
    UPDATE tenantry.journal j SET step = 'placed' WHERE j.id = enrol.id AND j.kind = 'create' AND enrol.placed;
    others := EXISTS (
        SELECT 1 FROM tenantry.journal j
        WHERE j.kind = 'create' AND j.state = 'running' AND j.step <> 'waiting' AND j.id <> enrol.id);
    RETURN NEXT;
END
$body$;
CREATE OR REPLACE FUNCTION tenantry.note_seed(entry uuid, asked_tenant uuid, seed text, held_by text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
    PERFORM tenantry.refuse_bound();
    INSERT INTO tenantry.journal (id, kind, tenant_id, step, state, holder, lease_until, detail, created_at, updated_at)
    SELECT entry, 'seed', asked_tenant, seed, 'done', held_by, now(), '{}', now(), now()
    WHERE NOT EXISTS (
        SELECT 1 FROM tenantry.journal j WHERE j.tenant_id = asked_tenant AND j.kind = 'seed' AND j.step = seed);
END
$body$;
CREATE OR REPLACE FUNCTION tenantry.seeds_of(asked_tenant uuid) RETURNS SETOF text
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
    PERFORM tenantry.refuse_bound();
    RETURN QUERY SELECT j.step FROM tenantry.journal j WHERE j.tenant_id = asked_tenant AND j.kind = 'seed';
END
$body$;
CREATE OR REPLACE FUNCTION tenantry.advance(
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
CREATE OR REPLACE FUNCTION tenantry.activate(asked_tenant uuid) RETURNS boolean
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
CREATE OR REPLACE FUNCTION tenantry.discard(asked_tenant uuid) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
    PERFORM tenantry.refuse_bound();
    PERFORM 1 FROM tenantry.tenants t WHERE t.id = asked_tenant AND t.status = 'provisioning' FOR UPDATE;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    DELETE FROM tenantry.identities WHERE tenant_id = asked_tenant;
    DELETE FROM tenantry.placements WHERE tenant_id = asked_tenant;
    DELETE FROM tenantry.journal WHERE tenant_id = asked_tenant AND kind IN ('create', 'seed');
    DELETE FROM tenantry.tenants WHERE tenants.id = asked_tenant;
    RETURN true;
END
$body$;
CREATE OR REPLACE FUNCTION tenantry.unfinished()
RETURNS TABLE (tenant_id uuid, step text, holder text, expired boolean)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
    PERFORM tenantry.refuse_bound();
    RETURN QUERY SELECT j.tenant_id, j.step, j.holder, j.lease_until < now()
        FROM tenantry.journal j WHERE j.kind = 'create' AND j.state = 'running';
END
$body$;
CREATE OR REPLACE FUNCTION tenantry.record_operator(why text, on_server text) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
    INSERT INTO tenantry.operator_log (at, login, server, reason) VALUES (now(), session_user, on_server, why)
$body$;
REVOKE ALL ON ALL TABLES IN SCHEMA tenantry FROM PUBLIC, tenantry_app, tenantry_operator;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA tenantry FROM PUBLIC;
GRANT USAGE ON SCHEMA tenantry TO tenantry_app, tenantry_platform, tenantry_operator;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA tenantry TO tenantry_platform;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA tenantry TO tenantry_platform;
GRANT EXECUTE ON FUNCTION tenantry.refuse_bound(), tenantry.catalog_version(), tenantry.resolve(text, text), tenantry.register(jsonb, jsonb, integer), tenantry.enrol(jsonb, jsonb, integer, text), tenantry.note_seed(uuid, uuid, text, text), tenantry.seeds_of(uuid), tenantry.advance(uuid, text, text, double precision, text), tenantry.activate(uuid), tenantry.discard(uuid), tenantry.unfinished() TO tenantry_app, tenantry_platform;
GRANT EXECUTE ON FUNCTION tenantry.record_operator(text, text) TO tenantry_operator;
