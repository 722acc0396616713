"""Our receiver passes every line of the checklist."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.conformance.checklist import lines
from tests.conformance.ours import OurHooks, serving
from tests.conformance.target import Target
from tests.conformance.verdict import Outcome, run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_LIMIT_BYTES = 4 * 1024 * 1024


@pytest.fixture
def target(database_url: str, tmp_path: Path) -> Iterator[Target]:
    """Run the server."""
    with serving(database_url, tmp_path, AI_USAGE_MAX_REQUEST_BYTES=str(_LIMIT_BYTES)) as (process, places):
        with OurHooks(database_url, process, places["api"]) as hooks:
            yield Target(
                places["otlp_grpc"],
                places["otlp_http"],
                limit_bytes=_LIMIT_BYTES,
                keep_alive_requests=1_000,
                hooks=hooks,
            )
            hooks.close()


def test_every_line_of_the_checklist(target: Target) -> None:
    verdicts = [run(line, target) for line in lines()]
    assert [verdict.line for verdict in verdicts] == [f"A{number}" for number in range(1, 41)]
    assert [verdict for verdict in verdicts if verdict.outcome is not Outcome.PASSED] == []
