-- Say which database this is, the same on a standby of it.
-- Parameters: none. Index: none.
SELECT current_database() || '@' || system_identifier FROM pg_control_system()
