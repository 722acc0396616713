-- Parked things in which one of some texts can be found.
-- Parameters: $1 texts as bytes, $2 patterns (ILIKE). Index: none, every entry is looked through.
SELECT id, kind, detail, raw
FROM ai_usage_quarantine
WHERE detail ILIKE ANY($2::text[])
    OR EXISTS (SELECT FROM unnest($1::bytea[]) AS wanted (bytes) WHERE position(wanted.bytes IN raw) > 0)
ORDER BY id
FOR UPDATE
