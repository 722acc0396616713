-- migrate:up

CREATE TABLE ai_usage_audit (
    id bigint CONSTRAINT ai_usage_audit_pkey PRIMARY KEY,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    actor text NOT NULL,
    action text NOT NULL,
    subject text NOT NULL,
    details jsonb NOT NULL DEFAULT '{}',
    link bytea NOT NULL,
    CONSTRAINT named_audit CHECK (actor <> '' AND action <> ''),
    CONSTRAINT details_object CHECK (jsonb_typeof(details) = 'object')
);

CREATE INDEX idx_ai_usage_audit_action ON ai_usage_audit (action, id);

COMMENT ON TABLE ai_usage_audit IS 'Who did what to keys, prices and stored usage; entries are only ever added.';
COMMENT ON COLUMN ai_usage_audit.actor IS 'Who: cli:<user>@<host>, api:<key name>, server.';
COMMENT ON COLUMN ai_usage_audit.action IS 'What, as noun.verb: prices.add, prices.reprice, user.erase, retention.drop, key.create, …';
COMMENT ON COLUMN ai_usage_audit.subject IS 'To what. An erased user is named by a hash of what was asked for, never by the identity itself.';

COMMENT ON COLUMN ai_usage_audit.id IS 'Given by the database: 1, 2, 3, … without a gap.';
COMMENT ON COLUMN ai_usage_audit.link IS 'SHA-256 of the entry and the link of the one before: what is changed or taken out breaks the chain.';

CREATE FUNCTION ai_usage_audit_link(
    previous bytea, id bigint, recorded_at timestamptz, actor text, action text, subject text, details jsonb
) RETURNS bytea
LANGUAGE sql STABLE AS $$
    SELECT sha256(
        coalesce(previous, '') || convert_to(
            jsonb_build_array(id, extract(epoch FROM recorded_at), actor, action, subject, details)::text, 'UTF8'
        )
    )
$$;

CREATE FUNCTION ai_usage_audit_append() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
    previous record;
BEGIN
    -- One writer at a time, until its COMMIT: entries are few, and the next one needs the link of this one.
    PERFORM pg_advisory_xact_lock(x'6169617564697400'::bigint);
    SELECT entry.id, entry.link INTO previous FROM ai_usage_audit AS entry ORDER BY entry.id DESC LIMIT 1;
    NEW.id := coalesce(previous.id, 0) + 1;
    NEW.link := ai_usage_audit_link(
        previous.link, NEW.id, NEW.recorded_at, NEW.actor, NEW.action, NEW.subject, NEW.details
    );
    RETURN NEW;
END $$;

CREATE TRIGGER append BEFORE INSERT ON ai_usage_audit
    FOR EACH ROW EXECUTE FUNCTION ai_usage_audit_append();

CREATE FUNCTION ai_usage_audit_refuse_change() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'ai_usage_audit is append-only: % refused', lower(TG_OP)
        USING ERRCODE = 'insufficient_privilege';
END $$;

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ai_usage_audit
    FOR EACH STATEMENT EXECUTE FUNCTION ai_usage_audit_refuse_change();

-- migrate:down

DROP TABLE ai_usage_audit;
DROP FUNCTION ai_usage_audit_refuse_change();
DROP FUNCTION ai_usage_audit_append();
DROP FUNCTION ai_usage_audit_link(bytea, bigint, timestamptz, text, text, text, jsonb);
