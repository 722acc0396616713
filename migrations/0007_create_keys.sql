-- migrate:up

CREATE TABLE ai_usage_keys (
    id text CONSTRAINT ai_usage_keys_pkey PRIMARY KEY,
    name text NOT NULL,
    role text NOT NULL,
    token_hash bytea NOT NULL CONSTRAINT ai_usage_keys_token_hash UNIQUE,
    services text[],
    spans_per_s double precision,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz,
    revoked_at timestamptz,
    last_used_at timestamptz,
    CONSTRAINT key_id CHECK (id ~ '^[0-9a-z]{12}$'),
    CONSTRAINT named_key CHECK (name <> '' AND length(name) <= 200),
    CONSTRAINT known_role CHECK (role IN ('ingest', 'viewer', 'admin')),
    CONSTRAINT sha256 CHECK (octet_length(token_hash) = 32),
    CONSTRAINT some_services CHECK (
        services IS NULL
        OR (cardinality(services) > 0 AND array_position(services, NULL) IS NULL AND array_position(services, '') IS NULL)
    ),
    CONSTRAINT admins_see_all CHECK (role <> 'admin' OR services IS NULL),
    CONSTRAINT positive_rate CHECK (spans_per_s > 0 AND spans_per_s <= 1000000000),
    CONSTRAINT senders_have_rates CHECK (role = 'ingest' OR spans_per_s IS NULL)
);

COMMENT ON TABLE ai_usage_keys IS 'Who may send spans and who may ask; made by ai-usage keys create. Rows stay when a key is revoked.';
COMMENT ON COLUMN ai_usage_keys.id IS 'Public: the key itself is aiu_<id>_<secret>, and aiu_<id> is how people name it.';
COMMENT ON COLUMN ai_usage_keys.token_hash IS 'SHA-256 of the whole key, whose secret has 256 random bits: nothing here lets anybody in.';
COMMENT ON COLUMN ai_usage_keys.services IS 'Names an ingest key may send and a viewer key may see; NULL: all.';
COMMENT ON COLUMN ai_usage_keys.spans_per_s IS 'What an ingest key may send to one server process; NULL: any number.';
COMMENT ON COLUMN ai_usage_keys.last_used_at IS 'To within some minutes.';

-- Every change is in the audit trail, by SQL too; the hash and the time of use are not.
CREATE FUNCTION ai_usage_keys_follow() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
    named ai_usage_keys := CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END;
    before_change jsonb := CASE WHEN TG_OP <> 'INSERT' THEN to_jsonb(OLD) - '{token_hash,last_used_at}'::text[] END;
    after_change jsonb := CASE WHEN TG_OP <> 'DELETE' THEN to_jsonb(NEW) - '{token_hash,last_used_at}'::text[] END;
BEGIN
    INSERT INTO ai_usage_audit (actor, action, subject, details)
    VALUES (
        coalesce(nullif(current_setting('ai_usage.actor', true), ''), 'sql:' || session_user),
        CASE
            WHEN TG_OP = 'INSERT' THEN 'key.create'
            WHEN TG_OP = 'DELETE' THEN 'key.delete'
            WHEN OLD.revoked_at IS NULL AND NEW.revoked_at IS NOT NULL THEN 'key.revoke'
            ELSE 'key.change'
        END,
        named.name || ' (aiu_' || named.id || ')',
        jsonb_strip_nulls(jsonb_build_object('before', before_change, 'after', after_change))
    );
    RETURN NULL;
END $$;

CREATE TRIGGER ai_usage_keys_follow
    AFTER INSERT OR DELETE OR UPDATE OF id, name, role, token_hash, services, spans_per_s, expires_at, revoked_at
    ON ai_usage_keys
    FOR EACH ROW EXECUTE FUNCTION ai_usage_keys_follow();

CREATE TABLE ai_usage_sessions (
    secret_hash bytea CONSTRAINT ai_usage_sessions_pkey PRIMARY KEY,
    key_id text CONSTRAINT ai_usage_sessions_key REFERENCES ai_usage_keys (id) ON DELETE CASCADE,
    token_mac bytea NOT NULL,
    expires_at timestamptz NOT NULL,
    CONSTRAINT sha256 CHECK (octet_length(secret_hash) = 32 AND octet_length(token_mac) = 32)
);

CREATE INDEX idx_ai_usage_sessions_expires_at ON ai_usage_sessions (expires_at);

COMMENT ON TABLE ai_usage_sessions IS 'Who is signed in at the page; signing out and a new sign-in remove what is over.';
COMMENT ON COLUMN ai_usage_sessions.secret_hash IS 'SHA-256 of what the cookie holds.';
COMMENT ON COLUMN ai_usage_sessions.key_id IS 'The key signed in with; NULL: the admin token.';
COMMENT ON COLUMN ai_usage_sessions.token_mac IS 'What was signed in with, as an HMAC under what the cookie holds: the session ends when that is no longer good.';

-- migrate:down

DROP TABLE ai_usage_sessions;
DROP TABLE ai_usage_keys;
DROP FUNCTION ai_usage_keys_follow();
