"""What settling asks of the database is answered from an index, also with statistics of an empty table."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from ai_usage_exporter.evidence import DETACHED
from ai_usage_exporter.storage.arrays import array_of, array_of_moments, array_of_texts, joined
from ai_usage_exporter.storage.row import COLUMNS
from ai_usage_exporter.storage.settlement import BY_KEY
from ai_usage_exporter.storage.statement import load_statement

START = datetime(2026, 11, 3, 12, 0, tzinfo=UTC)
TIME = [START - timedelta(days=1), START + timedelta(days=1)]
TRACES = [bytes([number]) * 16 for number in range(1, 50)]
SPANS = [bytes([number]) * 8 for number in range(1, 50)]
TOKENS = [100] * 49
LIBRARIES = [joined(TRACES, 16), array_of_texts(["a"] * 49)]
PLACES = [joined(SPANS, 8), array_of(TOKENS), array_of(TOKENS), array_of_moments([START] * 49), 65]
PARAMETERS: dict[str, list[Any]] = {
    "settle_probe": [*LIBRARIES, *TIME],
    "settle_probe_long": [*LIBRARIES, *TIME],
    "settle_load": [TRACES, *TIME],
    "settle_count": [TRACES, *TIME],
    "settle_mates": [array_of_texts(["x"] * 49), joined(SPANS, 8), *TIME, 65],
    "settle_inside": [*PLACES, array_of_moments([START] * 49)],
    "settle_around": PLACES,
}
IDS = [UUID(int=number) for number in range(49)]
VERDICTS = [["wrapper"] * 49, IDS, [False] * 49]
PARAMETERS |= {
    "settle_rows_lock": [IDS, [START] * 49],
    "settle_shadows_lock": [IDS, [START] * 49],
    "settle_demote": [IDS, [START] * 49, *VERDICTS],
    "settle_demoted_delete": [IDS, [START] * 49],
    "settle_promote": [IDS, [START] * 49],
    "settle_promoted_delete": [IDS, [START] * 49],
    "settle_shadows_update": [IDS, [START] * 49, *VERDICTS],
    "settle_variants_follow": [IDS, IDS],
    "usage_identity": [IDS, [START] * 49],
}
BY_START = {"idx_ai_usage_created_at", "idx_ai_usage_shadow_created_at"}
BY_ID = PARAMETERS.keys() - {
    "settle_probe", "settle_probe_long", "settle_load", "settle_count",
    "settle_mates", "settle_inside", "settle_around",
}  # fmt: skip
EXPECTED = {
    "settle_rows_lock": {"ai_usage_logs_pkey"},
    "settle_shadows_lock": {"ai_usage_shadow_spans_pkey"},
    "settle_demote": {"ai_usage_logs_pkey"},
    "settle_demoted_delete": {"ai_usage_logs_pkey"},
    "settle_promote": {"ai_usage_shadow_spans_pkey"},
    "settle_promoted_delete": {"ai_usage_shadow_spans_pkey"},
    "settle_shadows_update": {"ai_usage_shadow_spans_pkey"},
    "settle_variants_follow": {"ai_usage_shadow_spans_pkey"},
    "usage_identity": {"ai_usage_logs_pkey", "ai_usage_shadow_spans_pkey"},
    "settle_probe": {"idx_ai_usage_trace", "idx_ai_usage_shadow_trace", "idx_ai_usage_shadow_created_at"},
    "settle_probe_long": {"idx_ai_usage_trace", "idx_ai_usage_roles"},
    "settle_load": {"idx_ai_usage_trace", "idx_ai_usage_shadow_trace"},
    "settle_count": {"idx_ai_usage_trace", "idx_ai_usage_shadow_trace"},
    "settle_mates": {"idx_ai_usage_response", "idx_ai_usage_shadow_response", "idx_ai_usage_shadow_created_at"},
    "settle_inside": {"idx_ai_usage_unlinked", "idx_ai_usage_shadow_numbers"},
    "settle_around": {"idx_ai_usage_framework", "idx_ai_usage_shadow_numbers"},
}


@pytest.mark.parametrize("name", sorted(PARAMETERS))
async def test_lookup_uses_its_index(connection: Any, name: str) -> None:
    await connection.execute("SELECT ai_usage_create_partition('2026-11-01')")
    names = {
        row["child"]: row["parent"]
        for row in await connection.fetch(
            "SELECT child.relname AS child, coalesce(parent.relname, child.relname) AS parent FROM pg_class AS child"
            " LEFT JOIN pg_inherits ON inhrelid = child.oid LEFT JOIN pg_class AS parent ON parent.oid = inhparent"
            " WHERE child.relkind IN ('i', 'I')"
        )
    }
    async with connection.transaction():
        await connection.execute(BY_KEY)
        await connection.execute("SET LOCAL plan_cache_mode = force_generic_plan")
        text = load_statement(name)
        for placeholder, columns in (("columns", COLUMNS), ("qualified", [f"log.{column}" for column in COLUMNS])):
            text = text.replace(f"{{{placeholder}}}", ", ".join(columns))
        plan = await connection.fetchval(f"EXPLAIN (FORMAT json, COSTS off) {text}", *PARAMETERS[name])
    used, scanned = set(), set()
    for node in _nodes(json.loads(plan)[0]["Plan"]):
        if "Index Name" in node:
            used.add(names[node["Index Name"]])
        if node["Node Type"] == "Seq Scan":
            scanned.add(node["Relation Name"])
    # Equality with a start, which microseconds make nearly unique, is as good as equality with an id and that start.
    if name in BY_ID:
        assert used <= EXPECTED[name] | BY_START
    else:
        assert used == EXPECTED[name]
    assert (bool(used), scanned) == (True, set())


async def test_a_plan_for_an_empty_partition_is_not_used_when_it_is_full(connection: Any) -> None:
    await connection.execute("SELECT ai_usage_create_partition('2026-11-01')")
    await connection.execute("ANALYZE ai_usage_logs")
    await connection.execute(
        f"PREPARE mates (text, bytea, timestamptz, timestamptz, integer) AS {load_statement('settle_mates')}"
    )
    # As many as a batch has: so many cost more than the few that a plan for any parameters counts with.
    ids, spans = array_of_texts(["r1"] * 3999 + ["r2"]), "repeat('12345678', 4000)::bytea"
    asked = f"mates ('{ids}', {spans}, '2026-11-02', '2026-11-04', 65)"
    for _ in range(6):  # after five plans of its own PostgreSQL keeps one
        async with connection.transaction():
            await connection.execute(BY_KEY)
            await connection.execute(f"EXECUTE {asked}")
    await connection.execute("SET ai_usage.rollups = 'applied'")
    await connection.execute(
        "INSERT INTO ai_usage_logs (id, created_at, service_name, provider, model, span_id, provider_response_id)"
        " SELECT gen_random_uuid(), $1, 's', 'openai', 'gpt-4o', int8send(n), 'r' || n"
        " FROM generate_series(1, 5000) AS n",
        START,
    )
    async with connection.transaction():
        await connection.execute(BY_KEY)
        plan = json.loads(await connection.fetchval(f"EXPLAIN (FORMAT json, COSTS off) EXECUTE {asked}"))
    used = {node["Index Name"] for node in _nodes(plan[0]["Plan"]) if "2026_11" in node.get("Index Name", "")}
    assert used == {"ai_usage_logs_2026_11_hashtextextended_created_at_idx"}


def _nodes(node: dict[str, Any]) -> list[dict[str, Any]]:
    return [node, *(inner for child in node.get("Plans", ()) for inner in _nodes(child))]


async def test_index_of_framework_spans_names_the_frameworks_that_the_rule_knows(connection: Any) -> None:
    predicate = await connection.fetchval(
        "SELECT pg_get_expr(indpred, indrelid) FROM pg_index WHERE indexrelid = 'idx_ai_usage_framework'::regclass"
    )
    pattern = re.search(r"scope_name ~ '(.*?)'::text", predicate)
    assert pattern is not None
    names = re.search(r"\)\((.*?)\)\(", pattern.group(1))
    assert names is not None
    assert set(names.group(1).replace("[-_]", "_").split("|")) == set(DETACHED)
    assert pattern.group(1) in load_statement("settle_around")
