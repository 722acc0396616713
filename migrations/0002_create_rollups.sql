-- migrate:up

-- Sums of calls, kept in the transaction that writes the rows: every question that does not name a user is answered
-- from here. A cuboid is a choice of dimensions; each is kept in the grains its questions need:
--   0 full      service, action, provider, model, success, error_code, cost_status    day
--   1 service   service, action                                                       15 minutes, hour, day, 5 days
--   2 model     provider, model                                                       15 minutes, hour, day, 5 days
--   3 status    success, error_code, cost_status                                      15 minutes, hour, day, 5 days
--   4 user      user_key                                                              day, 30 days
--   5 duration  duration_bin                                                          15 minutes, hour, day, 5 days
--   6 pair      service, provider, model                                              hour, day, 5 days
-- What is finer than a cuboid's finest grain is read from the rows. Buckets start at multiples of their length since
-- 1970. The sums of those longer than a day are those of their days, which outlive the rows.

-- The dimensions behind a key: looked up once per answer instead of being repeated in every row.
CREATE TABLE ai_usage_rollup_keys (
    id bigint CONSTRAINT ai_usage_rollup_keys_pkey PRIMARY KEY,
    cuboid smallint NOT NULL,
    service text,
    action text,
    provider text,
    model text,
    success boolean,
    error_code text,
    cost_status text,
    user_key text,
    duration_bin smallint
);

CREATE INDEX idx_ai_usage_rollup_keys_cuboid ON ai_usage_rollup_keys (cuboid);

COMMENT ON TABLE ai_usage_rollup_keys IS 'The dimensions of ai_usage_rollups; id is ai_usage_rollup_key of them.';
COMMENT ON COLUMN ai_usage_rollup_keys.user_key IS 'ai_usage_logs.user_id as text, else user_ref.';
COMMENT ON COLUMN ai_usage_rollup_keys.duration_bin IS 'ai_usage_duration_bin of the call; null when it was not measured.';

CREATE TABLE ai_usage_rollups (
    cuboid smallint NOT NULL,
    grain_s integer NOT NULL,
    bucket timestamptz NOT NULL,
    key_id bigint NOT NULL,
    slot smallint NOT NULL,
    calls bigint NOT NULL,
    succeeded bigint NOT NULL,
    priced_calls bigint NOT NULL,
    input_tokens bigint NOT NULL,
    output_tokens bigint NOT NULL,
    total_tokens bigint NOT NULL,
    cache_read_tokens bigint NOT NULL,
    cache_write_tokens bigint NOT NULL,
    reasoning_tokens bigint NOT NULL,
    cost_usd numeric NOT NULL,
    duration_ms bigint NOT NULL,
    timed_calls bigint NOT NULL,
    CONSTRAINT ai_usage_rollups_pkey PRIMARY KEY (cuboid, grain_s, bucket, key_id, slot)
) PARTITION BY LIST (cuboid);

COMMENT ON TABLE ai_usage_rollups IS 'Sums of ai_usage_logs by bucket and key; sum over slots. Checked and repaired by ai-usage verify.';
COMMENT ON COLUMN ai_usage_rollups.grain_s IS 'Length of the bucket in seconds: 900, 3600, 86400 (a UTC day), 432000 or 2592000.';
COMMENT ON COLUMN ai_usage_rollups.slot IS 'Owned by one writing transaction at a time, so that writers never wait for a hot row.';
COMMENT ON COLUMN ai_usage_rollups.priced_calls IS 'Calls whose cost_status is priced, reported or free.';
COMMENT ON COLUMN ai_usage_rollups.timed_calls IS 'Calls with a duration; duration_ms is their sum.';

-- Rows of a current bucket change all the time: room in their page keeps those updates out of the indexes.
CREATE TABLE ai_usage_rollups_full PARTITION OF ai_usage_rollups FOR VALUES IN (0) WITH (fillfactor = 80);
CREATE TABLE ai_usage_rollups_service PARTITION OF ai_usage_rollups FOR VALUES IN (1) WITH (fillfactor = 80);
CREATE TABLE ai_usage_rollups_model PARTITION OF ai_usage_rollups FOR VALUES IN (2) WITH (fillfactor = 80);
CREATE TABLE ai_usage_rollups_status PARTITION OF ai_usage_rollups FOR VALUES IN (3) WITH (fillfactor = 80);
CREATE TABLE ai_usage_rollups_user PARTITION OF ai_usage_rollups FOR VALUES IN (4) WITH (fillfactor = 80);
CREATE TABLE ai_usage_rollups_duration PARTITION OF ai_usage_rollups FOR VALUES IN (5) WITH (fillfactor = 80);
CREATE TABLE ai_usage_rollups_pair PARTITION OF ai_usage_rollups FOR VALUES IN (6) WITH (fillfactor = 80);

-- A user that has no row in users is asked for like any other.
CREATE INDEX idx_ai_usage_user_ref_date ON ai_usage_logs (user_ref, created_at);

-- The bin of a duration: bounds grow by 2^(1/6), so a bin's middle is within 6 % of every duration in it.
CREATE FUNCTION ai_usage_duration_bin(duration_ms bigint) RETURNS smallint
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT width_bucket(duration_ms, ARRAY[
        1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 14, 16, 18, 20, 23, 25, 29, 32, 36, 40, 45, 51, 57, 64, 72, 81,
        91, 102, 114, 128, 144, 161, 181, 203, 228, 256, 287, 323, 362, 406, 456, 512, 575, 645, 724, 813,
        912, 1024, 1149, 1290, 1448, 1625, 1825, 2048, 2299, 2580, 2896, 3251, 3649, 4096, 4598, 5161, 5793,
        6502, 7298, 8192, 9195, 10321, 11585, 13004, 14596, 16384, 18390, 20643, 23170, 26008, 29193, 32768,
        36781, 41285, 46341, 52016, 58386, 65536, 73562, 82570, 92682, 104032, 116772, 131072, 147123, 165140,
        185364, 208064, 233544, 262144, 294247, 330281, 370728, 416128, 467088, 524288, 588493, 660561,
        741455, 832255, 934175, 1048576, 1176987, 1321123, 1482910, 1664511, 1868350, 2097152, 2353974,
        2642246, 2965821, 3329021, 3736700, 4194304, 4707947, 5284492, 5931642, 6658043, 7473400, 8388608,
        9415894, 10568984, 11863283, 13316085, 14946800, 16777216, 18831788, 21137968, 23726566, 26632170,
        29893600, 33554432, 37663576, 42275935, 47453133, 53264341, 59787201, 67108864, 75327153, 84551870,
        94906266
    ]::bigint[])::smallint
$$;

-- The id of a key: 64 bits of SHA-256 over the cuboid and its dimensions, each with its length in bytes, '-' for null.
-- Two small functions, because the planner writes them out where they are called.
CREATE FUNCTION ai_usage_rollup_part(part text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT coalesce(octet_length(part) || ':' || part, '-') $$;

CREATE FUNCTION ai_usage_rollup_key(cuboid integer, parts text) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT ('x' || encode(substr(sha256(convert_to(cuboid || '|' || parts, 'UTF8')), 1, 8), 'hex'))::bit(64)::bigint
$$;

-- What the rollups of the rows in [lower_bound, upper_bound) must be, up to days; the bounds are UTC midnights.
CREATE FUNCTION ai_usage_rollups_of_rows(lower_bound timestamptz, upper_bound timestamptz)
RETURNS TABLE (
    cuboid smallint, grain_s integer, bucket timestamptz, key_id bigint,
    service text, action text, provider text, model text, success boolean, error_code text, cost_status text,
    user_key text, duration_bin smallint,
    calls bigint, succeeded bigint, priced_calls bigint, input_tokens bigint, output_tokens bigint,
    total_tokens bigint, cache_read_tokens bigint, cache_write_tokens bigint, reasoning_tokens bigint,
    cost_usd numeric, duration_ms bigint, timed_calls bigint
)
LANGUAGE sql STABLE AS $$
    WITH call AS NOT MATERIALIZED (
        SELECT
            date_bin('15 minutes', log.created_at, 'epoch') AS quarter,
            date_bin('1 hour', log.created_at, 'epoch') AS hour,
            date_bin('1 day', log.created_at, 'epoch') AS day,
            log.service_name AS service, log.service_action AS action, log.provider, log.model, log.success,
            log.error_code, log.cost_status, coalesce(log.user_id::text, log.user_ref) AS user_key,
            ai_usage_duration_bin(log.duration_ms) AS duration_bin,
            (log.cost_status IN ('priced', 'reported', 'free'))::int AS priced,
            log.input_tokens, log.output_tokens, log.total_tokens, coalesce(log.cache_read_tokens, 0) AS cache_read,
            coalesce(log.cache_write_tokens, 0) AS cache_write, coalesce(log.reasoning_tokens, 0) AS reasoning,
            log.cost_usd, log.duration_ms
        FROM ai_usage_logs AS log
        WHERE log.created_at >= lower_bound AND log.created_at < upper_bound
    ),
    bucketed AS (
        SELECT
            0 AS cuboid, 86400 AS grain_s,
            day AS bucket,
            service, action, provider, model, success, error_code, cost_status, NULL::text AS user_key,
            NULL::smallint AS duration_bin,
            count(*) AS calls, count(*) FILTER (WHERE success) AS succeeded, sum(priced) AS priced_calls,
            sum(input_tokens) AS input_tokens, sum(output_tokens) AS output_tokens, sum(total_tokens) AS total_tokens,
            sum(cache_read) AS cache_read, sum(cache_write) AS cache_write, sum(reasoning) AS reasoning,
            sum(cost_usd) AS cost_usd, coalesce(sum(duration_ms), 0) AS duration_ms, count(duration_ms) AS timed_calls
        FROM call
        GROUP BY GROUPING SETS (
            (day, service, action, provider, model, success, error_code, cost_status)
        )
        UNION ALL
        SELECT
            1 AS cuboid, CASE WHEN grouping(quarter) = 0 THEN 900 WHEN grouping(hour) = 0 THEN 3600 WHEN grouping(day) = 0 THEN
            86400 END AS grain_s,
            coalesce(quarter, hour, day) AS bucket,
            service, action, NULL::text AS provider, NULL::text AS model, NULL::boolean AS success, NULL::text AS
            error_code, NULL::text AS cost_status, NULL::text AS user_key, NULL::smallint AS duration_bin,
            count(*) AS calls, count(*) FILTER (WHERE success) AS succeeded, sum(priced) AS priced_calls,
            sum(input_tokens) AS input_tokens, sum(output_tokens) AS output_tokens, sum(total_tokens) AS total_tokens,
            sum(cache_read) AS cache_read, sum(cache_write) AS cache_write, sum(reasoning) AS reasoning,
            sum(cost_usd) AS cost_usd, coalesce(sum(duration_ms), 0) AS duration_ms, count(duration_ms) AS timed_calls
        FROM call
        GROUP BY GROUPING SETS (
            (quarter, service, action),
            (hour, service, action),
            (day, service, action)
        )
        UNION ALL
        SELECT
            2 AS cuboid, CASE WHEN grouping(quarter) = 0 THEN 900 WHEN grouping(hour) = 0 THEN 3600 WHEN grouping(day) = 0 THEN
            86400 END AS grain_s,
            coalesce(quarter, hour, day) AS bucket,
            NULL::text AS service, NULL::text AS action, provider, model, NULL::boolean AS success, NULL::text AS
            error_code, NULL::text AS cost_status, NULL::text AS user_key, NULL::smallint AS duration_bin,
            count(*) AS calls, count(*) FILTER (WHERE success) AS succeeded, sum(priced) AS priced_calls,
            sum(input_tokens) AS input_tokens, sum(output_tokens) AS output_tokens, sum(total_tokens) AS total_tokens,
            sum(cache_read) AS cache_read, sum(cache_write) AS cache_write, sum(reasoning) AS reasoning,
            sum(cost_usd) AS cost_usd, coalesce(sum(duration_ms), 0) AS duration_ms, count(duration_ms) AS timed_calls
        FROM call
        GROUP BY GROUPING SETS (
            (quarter, provider, model),
            (hour, provider, model),
            (day, provider, model)
        )
        UNION ALL
        SELECT
            3 AS cuboid, CASE WHEN grouping(quarter) = 0 THEN 900 WHEN grouping(hour) = 0 THEN 3600 WHEN grouping(day) = 0 THEN
            86400 END AS grain_s,
            coalesce(quarter, hour, day) AS bucket,
            NULL::text AS service, NULL::text AS action, NULL::text AS provider, NULL::text AS model, success,
            error_code, cost_status, NULL::text AS user_key, NULL::smallint AS duration_bin,
            count(*) AS calls, count(*) FILTER (WHERE success) AS succeeded, sum(priced) AS priced_calls,
            sum(input_tokens) AS input_tokens, sum(output_tokens) AS output_tokens, sum(total_tokens) AS total_tokens,
            sum(cache_read) AS cache_read, sum(cache_write) AS cache_write, sum(reasoning) AS reasoning,
            sum(cost_usd) AS cost_usd, coalesce(sum(duration_ms), 0) AS duration_ms, count(duration_ms) AS timed_calls
        FROM call
        GROUP BY GROUPING SETS (
            (quarter, success, error_code, cost_status),
            (hour, success, error_code, cost_status),
            (day, success, error_code, cost_status)
        )
        UNION ALL
        SELECT
            4 AS cuboid, 86400 AS grain_s,
            day AS bucket,
            NULL::text AS service, NULL::text AS action, NULL::text AS provider, NULL::text AS model, NULL::boolean
            AS success, NULL::text AS error_code, NULL::text AS cost_status, user_key, NULL::smallint AS duration_bin,
            count(*) AS calls, count(*) FILTER (WHERE success) AS succeeded, sum(priced) AS priced_calls,
            sum(input_tokens) AS input_tokens, sum(output_tokens) AS output_tokens, sum(total_tokens) AS total_tokens,
            sum(cache_read) AS cache_read, sum(cache_write) AS cache_write, sum(reasoning) AS reasoning,
            sum(cost_usd) AS cost_usd, coalesce(sum(duration_ms), 0) AS duration_ms, count(duration_ms) AS timed_calls
        FROM call
        GROUP BY GROUPING SETS (
            (day, user_key)
        )
        UNION ALL
        SELECT
            5 AS cuboid, CASE WHEN grouping(quarter) = 0 THEN 900 WHEN grouping(hour) = 0 THEN 3600 WHEN grouping(day) = 0 THEN
            86400 END AS grain_s,
            coalesce(quarter, hour, day) AS bucket,
            NULL::text AS service, NULL::text AS action, NULL::text AS provider, NULL::text AS model, NULL::boolean
            AS success, NULL::text AS error_code, NULL::text AS cost_status, NULL::text AS user_key, duration_bin,
            count(*) AS calls, count(*) FILTER (WHERE success) AS succeeded, sum(priced) AS priced_calls,
            sum(input_tokens) AS input_tokens, sum(output_tokens) AS output_tokens, sum(total_tokens) AS total_tokens,
            sum(cache_read) AS cache_read, sum(cache_write) AS cache_write, sum(reasoning) AS reasoning,
            sum(cost_usd) AS cost_usd, coalesce(sum(duration_ms), 0) AS duration_ms, count(duration_ms) AS timed_calls
        FROM call
        GROUP BY GROUPING SETS (
            (quarter, duration_bin),
            (hour, duration_bin),
            (day, duration_bin)
        )
        UNION ALL
        SELECT
            6 AS cuboid, CASE WHEN grouping(hour) = 0 THEN 3600 WHEN grouping(day) = 0 THEN 86400 END AS grain_s,
            coalesce(hour, day) AS bucket,
            service, NULL::text AS action, provider, model, NULL::boolean
            AS success, NULL::text AS error_code, NULL::text AS cost_status, NULL::text AS user_key, NULL::smallint AS duration_bin,
            count(*) AS calls, count(*) FILTER (WHERE success) AS succeeded, sum(priced) AS priced_calls,
            sum(input_tokens) AS input_tokens, sum(output_tokens) AS output_tokens, sum(total_tokens) AS total_tokens,
            sum(cache_read) AS cache_read, sum(cache_write) AS cache_write, sum(reasoning) AS reasoning,
            sum(cost_usd) AS cost_usd, coalesce(sum(duration_ms), 0) AS duration_ms, count(duration_ms) AS timed_calls
        FROM call
        GROUP BY GROUPING SETS (
            (hour, service, provider, model),
            (day, service, provider, model)
        )
    )
    SELECT
        item.cuboid::smallint, item.grain_s, item.bucket,
        CASE item.cuboid
            WHEN 0 THEN ai_usage_rollup_key(0, ai_usage_rollup_part(item.service) || ai_usage_rollup_part(item.action) || ai_usage_rollup_part(item.provider) || ai_usage_rollup_part(item.model) || ai_usage_rollup_part(item.success::text) || ai_usage_rollup_part(item.error_code) || ai_usage_rollup_part(item.cost_status))
            WHEN 1 THEN ai_usage_rollup_key(1, ai_usage_rollup_part(item.service) || ai_usage_rollup_part(item.action))
            WHEN 2 THEN ai_usage_rollup_key(2, ai_usage_rollup_part(item.provider) || ai_usage_rollup_part(item.model))
            WHEN 3 THEN ai_usage_rollup_key(3, ai_usage_rollup_part(item.success::text) || ai_usage_rollup_part(item.error_code) || ai_usage_rollup_part(item.cost_status))
            WHEN 4 THEN ai_usage_rollup_key(4, ai_usage_rollup_part(item.user_key))
            WHEN 5 THEN ai_usage_rollup_key(5, ai_usage_rollup_part(item.duration_bin::text))
            ELSE ai_usage_rollup_key(
                6, ai_usage_rollup_part(item.service) || ai_usage_rollup_part(item.provider)
                    || ai_usage_rollup_part(item.model)
            )
        END,
        item.service, item.action, item.provider, item.model, item.success, item.error_code, item.cost_status,
        item.user_key, item.duration_bin, item.calls, item.succeeded, item.priced_calls::bigint,
        item.input_tokens::bigint, item.output_tokens::bigint, item.total_tokens::bigint, item.cache_read::bigint,
        item.cache_write::bigint, item.reasoning::bigint, item.cost_usd, item.duration_ms::bigint, item.timed_calls
    FROM bucketed AS item
$$;

-- Rows written by anything but our writer (SQL by hand, a host application, ON DELETE SET NULL of a user) are summed
-- by a trigger, one by one. The writer sums whole batches itself and says so: SET LOCAL ai_usage.rollups = 'applied'.
CREATE FUNCTION ai_usage_rollups_add_call(
    sign integer, started_at timestamptz, service text, action text, provider text, model text, success boolean,
    error_code text, cost_status text, user_key text, input_tokens bigint, output_tokens bigint, total_tokens bigint,
    cache_read_tokens bigint, cache_write_tokens bigint, reasoning_tokens bigint, cost_usd numeric, duration_ms bigint
) RETURNS void
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    lock_class constant integer := x'61697573'::integer;
    own_slot smallint;
    bin smallint := ai_usage_duration_bin(duration_ms);
BEGIN
    SELECT slot INTO own_slot
    FROM generate_series(0, 15) AS slot
    WHERE pg_try_advisory_xact_lock(lock_class, slot)
    LIMIT 1;
    IF own_slot IS NULL THEN
        own_slot := pg_backend_pid() % 16;
        PERFORM pg_advisory_xact_lock(lock_class, own_slot);
    END IF;
    INSERT INTO ai_usage_rollup_keys (
        id, cuboid, service, action, provider, model, success, error_code, cost_status, user_key, duration_bin
    )
    VALUES
    (
        ai_usage_rollup_key(0, ai_usage_rollup_part($3) || ai_usage_rollup_part($4) || ai_usage_rollup_part($5) || ai_usage_rollup_part($6) || ai_usage_rollup_part($7::text) || ai_usage_rollup_part($8) || ai_usage_rollup_part($9)), 0, $3, $4, $5, $6, $7, $8, $9, NULL, NULL
    ),
    (ai_usage_rollup_key(1, ai_usage_rollup_part($3) || ai_usage_rollup_part($4)), 1, $3, $4, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
    (ai_usage_rollup_key(2, ai_usage_rollup_part($5) || ai_usage_rollup_part($6)), 2, NULL, NULL, $5, $6, NULL, NULL, NULL, NULL, NULL),
    (ai_usage_rollup_key(3, ai_usage_rollup_part($7::text) || ai_usage_rollup_part($8) || ai_usage_rollup_part($9)), 3, NULL, NULL, NULL, NULL, $7, $8, $9, NULL, NULL),
    (ai_usage_rollup_key(4, ai_usage_rollup_part($10)), 4, NULL, NULL, NULL, NULL, NULL, NULL, NULL, $10, NULL),
    (ai_usage_rollup_key(5, ai_usage_rollup_part(bin::text)), 5, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, bin),
    (
        ai_usage_rollup_key(6, ai_usage_rollup_part($3) || ai_usage_rollup_part($5) || ai_usage_rollup_part($6)), 6,
        $3, NULL, $5, $6, NULL, NULL, NULL, NULL, NULL
    )
    ON CONFLICT (id) DO NOTHING;
    INSERT INTO ai_usage_rollups AS stored (
        cuboid, grain_s, bucket, key_id, slot, calls, succeeded, priced_calls, input_tokens, output_tokens,
        total_tokens, cache_read_tokens, cache_write_tokens, reasoning_tokens, cost_usd, duration_ms, timed_calls
    )
    SELECT
        kept.cuboid, kept.grain_s, date_bin(make_interval(secs => kept.grain_s), $2, 'epoch'), kept.key_id, own_slot,
        $1, CASE WHEN $7 THEN $1 ELSE 0 END, CASE WHEN $9 IN ('priced', 'reported', 'free') THEN $1 ELSE 0 END,
        $1 * $11, $1 * $12, $1 * $13, $1 * coalesce($14, 0), $1 * coalesce($15, 0), $1 * coalesce($16, 0), $1 * $17,
        $1 * coalesce($18, 0), CASE WHEN $18 IS NULL THEN 0 ELSE $1 END
    FROM (
        VALUES
        (0, 86400, ai_usage_rollup_key(0, ai_usage_rollup_part($3) || ai_usage_rollup_part($4) || ai_usage_rollup_part($5) || ai_usage_rollup_part($6) || ai_usage_rollup_part($7::text) || ai_usage_rollup_part($8) || ai_usage_rollup_part($9))),
        (1, 900, ai_usage_rollup_key(1, ai_usage_rollup_part($3) || ai_usage_rollup_part($4))),
        (1, 3600, ai_usage_rollup_key(1, ai_usage_rollup_part($3) || ai_usage_rollup_part($4))),
        (1, 86400, ai_usage_rollup_key(1, ai_usage_rollup_part($3) || ai_usage_rollup_part($4))),
        (1, 432000, ai_usage_rollup_key(1, ai_usage_rollup_part($3) || ai_usage_rollup_part($4))),
        (2, 900, ai_usage_rollup_key(2, ai_usage_rollup_part($5) || ai_usage_rollup_part($6))),
        (2, 3600, ai_usage_rollup_key(2, ai_usage_rollup_part($5) || ai_usage_rollup_part($6))),
        (2, 86400, ai_usage_rollup_key(2, ai_usage_rollup_part($5) || ai_usage_rollup_part($6))),
        (2, 432000, ai_usage_rollup_key(2, ai_usage_rollup_part($5) || ai_usage_rollup_part($6))),
        (3, 900, ai_usage_rollup_key(3, ai_usage_rollup_part($7::text) || ai_usage_rollup_part($8) || ai_usage_rollup_part($9))),
        (3, 3600, ai_usage_rollup_key(3, ai_usage_rollup_part($7::text) || ai_usage_rollup_part($8) || ai_usage_rollup_part($9))),
        (3, 86400, ai_usage_rollup_key(3, ai_usage_rollup_part($7::text) || ai_usage_rollup_part($8) || ai_usage_rollup_part($9))),
        (3, 432000, ai_usage_rollup_key(3, ai_usage_rollup_part($7::text) || ai_usage_rollup_part($8) || ai_usage_rollup_part($9))),
        (4, 86400, ai_usage_rollup_key(4, ai_usage_rollup_part($10))),
        (4, 2592000, ai_usage_rollup_key(4, ai_usage_rollup_part($10))),
        (5, 900, ai_usage_rollup_key(5, ai_usage_rollup_part(bin::text))),
        (5, 3600, ai_usage_rollup_key(5, ai_usage_rollup_part(bin::text))),
        (5, 86400, ai_usage_rollup_key(5, ai_usage_rollup_part(bin::text))),
        (5, 432000, ai_usage_rollup_key(5, ai_usage_rollup_part(bin::text))),
        (6, 432000, ai_usage_rollup_key(6, ai_usage_rollup_part($3) || ai_usage_rollup_part($5) || ai_usage_rollup_part($6))),
        (6, 3600, ai_usage_rollup_key(6, ai_usage_rollup_part($3) || ai_usage_rollup_part($5) || ai_usage_rollup_part($6))),
        (6, 86400, ai_usage_rollup_key(6, ai_usage_rollup_part($3) || ai_usage_rollup_part($5) || ai_usage_rollup_part($6)))
    ) AS kept (cuboid, grain_s, key_id)
    ON CONFLICT (cuboid, grain_s, bucket, key_id, slot) DO UPDATE SET
        calls = stored.calls + excluded.calls,
        succeeded = stored.succeeded + excluded.succeeded,
        priced_calls = stored.priced_calls + excluded.priced_calls,
        input_tokens = stored.input_tokens + excluded.input_tokens,
        output_tokens = stored.output_tokens + excluded.output_tokens,
        total_tokens = stored.total_tokens + excluded.total_tokens,
        cache_read_tokens = stored.cache_read_tokens + excluded.cache_read_tokens,
        cache_write_tokens = stored.cache_write_tokens + excluded.cache_write_tokens,
        reasoning_tokens = stored.reasoning_tokens + excluded.reasoning_tokens,
        cost_usd = stored.cost_usd + excluded.cost_usd,
        duration_ms = stored.duration_ms + excluded.duration_ms,
        timed_calls = stored.timed_calls + excluded.timed_calls;
END $$;

CREATE FUNCTION ai_usage_rollups_follow() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'INSERT' THEN
        PERFORM ai_usage_rollups_add_call(
            -1, OLD.created_at, OLD.service_name, OLD.service_action, OLD.provider, OLD.model, OLD.success,
            OLD.error_code, OLD.cost_status, coalesce(OLD.user_id::text, OLD.user_ref), OLD.input_tokens,
            OLD.output_tokens, OLD.total_tokens, OLD.cache_read_tokens, OLD.cache_write_tokens, OLD.reasoning_tokens,
            OLD.cost_usd, OLD.duration_ms
        );
    END IF;
    IF TG_OP <> 'DELETE' THEN
        PERFORM ai_usage_rollups_add_call(
            1, NEW.created_at, NEW.service_name, NEW.service_action, NEW.provider, NEW.model, NEW.success,
            NEW.error_code, NEW.cost_status, coalesce(NEW.user_id::text, NEW.user_ref), NEW.input_tokens,
            NEW.output_tokens, NEW.total_tokens, NEW.cache_read_tokens, NEW.cache_write_tokens, NEW.reasoning_tokens,
            NEW.cost_usd, NEW.duration_ms
        );
    END IF;
    RETURN NULL;
END $$;

-- What the sums of a cuboid over a long bucket must be: those of its days.
CREATE FUNCTION ai_usage_rollups_of_days(of_cuboid smallint, of_grain_s integer, of_bucket timestamptz)
RETURNS TABLE (
    key_id bigint, calls bigint, succeeded bigint, priced_calls bigint, input_tokens bigint, output_tokens bigint,
    total_tokens bigint, cache_read_tokens bigint, cache_write_tokens bigint, reasoning_tokens bigint,
    cost_usd numeric, duration_ms bigint, timed_calls bigint
)
LANGUAGE sql STABLE AS $$
    SELECT
        day.key_id, sum(day.calls)::bigint, sum(day.succeeded)::bigint, sum(day.priced_calls)::bigint,
        sum(day.input_tokens)::bigint, sum(day.output_tokens)::bigint, sum(day.total_tokens)::bigint,
        sum(day.cache_read_tokens)::bigint, sum(day.cache_write_tokens)::bigint, sum(day.reasoning_tokens)::bigint,
        sum(day.cost_usd), sum(day.duration_ms)::bigint, sum(day.timed_calls)::bigint
    FROM ai_usage_rollups AS day
    WHERE day.cuboid = of_cuboid AND day.grain_s = 86400 AND day.bucket >= of_bucket
        AND day.bucket < of_bucket + make_interval(secs => of_grain_s)
    GROUP BY day.key_id
$$;

CREATE TRIGGER ai_usage_rollups_follow
AFTER INSERT OR UPDATE OR DELETE ON ai_usage_logs
FOR EACH ROW
WHEN (current_setting('ai_usage.rollups', true) IS DISTINCT FROM 'applied')
EXECUTE FUNCTION ai_usage_rollups_follow();

-- Moves rows out of the default partition into one that has no trigger yet: nothing to add or take back.
ALTER FUNCTION ai_usage_create_partition(date) SET ai_usage.rollups = 'applied';

-- Rows that were there before: summed day by day, so that no sort is larger than a day.
DO $$
DECLARE
    first_day timestamptz;
BEGIN
    FOR first_day IN SELECT DISTINCT date_bin('1 day', created_at, 'epoch') FROM ai_usage_logs LOOP
        INSERT INTO ai_usage_rollup_keys
        SELECT DISTINCT
            key_id, cuboid, service, action, provider, model, success, error_code, cost_status, user_key, duration_bin
        FROM ai_usage_rollups_of_rows(first_day, first_day + interval '24 hours')
        ON CONFLICT (id) DO NOTHING;
        INSERT INTO ai_usage_rollups
        SELECT
            cuboid, grain_s, bucket, key_id, 0, calls, succeeded, priced_calls, input_tokens, output_tokens,
            total_tokens, cache_read_tokens, cache_write_tokens, reasoning_tokens, cost_usd, duration_ms, timed_calls
        FROM ai_usage_rollups_of_rows(first_day, first_day + interval '24 hours');
    END LOOP;
    INSERT INTO ai_usage_rollups
    SELECT
        long.cuboid, long.grain_s, long.bucket, of_days.key_id, 0, calls, succeeded, priced_calls, input_tokens,
        output_tokens, total_tokens, cache_read_tokens, cache_write_tokens, reasoning_tokens, cost_usd, duration_ms,
        timed_calls
    FROM (
        SELECT DISTINCT
            kept.cuboid, kept.grain_s, date_bin(make_interval(secs => kept.grain_s), day.bucket, 'epoch') AS bucket
        FROM (
            VALUES (1, 432000), (2, 432000), (3, 432000), (4, 2592000), (5, 432000), (6, 432000)
        ) AS kept (cuboid, grain_s)
        JOIN ai_usage_rollups AS day ON day.cuboid = kept.cuboid AND day.grain_s = 86400
    ) AS long
    CROSS JOIN LATERAL ai_usage_rollups_of_days(long.cuboid::smallint, long.grain_s, long.bucket) AS of_days;
END $$;

-- migrate:down

DROP TRIGGER ai_usage_rollups_follow ON ai_usage_logs;
DROP FUNCTION ai_usage_rollups_follow();
DROP FUNCTION ai_usage_rollups_add_call(
    integer, timestamptz, text, text, text, text, boolean, text, text, text, bigint, bigint, bigint, bigint, bigint,
    bigint, numeric, bigint
);
ALTER FUNCTION ai_usage_create_partition(date) RESET ai_usage.rollups;
DROP FUNCTION ai_usage_rollups_of_rows(timestamptz, timestamptz);
DROP FUNCTION ai_usage_rollups_of_days(smallint, integer, timestamptz);
DROP FUNCTION ai_usage_rollup_key(integer, text);
DROP FUNCTION ai_usage_rollup_part(text);
DROP FUNCTION ai_usage_duration_bin(bigint);
DROP INDEX idx_ai_usage_user_ref_date;
DROP TABLE ai_usage_rollups;
DROP TABLE ai_usage_rollup_keys;
