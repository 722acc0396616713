"""Each configuration as it is installed: app, Collectors, receiver, and what else it needs."""

from __future__ import annotations

import signal
import subprocess
from typing import TYPE_CHECKING

import trustme

from tests.collector.app import App
from tests.collector.collector import CONFIGS, Collector
from tests.collector.receiver import Receiver
from tests.collector.sink import TraceSink

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SENDER_KEY = "a-key-of-one-sender"


class Installation:
    """Hold the parts of one scenario; ``collectors[0]`` is the one the app talks to."""

    def __init__(self, binary: str, tools: Path | None, database_url: str, folder: Path) -> None:
        self.receiver = Receiver(database_url, folder)
        self.sink = TraceSink()
        self.collectors: list[Collector] = []
        self._binary = binary
        self._tools = tools
        self._folder = folder
        self._broker: subprocess.Popen[str] | None = None
        self.authority: Path | None = None
        self.app: App

    def add(self, config: str | Path, **environment: str) -> Collector:
        """Add a Collector in front of those there are, with a file of collector-config/ or of the test's own."""
        collector = Collector(self._binary, CONFIGS / config, self._folder, environment)
        self.collectors.insert(0, collector)
        return collector

    def start(self, *, protocol: str = "grpc", key: str = "") -> None:
        """Start everything, the app last."""
        self.receiver.start()
        for collector in reversed(self.collectors):
            collector.start()
        port = self.collectors[0].grpc_port if protocol == "grpc" else self.collectors[0].http_port
        self.app = App(f"127.0.0.1:{port}", protocol=protocol, key=key, authority=self.authority if key else None)

    def close(self) -> None:
        """Stop everything."""
        if hasattr(self, "app"):
            self.app.close()
        for collector in self.collectors:
            collector.stop()
        self.receiver.stop()
        self.sink.stop()
        if self._broker is not None:
            self.resume_kafka()
            self._broker.communicate("", timeout=10)

    def usage_over_grpc(self) -> dict[str, str]:
        """Return the settings of a Collector that sends to the receiver over gRPC."""
        return {"RECEIVER_ENDPOINT": self.receiver.grpc, "RECEIVER_PLAINTEXT": "true"}

    def traces(self) -> dict[str, str]:
        """Return the settings of a Collector that also sends to the tracing backend."""
        return {"TRACES_ENDPOINT": self.sink.address, "TRACES_PLAINTEXT": "true"}

    def add_gateway(self) -> Collector:
        """Add gateway.yaml with a certificate of its own and one known sender."""
        authority = trustme.CA()
        certificate = authority.issue_cert("127.0.0.1")
        self.authority = self._folder / "ca.pem"
        authority.cert_pem.write_to_path(self.authority)
        certificate.cert_chain_pems[0].write_to_path(self._folder / "tls.crt")
        certificate.private_key_pem.write_to_path(self._folder / "tls.key")
        keys = self._folder / "sender-keys"
        keys.write_text(f"{SENDER_KEY}  team-radiology, since 2026-11\n")
        return self.add(
            "gateway.yaml",
            **self.traces(),
            RECEIVER_URL=f"http://{self.receiver.http}",
            SENDER_KEYS_FILE=str(keys),
            TLS_CERT_FILE=str(self._folder / "tls.crt"),
            TLS_KEY_FILE=str(self._folder / "tls.key"),
        )

    def start_agent(self) -> None:
        """Start the app, agent.yaml and the receiver."""
        self.add("agent.yaml", **self.usage_over_grpc())
        self.start()

    def start_gateway(self) -> None:
        """Start the app (HTTP, TLS, a key), gateway.yaml and the receiver."""
        self.add_gateway()
        self.start(protocol="http", key=SENDER_KEY)

    def start_agent_and_gateway(self) -> None:
        """Start the app, agent.yaml, gateway.yaml (TLS, a key) and the receiver, as in Kubernetes."""
        gateway = self.add_gateway()
        self.add(
            "agent.yaml",
            RECEIVER_ENDPOINT=f"127.0.0.1:{gateway.grpc_port}",
            RECEIVER_CA_FILE=str(self.authority),
            RECEIVER_KEY=SENDER_KEY,
        )
        self.start()

    def start_fan_out(self) -> None:
        """Start the app, fan-out.yaml, the receiver and a tracing backend."""
        self.add("fan-out.yaml", **self.usage_over_grpc(), **self.traces(), DECISION_WAIT="1s")
        self.start()

    def start_redaction(self) -> None:
        """Start the app (HTTP), redaction.yaml and the receiver."""
        self.add("redaction.yaml", **self.usage_over_grpc())
        self.start(protocol="http")

    def pause_kafka(self) -> None:
        """Have the brokers answer nobody, without losing what they hold."""
        assert self._broker is not None
        self._broker.send_signal(signal.SIGSTOP)

    def resume_kafka(self) -> None:
        """Have the brokers answer again."""
        assert self._broker is not None
        self._broker.send_signal(signal.SIGCONT)

    def start_kafka(self) -> None:
        """Start the app, kafka.yaml, three brokers and the receiver."""
        assert self._tools is not None
        command = [str(self._tools / "kafka-broker"), "ai-usage-spans", "3"]
        self._broker = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._broker.stdout is not None
        brokers = self._broker.stdout.readline().strip()
        assert brokers, "the Kafka brokers did not start"
        self.add("kafka.yaml", KAFKA_BROKERS=brokers, RECEIVER_URL=f"http://{self.receiver.http}")
        self.start()


STARTS: dict[str, Callable[[Installation], None]] = {
    "agent": Installation.start_agent,
    "gateway": Installation.start_gateway,
    "agent-and-gateway": Installation.start_agent_and_gateway,
    "fan-out": Installation.start_fan_out,
    "redaction": Installation.start_redaction,
    "kafka": Installation.start_kafka,
}


def run_installation(
    name: str, binary: str, tools: Path | None, database_url: str, folder: Path
) -> Iterator[Installation]:
    """Start an installation, give it, stop it."""
    installation = Installation(binary, tools, database_url, folder)
    try:
        STARTS[name](installation)
        yield installation
    finally:
        installation.close()
