"""The statements keep to what a PostgreSQL distributed over several nodes can do (ADR 0097)."""

from __future__ import annotations

import re
from importlib import resources

import pytest

DISTRIBUTED = ("ai_usage_logs", "ai_usage_shadow_spans", "ai_usage_rollups", "ai_usage_rollup_keys", "{table}")
STATEMENTS = {
    path.name: path.read_text(encoding="utf-8")
    for path in (resources.files("ai_usage_exporter.storage") / "sql").iterdir()
    if path.name.endswith(".sql")
}
MODIFYING_CTE = re.compile(
    r"\bAS\s+(?:NOT\s+MATERIALIZED\s+|MATERIALIZED\s+)?\(\s*(?:INSERT|UPDATE|DELETE|MERGE)\b", re.I
)
MODIFYING = re.compile(r"\b(?:INSERT\s+INTO|UPDATE|DELETE\s+FROM|MERGE\s+INTO)\s+(?:ONLY\s+)?([\w{}]+)", re.I)


def _without_comments(statement: str) -> str:
    return re.sub(r"--[^\n]*", "", statement)


def modifies_within_a_query(statement: str) -> bool:
    """Tell whether a WITH part changes rows, or rows are changed by a statement that begins with WITH."""
    text = _without_comments(statement)
    return bool(MODIFYING_CTE.search(text)) or bool(re.match(r"\s*WITH\b", text, re.I) and MODIFYING.search(text))


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("WITH gone AS (DELETE FROM a RETURNING *) SELECT * FROM gone", True),
        ("WITH new AS MATERIALIZED (\n  INSERT INTO a SELECT 1 RETURNING x) SELECT x FROM new", True),
        ("WITH old AS (SELECT 1) INSERT INTO a SELECT * FROM old", True),
        ("-- WITH gone AS (DELETE …\nSELECT 1", False),
        ("WITH some AS (SELECT 1) SELECT * FROM some FOR UPDATE", False),
        ("INSERT INTO a SELECT 1 ON CONFLICT (id) DO UPDATE SET x = 1", False),
    ],
)
def test_rows_changed_within_a_query_are_found(statement: str, expected: bool) -> None:
    assert modifies_within_a_query(statement) is expected


@pytest.mark.parametrize("name", sorted(STATEMENTS))
def test_distributed_tables_are_changed_by_plain_statements_only(name: str) -> None:
    text = _without_comments(STATEMENTS[name])
    if any(re.search(rf"{re.escape(table)}(?!\w)", text) for table in DISTRIBUTED):
        assert not modifies_within_a_query(text)


def test_rows_are_found_on_their_node_by_what_conflicts_name() -> None:
    for name, statement in STATEMENTS.items():
        for table, column in (("logs", "id"), ("shadow_spans", "id"), ("rollup_keys", "id"), ("rollups", "key_id")):
            if re.search(rf"INSERT INTO ai_usage_{table}\b", statement):
                conflict = re.search(r"ON CONFLICT \(([^)]*)\)", statement)
                assert conflict is None or column in conflict[1].split(", "), name
