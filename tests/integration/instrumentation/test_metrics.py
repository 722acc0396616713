"""Metrics: token usage and duration under the conventions' names, with their buckets and dimensions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import openai
import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

import ai_usage
from tests.integration.instrumentation.conftest import Spans
from tests.integration.instrumentation.promises.apps import sync_app

if TYPE_CHECKING:
    from collections.abc import Iterator


class Metrics:
    def __init__(self) -> None:
        self._reader = InMemoryMetricReader()
        self.provider = MeterProvider([self._reader], shutdown_on_exit=False)

    def read(self) -> dict[str, Any]:
        """Return the metrics by name."""
        data = self._reader.get_metrics_data()
        return {
            metric.name: metric
            for resource in (data.resource_metrics if data else ())
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }


@pytest.fixture
def metrics() -> Iterator[Metrics]:
    measured = Metrics()
    ai_usage.instrument(
        sdks=("openai", "anthropic", "google_genai"), tracer_provider=Spans().provider, meter_provider=measured.provider
    )
    yield measured
    ai_usage.uninstrument()
    measured.provider.shutdown()


@pytest.mark.parametrize(
    ("name", "operation", "provider", "tokens"),
    [
        ("openai", "chat", "openai", {"input": 100, "output": 50}),
        ("openai streamed", "chat", "openai", {"input": 100, "output": 50}),
        ("anthropic", "chat", "anthropic", {"input": 1210, "output": 30}),
        ("google_genai", "generate_content", "gcp.gemini", {"input": 107, "output": 50}),
    ],
)
def test_a_call_is_measured_once_in_tokens_and_seconds(
    name: str, operation: str, provider: str, tokens: dict[str, int], metrics: Metrics
) -> None:
    sync_app(name)()
    found = metrics.read()
    assert found.keys() == {"gen_ai.client.token.usage", "gen_ai.client.operation.duration"}
    usage, duration = found["gen_ai.client.token.usage"], found["gen_ai.client.operation.duration"]
    assert (usage.unit, duration.unit) == ("{token}", "s")
    points = {point.attributes["gen_ai.token.type"]: point for point in usage.data.data_points}
    assert {kind: point.sum for kind, point in points.items()} == tokens
    (point,) = duration.data.data_points
    assert point.count == 1
    assert 0 < point.sum < 60
    for dimensions in (point.attributes, points["input"].attributes):
        assert dimensions["gen_ai.operation.name"] == operation
        assert dimensions["gen_ai.provider.name"] == provider
        assert {"gen_ai.request.model", "gen_ai.response.model", "server.address", "server.port"} <= dimensions.keys()
        assert "user.id" not in dimensions
    assert points["input"].explicit_bounds == tuple(4**power for power in range(14))
    assert point.explicit_bounds == pytest.approx([0.01 * 2**power for power in range(14)])


def test_a_failed_call_is_measured_with_its_error(metrics: Metrics) -> None:
    with pytest.raises(openai.RateLimitError):
        sync_app("openai failing")()
    (point,) = metrics.read()["gen_ai.client.operation.duration"].data.data_points
    assert point.attributes["error.type"] == "openai.RateLimitError"
    assert "gen_ai.client.token.usage" not in metrics.read()
