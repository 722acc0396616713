"""Keys: the one a Collector shows to ai-usage, and those a gateway asks its senders for."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from tests.collector.app import App
from tests.collector.installation import SENDER_KEY, Installation
from tests.collector.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.timeout(600)


@pytest.mark.parametrize("config", ["agent.yaml", "fan-out.yaml", "redaction.yaml"])
def test_the_ingest_key_travels_in_the_header(
    config: str, collector_binary: str, database_url: str, tmp_path: Path
) -> None:
    run = Installation(collector_binary, None, database_url, tmp_path)
    key = {"RECEIVER_ENDPOINT": run.sink.address, "RECEIVER_PLAINTEXT": "true", "RECEIVER_KEY": "aiu_1234"}
    collector = run.add(config, **key)
    try:
        collector.start()
        run.app = App(f"127.0.0.1:{collector.grpc_port}")
        run.app.call()
        run.app.finish()
        wait_until(run.sink.calls, "the call")
        assert run.sink.headers[0]["authorization"] == "Bearer aiu_1234"
        assert "aiu_1234" not in collector.log
    finally:
        run.close()


@pytest.mark.parametrize("installation", ["gateway"], indirect=True)
@pytest.mark.parametrize("protocol", ["grpc", "http"])
def test_a_gateway_takes_nothing_from_strangers(installation: Installation, protocol: str) -> None:
    gateway = installation.collectors[0]
    port = gateway.grpc_port if protocol == "grpc" else gateway.http_port
    for key in ("", f"{SENDER_KEY}x"):
        stranger = App(f"127.0.0.1:{port}", protocol=protocol, key=key, authority=installation.authority)
        stranger.call()
        stranger.finish()
        stranger.close()
    for _ in range(3):
        installation.app.call()
    installation.app.finish()
    wait_until(lambda: installation.receiver.rows_by_call() == Counter(installation.app.calls), "the known calls")
    wait_until(lambda: installation.sink.calls() == set(installation.app.calls), "their traces")
    assert all(len(trace) == 2 for trace in installation.sink.traces())
    assert len(installation.sink.traces()) == 3
