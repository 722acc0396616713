-- migrate:up

CREATE TABLE ai_usage_retention (
    only_row boolean NOT NULL DEFAULT true CONSTRAINT ai_usage_retention_pkey PRIMARY KEY,
    rows_dropped_before timestamptz NOT NULL DEFAULT '-infinity',
    CONSTRAINT one_row CHECK (only_row)
);

INSERT INTO ai_usage_retention DEFAULT VALUES;

COMMENT ON TABLE ai_usage_retention IS 'From when on rows are complete: before it rows were dropped, and only their sums in ai_usage_rollups are left.';

-- migrate:down

DROP TABLE ai_usage_retention;
