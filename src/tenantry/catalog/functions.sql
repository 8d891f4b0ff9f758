-- The app login cannot read the catalog; these functions are its only way in. Each answers for one exact key, and
-- none answers from inside a tenant's transaction, nor behind the COMMIT that ended one: only where the library has
-- said, in the message that begins, that it asks for itself. So raw SQL of one tenant learns nothing of another.
-- {schema}, {setting} and the role names are filled in by upgrades.py from checked names, never from user text.

CREATE OR REPLACE FUNCTION {schema}.refuse_bound() RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
    IF current_setting('{setting}', true) IS DISTINCT FROM 'catalog' THEN
        RAISE EXCEPTION 'the catalog answers the library alone, outside every tenant''s transaction'
            USING ERRCODE = 'TN002';
    END IF;
END
$body$;

CREATE OR REPLACE FUNCTION {schema}.catalog_version() RETURNS integer
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
    SELECT value::integer FROM {schema}.meta WHERE name = 'version'
$body$;

CREATE OR REPLACE FUNCTION {schema}.resolve(asked_kind text, asked_value text)
RETURNS TABLE (id uuid, slug text, name text, status text, settings jsonb,
               server text, isolation text, physical text, epoch integer)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
    PERFORM {schema}.refuse_bound();
    RETURN QUERY
        SELECT t.id, t.slug, t.name, t.status, t.settings, p.server, p.isolation, p.physical, p.epoch
        FROM {schema}.tenants t
        JOIN {schema}.placements p ON p.tenant_id = t.id AND p.epoch = t.epoch
        WHERE t.id = CASE asked_kind
            WHEN 'id' THEN asked_value::uuid
            WHEN 'slug' THEN (SELECT s.id FROM {schema}.tenants s WHERE s.slug = asked_value)
            ELSE (SELECT i.tenant_id FROM {schema}.identities i WHERE i.kind = asked_kind AND i.value = asked_value)
        END;
END
$body$;

CREATE OR REPLACE FUNCTION {schema}.register(new_tenant jsonb, new_identities jsonb, ceiling integer)
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
    new_id uuid := (new_tenant ->> 'id')::uuid;
    rested_kind text;
    rested text;
BEGIN
    PERFORM {schema}.refuse_bound();
    -- One row serialises the registrations under a ceiling, so that two at once cannot pass it; the others share it, and
    -- only the catalog's own upgrade waits for them.
    IF ceiling IS NULL THEN
        PERFORM 1 FROM {schema}.meta WHERE name = 'version' FOR SHARE;
    ELSE
        PERFORM 1 FROM {schema}.meta WHERE name = 'version' FOR UPDATE;
        IF (SELECT count(*) FROM {schema}.tenants t WHERE t.status <> 'erased') >= ceiling THEN
            RAISE EXCEPTION 'tenant limit' USING ERRCODE = 'TN003';
        END IF;
    END IF;
    INSERT INTO {schema}.tenants (id, slug, name, status, settings, epoch, created_at, updated_at)
    VALUES (new_id, new_tenant ->> 'slug', new_tenant ->> 'name', 'provisioning', new_tenant -> 'settings', 1, now(), now());
    INSERT INTO {schema}.placements (tenant_id, epoch, server, isolation, physical)
    VALUES (new_id, 1, new_tenant ->> 'server', new_tenant ->> 'isolation', new_tenant ->> 'physical');
    -- Each schema that is made has every statement planned anew, so none is run that has nothing to do.
    IF new_identities <> '[]' THEN
        INSERT INTO {schema}.identities (kind, value, tenant_id)
        SELECT i ->> 0, i ->> 1, new_id FROM jsonb_array_elements(new_identities) AS i;
    END IF;
    -- As resting.py has it. After the inserts, which have waited for whoever had a name in hand.
    SELECT n ->> 0, n ->> 1 INTO rested_kind, rested
    FROM jsonb_array_elements(new_identities || jsonb_build_array(jsonb_build_array('slug', new_tenant ->> 'slug'))) AS n
    JOIN {schema}.journal j ON j.step = encode(sha256(convert_to((n ->> 0) || ':' || (n ->> 1), 'UTF8')), 'hex')
    WHERE j.state = 'resting' AND j.kind = 'name' AND j.tenant_id <> new_id AND j.lease_until > clock_timestamp()
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'unique_violation', MESSAGE =
            CASE rested_kind WHEN 'slug' THEN 'the slug rests: ' ELSE 'one of the identities rests: ' END || rested;
    END IF;
    INSERT INTO {schema}.journal (id, kind, tenant_id, step, state, holder, lease_until, detail, created_at, updated_at)
    VALUES (new_id, 'create', new_id, 'registered', 'running', new_tenant ->> 'holder',
            now() + make_interval(secs => (new_tenant ->> 'lease')::double precision), '{{}}', now(), now());
END
$body$;

CREATE OR REPLACE FUNCTION {schema}.enrol(new_tenant jsonb, new_identities jsonb, ceiling integer, at_head text)
RETURNS TABLE (id uuid, physical text, placed boolean, others boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
    PERFORM {schema}.refuse_bound();
    -- First of all, as in register(): the catalog's upgrade locks it before the tables.
    IF ceiling IS NULL THEN
        PERFORM 1 FROM {schema}.meta WHERE name = 'version' FOR SHARE;
    ELSE
        PERFORM 1 FROM {schema}.meta WHERE name = 'version' FOR UPDATE;
    END IF;
    -- A placement that is kept ready brings its identifier; who asks at the same time takes the next one.
    DELETE FROM {schema}.warm w WHERE w.id = (
        SELECT r.id FROM {schema}.warm r
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
    PERFORM {schema}.register(
        new_tenant || jsonb_build_object('id', id, 'physical', physical), new_identities, ceiling);
    IF placed THEN
        UPDATE {schema}.journal j SET step = 'placed' WHERE j.id = enrol.id AND j.kind = 'create';
    END IF;
    others := EXISTS (
        SELECT 1 FROM {schema}.journal j
        WHERE j.kind = 'create' AND j.state = 'running' AND j.step <> 'waiting' AND j.id <> enrol.id);
    RETURN NEXT;
END
$body$;

CREATE OR REPLACE FUNCTION {schema}.note_seed(entry uuid, asked_tenant uuid, seed text, held_by text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
    PERFORM {schema}.refuse_bound();
    INSERT INTO {schema}.journal (id, kind, tenant_id, step, state, holder, lease_until, detail, created_at, updated_at)
    SELECT entry, 'seed', asked_tenant, seed, 'done', held_by, now(), '{{}}', now(), now()
    WHERE NOT EXISTS (
        SELECT 1 FROM {schema}.journal j WHERE j.tenant_id = asked_tenant AND j.kind = 'seed' AND j.step = seed);
END
$body$;

CREATE OR REPLACE FUNCTION {schema}.seeds_of(asked_tenant uuid) RETURNS SETOF text
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
    PERFORM {schema}.refuse_bound();
    RETURN QUERY SELECT j.step FROM {schema}.journal j WHERE j.tenant_id = asked_tenant AND j.kind = 'seed';
END
$body$;

CREATE OR REPLACE FUNCTION {schema}.advance(
    asked_tenant uuid, next_step text, next_holder text, lease double precision, seen_holder text)
RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
    PERFORM {schema}.refuse_bound();
    UPDATE {schema}.journal SET step = next_step, holder = next_holder, updated_at = now(),
        lease_until = now() + make_interval(secs => lease)
    WHERE journal.id = asked_tenant AND journal.kind = 'create' AND journal.state = 'running'
      AND (seen_holder IS NULL OR journal.holder = seen_holder);
    RETURN FOUND;
END
$body$;

CREATE OR REPLACE FUNCTION {schema}.activate(asked_tenant uuid) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
    PERFORM {schema}.refuse_bound();
    UPDATE {schema}.tenants SET status = 'active', updated_at = now()
    WHERE tenants.id = asked_tenant AND tenants.status = 'provisioning';
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    UPDATE {schema}.journal SET step = 'active', state = 'done', updated_at = now()
    WHERE journal.id = asked_tenant AND journal.kind = 'create';
    RETURN true;
END
$body$;

CREATE OR REPLACE FUNCTION {schema}.discard(asked_tenant uuid) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
    PERFORM {schema}.refuse_bound();
    PERFORM 1 FROM {schema}.tenants t WHERE t.id = asked_tenant AND t.status = 'provisioning' FOR UPDATE;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    DELETE FROM {schema}.identities WHERE tenant_id = asked_tenant;
    DELETE FROM {schema}.placements WHERE tenant_id = asked_tenant;
    DELETE FROM {schema}.journal WHERE tenant_id = asked_tenant AND kind IN ('create', 'seed');
    DELETE FROM {schema}.tenants WHERE tenants.id = asked_tenant;
    RETURN true;
END
$body$;

CREATE OR REPLACE FUNCTION {schema}.unfinished()
RETURNS TABLE (tenant_id uuid, step text, holder text, expired boolean)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
    PERFORM {schema}.refuse_bound();
    RETURN QUERY SELECT j.tenant_id, j.step, j.holder, j.lease_until < now()
        FROM {schema}.journal j WHERE j.kind = 'create' AND j.state = 'running';
END
$body$;

CREATE OR REPLACE FUNCTION {schema}.record_operator(why text, on_server text) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
    INSERT INTO {schema}.operator_log (at, login, server, reason) VALUES (now(), session_user, on_server, why)
$body$;
