"""Receivers that may be harmed, and the table of what each fault cost."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg
import pytest

from tests.end_to_end.faults.receiver import Receiver
from tests.end_to_end.test_operations import metrics_of
from tests.invariants import check_invariants, check_metrics, count_spans
from tests.table import print_recorded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ai_usage_exporter.server import Server
    from tests.end_to_end.faults.sender import SpanId

COLUMNS = ("fault", "acknowledged", "rows", "lost", "twice")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what each fault cost."""
    print_recorded(terminalreporter, "fault", "faults", COLUMNS)


@pytest.fixture
def folder() -> Iterator[Path]:
    """Give a folder that other users may pass through, with a short path: a database may live in it."""
    made = Path(tempfile.mkdtemp(prefix="ai-usage-fault-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


class Receivers:
    """Make receivers and end them with the test."""

    def __init__(self, folder: Path, database_url: str) -> None:
        self._folder = folder
        self._database_url = database_url
        self._made: list[Receiver] = []

    def make(self, *, database_url: str | None = None, embedded: bool = False, **options: object) -> Receiver:
        """Return a receiver that was not started; on the test's own database unless given another."""
        place = self._folder / str(len(self._made))
        place.mkdir()
        url = None if embedded else database_url or self._database_url
        made = Receiver(place, database_url=url, **options)  # type: ignore[arg-type]
        self._made.append(made)
        return made

    def close(self) -> None:
        """End those that still run."""
        for receiver in self._made:
            if hasattr(receiver, "process"):
                receiver.close()


@pytest.fixture
def receivers(folder: Path, database_url: str) -> Iterator[Receivers]:
    """Give a maker of receivers."""
    made = Receivers(folder, database_url)
    yield made
    made.close()


class Account:
    """Hold what was acknowledged against what the database has, and write it into the table."""

    def __init__(self, name: str, record: Callable[[str, object], None]) -> None:
        self._name = name
        self._record = record

    async def settle(
        self,
        database_url: str,
        acknowledged: set[SpanId],
        *,
        receiver: Receiver | Server | None = None,
        exactly: bool = True,
        name: str | None = None,
    ) -> None:
        """Assert the invariants; with ``exactly``, that there is no row of anything that was not acknowledged.

        ``receiver`` is one that took every span in its present life: its metrics have to add up too.
        """
        if receiver is not None:
            check_metrics(await (receiver.metrics() if isinstance(receiver, Receiver) else metrics_of(receiver)))
        connection = await asyncpg.connect(database_url)
        try:
            counts = await count_spans(connection, acknowledged)
            self._record("fault", (name or self._name, *counts))
            await check_invariants(connection)
        finally:
            await connection.close()
        assert counts.lost == counts.twice == 0, counts
        if exactly:
            assert counts.rows == counts.acknowledged, counts


@pytest.fixture
def account(request: pytest.FixtureRequest, record_property: Callable[[str, object], None]) -> Account:
    """Give what closes the accounts of the test, under its name."""
    return Account(request.node.name.removeprefix("test_").replace("_", " "), record_property)
