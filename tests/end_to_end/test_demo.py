"""The demo's numbers are the stand-in provider's numbers, both sides added up here on their own."""

from __future__ import annotations

import json
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

# US dollars per million: input, output, cache read, cache write. Written down from the providers' price lists.
PRICES = {
    "gpt-4o": ("2.50", "10.00", "1.25", "0"),
    "gpt-4o-mini": ("0.15", "0.60", "0.075", "0"),
    "text-embedding-3-small": ("0.02", "0", "0", "0"),
    "claude-3-5-sonnet-20241022": ("3.00", "15.00", "0.30", "3.75"),
    "claude-3-haiku-20240307": ("0.25", "1.25", "0.03", "0.30"),
    "gemini-2.0-flash": ("0.10", "0.40", "0.025", "0"),
}
PROVIDERS = {"openai": "openai", "anthropic": "anthropic", "gemini": "gcp.gemini"}


@pytest.fixture(scope="module")
def demo() -> dict[str, Any]:
    """Run the demo once, as a user would."""
    command = [Path(sys.executable).with_name("ai-usage"), "demo", "--once", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=110)
    assert done.returncode == 0, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def bill(call: dict[str, Any]) -> Decimal:
    """Return what the provider would charge for a call."""
    input_usd, output_usd, read_usd, write_usd = (Decimal(price) for price in PRICES[call["model"]])
    plain = call["input_tokens"] - call["cached_tokens"] - call["cache_written_tokens"]
    return (
        plain * input_usd
        + call["output_tokens"] * output_usd
        + call["cached_tokens"] * read_usd
        + call["cache_written_tokens"] * write_usd
    ) / 1_000_000


def test_every_call_handed_out_is_one_row_with_its_tokens_and_its_exact_cost(demo: dict[str, Any]) -> None:
    handed_out = sorted(
        (PROVIDERS[c["provider"]], c["model"], c["input_tokens"], c["output_tokens"], bill(c), not c["failed"])
        for c in demo["handed_out"]
    )
    rows = sorted(
        (r["provider"], r["model"], r["input_tokens"], r["output_tokens"], Decimal(r["cost_usd"]), r["success"])
        for r in demo["rows"]
    )
    assert rows == handed_out
    assert len(rows) == 22


def test_the_summary_adds_up_to_what_was_handed_out(demo: dict[str, Any]) -> None:
    calls, summary = demo["handed_out"], demo["summary"]
    assert summary["total_requests"] == len(calls)
    assert summary["total_tokens"] == sum(c["input_tokens"] + c["output_tokens"] for c in calls)
    assert summary["total_cost"] == float(round(sum(map(bill, calls)), 4))
    assert summary["success_rate"] == round(100 * sum(not c["failed"] for c in calls) / len(calls), 1)
    for provider, name in PROVIDERS.items():
        own = [c for c in calls if c["provider"] == provider]
        assert summary["by_provider"][name] == {
            "tokens": sum(c["input_tokens"] + c["output_tokens"] for c in own),
            "cost": float(round(sum(map(bill, own)), 4)),
            "requests": len(own),
        }


def test_services_users_streams_and_one_failure_are_part_of_it(demo: dict[str, Any]) -> None:
    rows = demo["rows"]
    assert {(r["service_name"], r["service_action"]) for r in rows} == {
        ("xray_analyzer", "analyze"),
        ("cv_optimizer", "optimize"),
        ("questions_predictor", "generate"),
    }
    assert len({r["user_name"] for r in rows}) >= 3
    assert sum(c["is_stream"] for c in demo["handed_out"]) == 9
    failed = [r for r in rows if not r["success"]]
    assert [(r["error_code"], r["cost_status"], r["total_tokens"]) for r in failed] == [
        ("RateLimitError", "unmetered", 0)
    ]
    assert {r["cost_status"] for r in rows if r["success"]} == {"priced"}
