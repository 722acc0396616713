"""Programs with several tracing libraries at once cost what the provider handed out, to the last digit."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ai_usage.pricing import cost_of
from ai_usage.tokens import TokenUsage
from ai_usage_exporter.config import Address, Settings
from ai_usage_exporter.server import Server
from ai_usage_exporter.storage.row import to_cost_usd
from tests.integration.programs import environment
from tests.integration.programs.provider import provider_with_tools
from tests.invariants import check_invariants

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from ai_usage_exporter.demo.provider import HandedOut, StandInProvider

HERE = Path(__file__).parent
SOURCE = HERE.parents[2] / "instrumentation" / "src"
PROGRAMS = {
    "openai_three_times": {"second_instrumentor"},
    "langchain_over_openai": {"second_instrumentor", "wrapper"},
    "litellm_over_openai": {"wrapper"},
    "litellm_traced_by_itself": {"gateway"},
    "anthropic_compaction": {"second_instrumentor"},
    "anthropic_native": {"second_instrumentor"},
    "pydantic_ai_agent": {"second_instrumentor", "wrapper", "agent_total"},
}
"""Program → the reasons its shadows have."""


@pytest.fixture(scope="module")
def interpreter() -> Path:
    """Give the interpreter of the programs' own environment."""
    return environment.build()


@pytest.fixture
async def server(database_url: str) -> AsyncIterator[Server]:
    """Run a server on an empty, migrated database."""
    free = Address("127.0.0.1", 0)
    settings = Settings(database_url=database_url, otlp_grpc_listen=free, otlp_http_listen=free, api_listen=free)
    async with Server(settings) as running:
        yield running


@pytest.mark.parametrize("program", sorted(PROGRAMS))
async def test_total_cost_is_what_the_provider_handed_out(
    program: str, interpreter: Path, server: Server, connection: Any
) -> None:
    with provider_with_tools() as provider:
        await asyncio.to_thread(_run, interpreter, program, provider, str(server.addresses["otlp_http"]))
        ledger = list(provider.ledger)
    rows = await connection.fetch("SELECT provider, model, input_tokens, output_tokens, cost_usd FROM ai_usage_logs")
    assert Counter(map(_of_row, rows)) == Counter(map(_of_ledger, ledger))
    assert sum(row["cost_usd"] for row in rows) == sum((_cost(call) for call in ledger), Decimal(0))
    reasons = await connection.fetch("SELECT DISTINCT reason FROM ai_usage_shadow_spans")
    assert {row["reason"] for row in reasons} == PROGRAMS[program]
    await check_invariants(connection)


def _run(interpreter: Path, program: str, provider: StandInProvider, otlp_http: str) -> None:
    kept = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "LANG", "TMPDIR"}}
    environ = kept | {
        "PYTHONPATH": str(SOURCE),  # the environment is shared by all clones: this one's package is tested
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{otlp_http}",
        "OTEL_SERVICE_NAME": program,
        "OTEL_SEMCONV_STABILITY_OPT_IN": "gen_ai_latest_experimental",
        "OPENAI_BASE_URL": provider.base_url("openai"),
        "OPENAI_API_KEY": "sk-stand-in",
        "ANTHROPIC_BASE_URL": provider.base_url("anthropic"),
        "ANTHROPIC_API_KEY": "sk-ant-stand-in",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "OTEL_EXPORTER": "otlp_http",
        "OTEL_ENDPOINT": f"http://{otlp_http}/v1/traces",
        "NO_PROXY": "127.0.0.1",
    }
    finished = subprocess.run(
        [str(interpreter), str(HERE / f"{program}.py")], env=environ, capture_output=True, text=True, timeout=90
    )
    assert finished.returncode == 0, finished.stderr


def _of_ledger(call: HandedOut) -> tuple[str, str, int, int]:
    return call.provider, call.model, call.tokens.input, call.tokens.output


def _of_row(row: Any) -> tuple[str, str, int, int]:
    # OpenInference's LiteLLM spans name the model as LiteLLM is asked for it: vendor/model.
    return row["provider"], row["model"].rpartition("/")[2], row["input_tokens"], row["output_tokens"]


def _cost(call: HandedOut) -> Decimal:
    size, output, cached, written, reasoning = call.tokens
    usage = TokenUsage(size, output, cached, written, reasoning_tokens=reasoning)
    amount = cost_of(call.provider, call.model, usage).amount_usd
    return to_cost_usd(amount if amount is not None else Decimal(0))
