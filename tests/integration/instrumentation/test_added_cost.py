"""What a call costs with us, in functions run: unlike time the same everywhere. See benchmarks/instrumentation."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from benchmarks.instrumentation.worker import CHUNKS, MANY_CHUNKS

pytestmark = pytest.mark.timeout(600)  # processes that import every SDK and count all they do
WORKER = Path(__file__).parents[3] / "benchmarks" / "instrumentation" / "worker.py"
MOST_TO_FLOOR = 1.3
MOST_A_CHUNK = 2.5


def run(variant: str, what: str, said: str = "") -> list[Any]:
    done = subprocess.run(
        [sys.executable, WORKER, variant, what], input=said, capture_output=True, text=True, check=True, timeout=500
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture(scope="module")
def added() -> dict[str, dict[str, int]]:
    """Return variant → kind of call → functions run on top of a call without instrumentation."""
    (none,), (floor,), (ours,) = (run(variant, "functions") for variant in ("none", "floor", "ours"))
    return {
        name: {kind: found[kind] - none[kind] for kind in none} for name, found in (("floor", floor), ("ours", ours))
    }


@pytest.mark.parametrize("kind", ["sync", "async", "embeddings", "google"])
def test_a_call_runs_little_more_than_a_span_written_by_hand(added: dict[str, dict[str, int]], kind: str) -> None:
    assert added["floor"][kind] > 100
    assert added["ours"][kind] <= MOST_TO_FLOOR * added["floor"][kind]


def test_a_chunk_of_a_stream_runs_next_to_nothing(added: dict[str, dict[str, int]]) -> None:
    ours = added["ours"]
    assert 0 < ours["long_stream"] - ours["stream"] <= MOST_A_CHUNK * (MANY_CHUNKS - CHUNKS)


def test_an_unsampled_call_too_runs_little_more_than_a_span_written_by_hand(added: dict[str, dict[str, int]]) -> None:
    assert added["ours"]["unsampled"] <= MOST_TO_FLOOR * added["floor"]["sync"]


@pytest.mark.parametrize(("variant", "spans"), [("none", 0.0), ("floor", 1.0), ("ours", 1.0)])
def test_the_worker_of_the_benchmark_makes_one_span_a_call(variant: str, spans: float) -> None:
    answers = run(variant, "times", "sync 3\nstream 1\nunsampled 2\n")
    assert [answer["spans"] for answer in answers] == [spans, spans, spans if variant == "ours" else 0.0]
