"""PostgreSQL: schema, connections, the one way rows are written and the one way they are read."""
