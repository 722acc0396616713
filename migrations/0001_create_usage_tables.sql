-- migrate:up

-- A host application's own users table is used as it is; only its uuid primary key is needed.
CREATE TABLE IF NOT EXISTS users (
    id uuid PRIMARY KEY,
    email text
);

DO $$
DECLARE
    found_type text;
BEGIN
    SELECT format_type(atttypid, atttypmod) INTO found_type
    FROM pg_attribute
    WHERE attrelid = 'users'::regclass AND attname = 'id' AND NOT attisdropped;
    IF found_type IS DISTINCT FROM 'uuid' THEN
        RAISE EXCEPTION 'table users has %', coalesce('an id of type ' || found_type, 'no column id')
            USING HINT = 'ai_usage_logs.user_id refers to users(id) uuid: use a separate database, '
                'or a separate schema through search_path.';
    END IF;
END $$;

-- A table of the base schema (not partitioned) steps aside; its rows are copied below, in this same transaction.
DO $$
DECLARE
    dependents text;
    item record;
BEGIN
    IF NOT EXISTS (SELECT FROM pg_class WHERE oid = to_regclass('ai_usage_logs') AND relkind = 'r') THEN
        RETURN;
    END IF;
    SELECT string_agg(DISTINCT name, ', ') INTO dependents
    FROM (
        SELECT conrelid::regclass::text AS name
        FROM pg_constraint
        WHERE contype = 'f' AND confrelid = 'ai_usage_logs'::regclass AND conrelid <> confrelid
        UNION ALL
        SELECT rewrite.ev_class::regclass::text
        FROM pg_depend AS depend
        JOIN pg_rewrite AS rewrite ON rewrite.oid = depend.objid
        WHERE depend.classid = 'pg_rewrite'::regclass AND depend.refobjid = 'ai_usage_logs'::regclass
    ) AS dependent;
    IF dependents IS NOT NULL THEN
        RAISE EXCEPTION 'table ai_usage_logs is used by: %', dependents
            USING HINT = 'Drop these views or foreign keys, run the migration, then create them again.';
    END IF;
    LOCK TABLE ai_usage_logs IN ACCESS EXCLUSIVE MODE;
    -- Names are unique in a schema: the old table's indexes and constraints give theirs to the new one.
    FOR item IN SELECT indexrelid::regclass AS name FROM pg_index WHERE indrelid = 'ai_usage_logs'::regclass LOOP
        EXECUTE format('ALTER INDEX %s RENAME TO %I', item.name, 'ai_usage_base_' || item.name::oid);
    END LOOP;
    ALTER TABLE ai_usage_logs RENAME TO ai_usage_logs_base;
END $$;

CREATE TABLE ai_usage_logs (
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    created_at timestamptz NOT NULL DEFAULT now(),
    user_id uuid,
    user_ref text,
    user_email text,
    service_name text NOT NULL,
    service_action text,
    provider text NOT NULL,
    model text NOT NULL,
    request_model text,
    operation text,
    input_tokens bigint NOT NULL DEFAULT 0,
    output_tokens bigint NOT NULL DEFAULT 0,
    total_tokens bigint NOT NULL DEFAULT 0,
    cache_read_tokens bigint,
    cache_write_tokens bigint,
    cache_write_1h_tokens bigint,
    reasoning_tokens bigint,
    input_audio_tokens bigint,
    output_audio_tokens bigint,
    cache_read_audio_tokens bigint,
    input_image_tokens bigint,
    output_image_tokens bigint,
    cost_usd numeric(20, 12) NOT NULL DEFAULT 0,
    cost_status text NOT NULL DEFAULT 'reported',
    reported_cost_usd numeric(20, 12),
    price_ref bigint,
    duration_ms bigint,
    success boolean NOT NULL DEFAULT true,
    error_code text,
    error_message text,
    request_metadata jsonb,
    service_tier text,
    session_id text,
    provider_response_id text,
    trace_id bytea,
    span_id bytea,
    parent_span_id bytea,
    emitter text,
    usage_flags text[],
    ingested_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT ai_usage_logs_pkey PRIMARY KEY (id, created_at),
    CONSTRAINT ai_usage_logs_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE SET NULL,
    CONSTRAINT positive_tokens CHECK (input_tokens >= 0 AND output_tokens >= 0 AND total_tokens >= 0),
    CONSTRAINT positive_token_parts CHECK (
        cache_read_tokens >= 0 AND cache_write_tokens >= 0 AND cache_write_1h_tokens >= 0 AND reasoning_tokens >= 0
        AND input_audio_tokens >= 0 AND output_audio_tokens >= 0 AND cache_read_audio_tokens >= 0
        AND input_image_tokens >= 0 AND output_image_tokens >= 0
    ),
    -- numeric(20, 12) refuses Infinity by itself but takes NaN, and one NaN makes every sum NaN.
    CONSTRAINT finite_cost CHECK (cost_usd <> 'NaN' AND reported_cost_usd <> 'NaN')
) PARTITION BY RANGE (created_at);

CREATE INDEX idx_ai_usage_user_id ON ai_usage_logs (user_id);
CREATE INDEX idx_ai_usage_created_at ON ai_usage_logs (created_at);
CREATE INDEX idx_ai_usage_service ON ai_usage_logs (service_name);
CREATE INDEX idx_ai_usage_provider ON ai_usage_logs (provider);
CREATE INDEX idx_ai_usage_user_date ON ai_usage_logs (user_id, created_at);

COMMENT ON TABLE ai_usage_logs IS 'One row per call to an AI provider.';
COMMENT ON COLUMN ai_usage_logs.created_at IS 'Start of the call; the partition key.';
COMMENT ON COLUMN ai_usage_logs.user_ref IS 'The user as sent, when it is no uuid or has no row in users.';
COMMENT ON COLUMN ai_usage_logs.input_tokens IS 'All input, cached and audio included; 0 when not reported (see cost_status).';
COMMENT ON COLUMN ai_usage_logs.output_tokens IS 'All output, reasoning included; 0 when not reported (see cost_status).';
COMMENT ON COLUMN ai_usage_logs.cost_status IS 'priced, reported, estimated, unpriced, unmetered or free.';
COMMENT ON COLUMN ai_usage_logs.price_ref IS 'The price used: ai_usage_price_refs.id.';

CREATE TABLE ai_usage_logs_default PARTITION OF ai_usage_logs DEFAULT;

CREATE TABLE ai_usage_price_refs (
    id bigint PRIMARY KEY,
    source text NOT NULL,
    version text NOT NULL,
    provider text NOT NULL,
    model text NOT NULL,
    tier text NOT NULL DEFAULT '',
    rates jsonb NOT NULL,
    first_used_at timestamptz NOT NULL DEFAULT now()
);

COMMENT ON TABLE ai_usage_price_refs IS 'Every price a row was computed with; never changed, never deleted.';
COMMENT ON COLUMN ai_usage_price_refs.rates IS 'Unit to US dollars per million of it, as decimal strings.';

-- Creates the partition of one UTC month unless it exists. Returns the number of rows that had to be moved out of the
-- default partition, or NULL when the partition existed. The table is built apart and attached, because ATTACH lets
-- readers and writers of other partitions go on where CREATE TABLE … PARTITION OF would lock them all out.
CREATE FUNCTION ai_usage_create_partition(month date) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    first_day date := date_trunc('month', month)::date;
    lower_bound text := to_char(first_day, 'YYYY-MM-DD') || ' 00:00:00+00';
    upper_bound text := to_char(first_day + interval '1 month', 'YYYY-MM-DD') || ' 00:00:00+00';
    partition_name text := 'ai_usage_logs_' || to_char(first_day, 'YYYY_MM');
    moved bigint;
BEGIN
    IF to_regclass(partition_name) IS NOT NULL THEN
        RETURN NULL;
    END IF;
    -- The lock ATTACH takes anyway, taken early: one at a time, and what the one before made is seen.
    LOCK TABLE ai_usage_logs IN SHARE UPDATE EXCLUSIVE MODE;
    IF to_regclass(partition_name) IS NOT NULL THEN
        RETURN NULL;
    END IF;
    EXECUTE format('CREATE TABLE %I (LIKE ai_usage_logs INCLUDING ALL)', partition_name);
    EXECUTE format(
        'ALTER TABLE %I ADD CONSTRAINT of_month CHECK (created_at >= %L AND created_at < %L)',
        partition_name, lower_bound, upper_bound
    );
    LOCK TABLE ai_usage_logs_default IN ACCESS EXCLUSIVE MODE;
    EXECUTE format(
        'WITH gone AS (DELETE FROM ai_usage_logs_default WHERE created_at >= %L AND created_at < %L RETURNING *) '
        'INSERT INTO %I SELECT * FROM gone',
        lower_bound, upper_bound, partition_name
    );
    GET DIAGNOSTICS moved = ROW_COUNT;
    EXECUTE format(
        'ALTER TABLE ai_usage_logs ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
        partition_name, lower_bound, upper_bound
    );
    EXECUTE format('ALTER TABLE %I DROP CONSTRAINT of_month', partition_name);
    RETURN moved;
END $$;

-- Copies the rows of the base schema: every column it has, its own additional columns too, under the same names.
DO $$
DECLARE
    item record;
    shared_columns text;
    rows_before bigint;
    rows_after bigint;
BEGIN
    IF to_regclass('ai_usage_logs_base') IS NULL THEN
        RETURN;
    END IF;
    FOR item IN
        SELECT attname AS name, format_type(atttypid, atttypmod) AS type
        FROM pg_attribute
        WHERE attrelid = 'ai_usage_logs_base'::regclass AND attnum > 0 AND NOT attisdropped
            AND attname NOT IN (
                SELECT attname FROM pg_attribute
                WHERE attrelid = 'ai_usage_logs'::regclass AND attnum > 0 AND NOT attisdropped
            )
        ORDER BY attnum
    LOOP
        EXECUTE format('ALTER TABLE ai_usage_logs ADD COLUMN %I %s', item.name, item.type);
    END LOOP;
    -- Months far apart are left to the default partition: a table for each would only be overhead.
    FOR item IN
        SELECT date_trunc('month', created_at AT TIME ZONE 'UTC')::date AS month
        FROM ai_usage_logs_base
        WHERE created_at >= '2015-01-01' AND created_at < now() + interval '2 months'
        GROUP BY 1
        ORDER BY 1
    LOOP
        PERFORM ai_usage_create_partition(item.month);
    END LOOP;
    SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) INTO shared_columns
    FROM pg_attribute
    WHERE attrelid = 'ai_usage_logs_base'::regclass AND attnum > 0 AND NOT attisdropped
        AND attname NOT IN ('created_at', 'cost_status', 'usage_flags');
    EXECUTE format(
        'INSERT INTO ai_usage_logs (%1$s, created_at, cost_status, usage_flags) '
        'SELECT %1$s, coalesce(created_at, now()), '
        'CASE WHEN cost_usd > 0 THEN ''reported'' WHEN total_tokens > 0 THEN ''unpriced'' ELSE ''unmetered'' END, '
        'CASE WHEN created_at IS NULL THEN ARRAY[''time_unknown''] END '
        'FROM ai_usage_logs_base',
        shared_columns
    );
    GET DIAGNOSTICS rows_after = ROW_COUNT;
    SELECT count(*) INTO rows_before FROM ai_usage_logs_base;
    IF rows_before <> rows_after THEN
        RAISE EXCEPTION 'copied % of % rows of ai_usage_logs', rows_after, rows_before;
    END IF;
    DROP TABLE ai_usage_logs_base;
    ANALYZE ai_usage_logs;
END $$;

-- migrate:down

DROP TABLE ai_usage_logs;
DROP TABLE ai_usage_price_refs;
DROP FUNCTION ai_usage_create_partition(date);
