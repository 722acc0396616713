"""Every query of the dashboards on a real database, as a user who may only read; every metric name on a real server."""

from __future__ import annotations

import asyncio
import json
import re
import secrets
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

import asyncpg
import pytest
import yaml

from ai_usage.pricing import Cost, CostStatus
from ai_usage.tokens import TokenUsage
from ai_usage_exporter.storage.pool import open_pools
from ai_usage_exporter.storage.writer import UsageWriter
from tests.collector.app import App
from tests.collector.collector import CONFIGS, ROOT
from tests.collector.receiver import Receiver
from tests.collector.waiting import wait_until
from tests.factories import make_call

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ai_usage_exporter.record import PricedCall

pytestmark = pytest.mark.timeout(600)

GRAFANA = CONFIGS / "grafana"
ALERTS = CONFIGS / "prometheus" / "alerts.yaml"
NOW = datetime.now(UTC)
USER = "7f1c5d3e-2f0a-4b7e-9f5e-0c1d2e3f4a5b"


def dashboard(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((GRAFANA / "dashboards" / f"{name}.json").read_text())
    return content


def queries(name: str, field: str) -> dict[str, str]:
    return {
        f"{panel['title']} {target['refId']}": target[field]
        for panel in dashboard(name)["panels"]
        for target in panel.get("targets", ())
    }


USAGE = queries("usage", "rawSql")
VARIABLES = {v["name"]: v for v in dashboard("usage")["templating"]["list"] if v["type"] == "query"}


def as_grafana_sends_it(query: str, *, chosen: dict[str, list[str]] | None = None, hours: float = 48) -> str:
    """Fill in macros and variables the way Grafana's PostgreSQL data source does."""
    begin, end = (NOW - timedelta(hours=hours)).isoformat(), (NOW + timedelta(minutes=1)).isoformat()
    query = query.replace("$__timeFrom()", f"'{begin}'").replace("$__timeTo()", f"'{end}'")
    query = query.replace("$__interval_ms", "300000")
    for name, variable in VARIABLES.items():
        values = (chosen or {}).get(name)
        text = ",".join("'" + v.replace("'", "''") + "'" for v in values) if values else variable["allValue"]
        query = query.replace(f"${{{name}:sqlstring}}", text)
    assert "$" not in query.replace("$$", ""), query
    return query


def calls() -> list[PricedCall]:
    """Return calls of two services over two days: cheap ones, dear ones, failed ones, one without a price."""
    made = []
    for number in range(200):
        service, model = (("xray_analyzer", "gpt-4o-mini"), ("it's cv", "gpt-4o"))[number % 2]
        failed = number % 10 == 0
        call = make_call(
            created_at=NOW - timedelta(minutes=1 + 13 * number),
            service_name=service,
            model=model,
            user=USER if number % 2 else "customer-4711",
            user_email=None,
            usage=TokenUsage(100 + number, 50, cache_read_tokens=10, reasoning_tokens=5),
            duration_ms=100 + number * 10,
            success=not failed,
            error_code="429" if failed else None,
        )
        cost = Cost(Decimal("0.0123") * (1 + number % 2), CostStatus.PRICED if number else CostStatus.ESTIMATED, None)
        made.append(call._replace(cost=cost))
    return made


class Database(NamedTuple):
    """Hold a database with the dashboards' user as the how-to makes it, under a name of its own."""

    url: str
    role: str

    def ask(self, *queries_: str) -> list[list[asyncpg.Record]]:
        """Ask as that user."""

        async def run() -> list[list[asyncpg.Record]]:
            connection = await asyncpg.connect(self.url)
            try:
                await connection.execute(f"SET ROLE {self.role}")
                return [await connection.fetch(query) for query in queries_]
            finally:
                await connection.close()

        return asyncio.run(run())


async def execute(url: str, *statements: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


async def store(url: str) -> None:
    await execute(url, f"INSERT INTO users (id, email) VALUES ('{USER}', 'ana@example.com')")
    pools = await open_pools(url)
    try:
        await UsageWriter(pools.ingest).write(calls())
    finally:
        await pools.close()


@pytest.fixture
def empty(database_url: str) -> Iterator[Database]:
    """Give a database without calls."""
    role = f"grafana_{secrets.token_hex(6)}"
    text = (ROOT / "docs/howto/grafana.md").read_text()
    block = re.search(r"```sql\n(.*?)```", text, re.DOTALL)
    assert block is not None
    asyncio.run(execute(database_url, re.sub(r"\bgrafana\b", role, block[1])))
    yield Database(database_url, role)
    asyncio.run(execute(database_url, f"DROP OWNED BY {role}", f"DROP ROLE {role}"))


@pytest.fixture
def filled(empty: Database) -> Database:
    """Give a database with two days of calls."""
    asyncio.run(store(empty.url))
    return empty


def test_every_panel_has_figures_and_they_are_those_of_the_rows(filled: Database) -> None:
    titles = list(USAGE)
    found = dict(zip(titles, filled.ask(*(as_grafana_sends_it(USAGE[title]) for title in titles)), strict=True))
    assert all(found[title] for title in titles), [title for title in titles if not found[title]]
    made = calls()
    cost = sum((call.cost.amount_usd or Decimal() for call in made), Decimal())
    assert found["Cost A"][0]["cost"] == cost
    assert found["Calls A"][0]["calls"] == 200
    assert found["Tokens A"][0]["tokens"] == sum(call.record.usage.total_tokens or 0 for call in made)
    assert found["Succeeded A"][0]["succeeded"] == Decimal("0.9")
    assert found["Priced A"][0]["priced"] == Decimal("0.995")
    assert 60 <= found["Newest call A"][0]["age_s"] < 600
    assert found["Ingest lag, 95 % A"][0]["lag_s"] > 0
    assert found["Quarantine A"][0]["parked"] == 0
    for title, column in (("Services A", "service"), ("Models A", "model"), ("Users A", "user")):
        assert sum(row["cost"] for row in found[title]) == cost
        assert sum(row["calls"] for row in found[title]) == 200
        assert len({row[column] for row in found[title]}) == 2
    assert {row["user"] for row in found["Users A"]} == {"ana@example.com", "customer-4711"}
    for title in ("Cost by service A", "Cost by model A"):
        assert sum(row["cost"] for row in found[title]) == cost
    kinds = ("input", "input from cache", "output", "reasoning")
    assert sum(row[kind] for row in found["Tokens by kind A"] for kind in kinds) == sum(
        call.record.usage.total_tokens or 0 for call in made
    )
    assert {row["metric"] for row in found["Failed calls by error A"]} == {"429"}
    assert sum(row["failed"] for row in found["Failed calls by error A"]) == 20


def test_the_latency_panel_is_within_six_percent_of_the_rows(filled: Database) -> None:
    hour = "date_trunc('hour', created_at)"
    half = "percentile_disc(0.5) WITHIN GROUP (ORDER BY duration_ms)"
    exact = f"SELECT {hour} AS time, {half} AS half FROM ai_usage_logs GROUP BY 1 ORDER BY 1"
    rows, panel = filled.ask(exact, as_grafana_sends_it(USAGE["Duration of calls A"]))
    assert [row["time"] for row in panel] == [row["time"] for row in rows]
    for shown, row in zip(panel, rows, strict=True):
        assert float(shown["50 %"]) == pytest.approx(row["half"], rel=0.065)


def test_filters_choose_and_odd_names_do_no_harm(filled: Database) -> None:
    query = as_grafana_sends_it(USAGE["Services A"], chosen={"service": ["it's cv"], "model": ["gpt-4o", "other"]})
    (rows,) = filled.ask(query)
    assert [(row["service"], row["calls"]) for row in rows] == [("it's cv", 100)]
    (names,) = filled.ask(VARIABLES["service"]["query"])
    assert [row["service"] for row in names] == ["it's cv", "xray_analyzer"]


def test_an_empty_database_is_no_error(empty: Database) -> None:
    empty.ask(*map(as_grafana_sends_it, USAGE.values()))


def test_who_reads_dashboards_can_change_nothing(filled: Database) -> None:
    for statement in ("DELETE FROM ai_usage_logs", "SELECT * FROM ai_usage_audit", "UPDATE users SET email = ''"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            filled.ask(statement)


@pytest.mark.parametrize("name", ["usage", "server"])
def test_a_dashboard_can_be_provisioned_anywhere(name: str) -> None:
    content = dashboard(name)
    assert "id" not in content, "an id belongs to one Grafana"
    ids = [panel["id"] for panel in content["panels"]]
    assert len(ids) == len(set(ids))
    known = {f"${{{v['name']}}}" for v in content["templating"]["list"] if v["type"] == "datasource"}
    assert {p["datasource"]["uid"] for p in content["panels"] if "datasource" in p} == known
    # No panel covers another.
    taken = [
        (x, y)
        for p in content["panels"]
        for x in range(p["gridPos"]["x"], p["gridPos"]["x"] + p["gridPos"]["w"])
        for y in range(p["gridPos"]["y"], p["gridPos"]["y"] + p["gridPos"]["h"])
    ]
    assert len(taken) == len(set(taken))
    assert all(0 <= x < 24 for x, _ in taken)
    sources = yaml.safe_load((GRAFANA / "provisioning/datasources/ai-usage.yaml").read_text())["datasources"]
    used = {v["query"]: v["current"]["value"] for v in content["templating"]["list"] if v["type"] == "datasource"}
    assert used.items() <= {source["type"]: source["uid"] for source in sources}.items()


def expressions() -> list[str]:
    """Return every PromQL expression: of the dashboard, then of the alerts."""
    of_panels = [
        query.replace("$__rate_interval", "5m").replace("$job", ".+") for query in queries("server", "expr").values()
    ]
    return of_panels + [rule["expr"] for rule in alerts()]


def alerts() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]]


@pytest.fixture
def metrics(database_url: str, tmp_path: Path) -> Iterator[str]:
    """Give the metrics page of a server that has stored, parked and ignored something."""
    receiver = Receiver(database_url, tmp_path)
    receiver.start()
    try:
        app = App(receiver.grpc)
        app.call()
        app.call(**{"gen_ai.response.model": "a model nobody has a price for"})
        app.finish()
        wait_until(lambda: receiver.rows_by_call().total() == 2, "two rows")
        app.close()
        yield receiver.metrics()
    finally:
        receiver.stop()


def test_cost_status_and_lag_are_measured(metrics: str) -> None:
    assert 'ai_usage_calls_total{cost_status="priced"} 1.0\n' in metrics
    assert 'ai_usage_calls_total{cost_status="estimated"} 1.0\n' in metrics
    count = re.search(r"^ai_usage_ingest_lag_seconds_count (\S+)$", metrics, re.MULTILINE)
    assert count is not None and float(count[1]) >= 1


def test_every_alert_says_what_is_wrong_and_what_to_do() -> None:
    for rule in alerts():
        assert rule["labels"]["severity"] in {"warning", "critical"}
        assert {"summary", "description"} <= rule["annotations"].keys()
