-- Who is on the calls of some users or addresses.
-- Parameters: $1 user ids, $2 users as sent, $3 addresses in lower case (also as users as sent).
-- Index: idx_ai_usage_user_id, idx_ai_usage_user_ref_date; addresses are looked for in every row.
SELECT DISTINCT user_id, user_ref, user_email
FROM ai_usage_logs
WHERE user_id = ANY($1::uuid[]) OR user_ref = ANY($2::text[]) OR lower(user_email) = ANY($3::text[])
    OR lower(user_ref) = ANY($3::text[])
