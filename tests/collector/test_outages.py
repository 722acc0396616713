"""Whatever stops on the way from the app to the rows: every call is one row, none is lost, none is there twice."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from tests.collector.app import App
from tests.collector.collector import CONFIGS
from tests.collector.conftest import HAS_GO
from tests.collector.installation import STARTS, Installation
from tests.collector.outage import count_outage
from tests.collector.waiting import free_port, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.collector.collector import Collector

_BEFORE, _MEANWHILE, _AFTER = 150, 300, 150
"""Calls made before, during and after an outage; some hundred a second."""
SAID_BYTES_PER_SPAN = 1_200


def nothing_happens(run: Installation) -> None:
    run.app.wait_for_more_calls(_BEFORE + _MEANWHILE)


def receiver_is_killed_and_started_again(run: Installation) -> None:
    run.app.wait_for_more_calls(_BEFORE)
    run.receiver.kill()
    run.app.wait_for_more_calls(_MEANWHILE)
    run.receiver.start()
    run.app.wait_for_more_calls(_AFTER)


def collectors_are_killed_and_started_again(run: Installation) -> None:
    for collector in run.collectors:
        run.app.wait_for_more_calls(_BEFORE)
        # With the receiver away the queue has something to lose.
        run.receiver.kill()
        run.app.wait_for_more_calls(_BEFORE)
        collector.kill()
        run.app.wait_for_more_calls(_BEFORE)
        collector.start()
        run.receiver.start()
    run.app.wait_for_more_calls(_AFTER)


def receiver_answers_503(run: Installation) -> None:
    """Close the database under the receiver: it then asks every sender to try again."""
    run.app.wait_for_more_calls(_BEFORE)
    set_database_open(run.receiver.database_url, is_open=False)
    wait_until(lambda: run.receiver.refused_requests() >= 2, "a refusal")
    set_database_open(run.receiver.database_url, is_open=True)
    run.app.wait_for_more_calls(_AFTER)


def set_database_open(url: str, *, is_open: bool) -> None:
    """Let nobody connect to the database any more and end every connection; or let them in again."""
    name = urlsplit(url).path.removeprefix("/")

    async def change() -> None:
        connection = await asyncpg.connect(urlunsplit(urlsplit(url)._replace(path="/postgres")))
        try:
            await connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS {is_open}")
            await connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", name)
        finally:
            await connection.close()

    asyncio.run(change())


SCENARIOS: dict[str, Callable[[Installation], None]] = {
    "no outage": nothing_happens,
    "receiver killed": receiver_is_killed_and_started_again,
    "collectors killed": collectors_are_killed_and_started_again,
    "receiver answers 503": receiver_answers_503,
}
CONFIGURATIONS = [name for name in STARTS if name != "kafka" or HAS_GO]


@pytest.mark.timeout(600)  # the first one to run may have to build the Collector
@pytest.mark.parametrize("installation", CONFIGURATIONS, indirect=True)
def test_every_call_is_one_row(
    installation: Installation, record_property: Callable[[str, object], None], request: pytest.FixtureRequest
) -> None:
    """Let one outage after the other happen to one installation, and count after each."""
    app, receiver = installation.app, installation.receiver
    configuration = request.node.callspec.params["installation"]
    for scenario, happens in SCENARIOS.items():
        before = len(app.calls)
        app.start_load()
        happens(installation)
        app.finish()
        made = Counter(app.calls[before:])
        try:
            wait_until(
                lambda: receiver.rows_by_call().total() >= len(app.calls), f"all rows ({scenario})", deadline_s=60
            )
        finally:
            rows = receiver.rows_by_call()
            rows = Counter({call: rows[call] for call in made})
            record_property("outage", count_outage(configuration, scenario, made, rows))
        assert rows == made, scenario
    assert receiver.rows_by_call() == Counter(app.calls)


@pytest.mark.timeout(600)
def test_without_the_queue_on_disk_the_same_outage_costs_calls(
    collector_binary: str, database_url: str, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """Take from agent.yaml what keeps the calls: the tests above would notice."""
    config = tmp_path / "agent.yaml"
    complete = (CONFIGS / "agent.yaml").read_text()
    config.write_text(complete.replace("      storage: file_storage\n", ""))
    assert config.read_text() != complete
    run = Installation(collector_binary, None, database_url, tmp_path)
    run.add(config, **run.usage_over_grpc())
    try:
        run.start()
        run.app.start_load()
        collectors_are_killed_and_started_again(run)
        run.app.finish()
        last = run.app.call()
        run.app.finish()
        wait_until(lambda: run.receiver.rows_by_call()[last], "the row of the last call")
        made, rows = Counter(run.app.calls), run.receiver.rows_by_call()
        record_property("outage", count_outage("(agent, queue in memory)", "collectors killed", made, rows))
        assert made - rows
        assert not rows - made
    finally:
        run.close()


@pytest.mark.timeout(600)
def test_a_full_queue_makes_the_sender_wait(
    collector_binary: str, database_url: str, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """Fill a queue of a few hundred spans while the receiver is away: the SDK holds the rest and tries again."""
    run = Installation(collector_binary, None, database_url, tmp_path)
    agent = run.add("agent.yaml", **run.usage_over_grpc(), QUEUE_BYTES="300000")
    try:
        run.start()
        run.receiver.kill()
        run.app.start_load()
        wait_until(lambda: metric(agent, "otelcol_receiver_refused_spans") > 0, "a refusal")
        run.app.pause()
        run.receiver.start()
        run.app.finish()
        made = Counter(run.app.calls)
        wait_until(lambda: run.receiver.rows_by_call() == made, "a row of every call")
        record_property("outage", count_outage("agent", "queue full", made, run.receiver.rows_by_call()))
    finally:
        run.close()


@pytest.mark.timeout(600)
@pytest.mark.parametrize("installation", ["agent"], indirect=True)
def test_an_ordinary_restart_keeps_the_queue(
    installation: Installation, record_property: Callable[[str, object], None]
) -> None:
    """Stop the Collector with SIGTERM while it waits for the receiver; its log speaks of dropped data, wrongly."""
    app, receiver, (agent,) = installation.app, installation.receiver, installation.collectors
    receiver.kill()
    for _ in range(500):
        app.call()
    app.finish()
    agent.stop()
    agent.start()
    receiver.start()
    made = Counter(app.calls)
    wait_until(lambda: receiver.rows_by_call() == made, "a row of every call")
    record_property("outage", count_outage("agent", "collector restarted", made, receiver.rows_by_call()))


@pytest.mark.timeout(600)
@pytest.mark.parametrize("installation", [name for name in CONFIGURATIONS if name == "kafka"], indirect=True)
def test_brokers_that_are_away_cost_no_call(
    installation: Installation, record_property: Callable[[str, object], None]
) -> None:
    """Stop the brokers under load: the Collector's queue on disk takes the calls until they answer again."""
    app, receiver, (collector,) = installation.app, installation.receiver, installation.collectors
    app.start_load()
    app.wait_for_more_calls(_BEFORE)
    installation.pause_kafka()
    app.wait_for_more_calls(_MEANWHILE)
    wait_until(lambda: metric(collector, "otelcol_exporter_queue_size") > 0, "a queue")
    installation.resume_kafka()
    app.wait_for_more_calls(_AFTER)
    app.finish()
    made = Counter(app.calls)
    wait_until(lambda: receiver.rows_by_call() == made, "a row of every call", deadline_s=60)
    record_property("outage", count_outage("kafka", "brokers away", made, receiver.rows_by_call()))


@pytest.mark.timeout(600)
def test_a_call_takes_no_more_room_than_the_files_say(collector_binary: str, database_url: str, tmp_path: Path) -> None:
    """Hold the arithmetic in the comments to what the queue itself measures."""
    run = Installation(collector_binary, None, database_url, tmp_path)
    agent = run.add("agent.yaml", RECEIVER_ENDPOINT=f"127.0.0.1:{free_port()}", RECEIVER_PLAINTEXT="true")
    try:
        agent.start()
        run.app = App(f"127.0.0.1:{agent.grpc_port}")
        for _ in range(1000):
            run.app.call()
        run.app.finish()
        wait_until(lambda: metric(agent, "otelcol_receiver_accepted_spans") >= 2000, "all spans")
        bytes_per_span = metric(agent, "otelcol_exporter_queue_size") / 2000
        assert 200 < bytes_per_span < SAID_BYTES_PER_SPAN
        assert agent.queue_bytes_on_disk() < 2 * SAID_BYTES_PER_SPAN * 2000
    finally:
        run.close()


def metric(collector: Collector, name: str) -> float:
    """Return a metric of a Collector, summed over its labels."""
    return sum(map(float, re.findall(rf"^{name}(?:{{.*}})? (\S+)$", collector.metrics(), re.MULTILINE)))
