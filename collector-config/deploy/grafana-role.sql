-- The user of the dashboards, who can only read. Run as the owner of ai-usage's tables, again after an upgrade:
--   psql --set password=… --file grafana-role.sql
SELECT 'CREATE ROLE grafana LOGIN' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'grafana') \gexec
ALTER ROLE grafana PASSWORD :'password';
ALTER ROLE grafana SET default_transaction_read_only = on;
ALTER ROLE grafana SET statement_timeout = '30s';
GRANT SELECT ON ai_usage_logs, ai_usage_rollups, ai_usage_rollup_keys TO grafana;
GRANT SELECT (id) ON ai_usage_quarantine TO grafana;
GRANT SELECT (id, email) ON users TO grafana;
