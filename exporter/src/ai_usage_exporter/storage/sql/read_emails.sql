-- Find the latest address of some users, in the calls that meet conditions.
-- Parameters: $1 users' ids, $2 users as sent. Index: idx_ai_usage_user_date, idx_ai_usage_user_ref_date.
SELECT asked.user_id::text AS user_key, latest.user_email
FROM unnest($1::uuid[]) AS asked (user_id)
CROSS JOIN LATERAL (
    SELECT log.user_email
    FROM ai_usage_logs AS log
    WHERE log.user_id = asked.user_id AND log.user_email IS NOT NULL AND {conditions}
    ORDER BY log.created_at DESC
    LIMIT 1
) AS latest
UNION ALL
SELECT asked.user_ref, latest.user_email
FROM unnest($2::text[]) AS asked (user_ref)
CROSS JOIN LATERAL (
    SELECT log.user_email
    FROM ai_usage_logs AS log
    WHERE log.user_ref = asked.user_ref AND log.user_email IS NOT NULL AND {conditions}
    ORDER BY log.created_at DESC
    LIMIT 1
) AS latest
