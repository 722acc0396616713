-- Entries of the audit trail that do not follow from the one before them.
-- Parameters: none. Index: ai_usage_audit_pkey; reads every entry.
SELECT linked.id
FROM (
    SELECT entry.*, lag(entry.id) OVER by_id AS previous_id, lag(entry.link) OVER by_id AS previous_link
    FROM ai_usage_audit AS entry
    WINDOW by_id AS (ORDER BY entry.id)
) AS linked
WHERE linked.id <> coalesce(linked.previous_id, 0) + 1
    OR linked.link <> ai_usage_audit_link(
        linked.previous_link, linked.id, linked.recorded_at, linked.actor, linked.action, linked.subject,
        linked.details
    )
ORDER BY linked.id
