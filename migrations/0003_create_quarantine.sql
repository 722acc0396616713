-- migrate:up

CREATE TABLE ai_usage_quarantine (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    digest bytea NOT NULL,
    parked_at timestamptz NOT NULL DEFAULT now(),
    kind text NOT NULL,
    reason text NOT NULL,
    detail text NOT NULL,
    service_name text,
    raw bytea NOT NULL,
    raw_bytes bigint NOT NULL,
    CONSTRAINT ai_usage_quarantine_digest_key UNIQUE (digest)
);

CREATE INDEX idx_ai_usage_quarantine_reason ON ai_usage_quarantine (reason, id);

COMMENT ON TABLE ai_usage_quarantine IS 'What could not become a row of ai_usage_logs, as it was received.';
COMMENT ON COLUMN ai_usage_quarantine.digest IS 'SHA-256 of kind, reason and the whole of what was received: parked once however often it is sent.';
COMMENT ON COLUMN ai_usage_quarantine.kind IS 'span (raw is an OTLP ExportTraceServiceRequest with it), record (raw is JSON) or body (raw is the head of a request).';
COMMENT ON COLUMN ai_usage_quarantine.raw_bytes IS 'Size of what was received; raw may hold only its head.';

-- migrate:down

DROP TABLE ai_usage_quarantine;
