"""One line of the table that says what an outage cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections import Counter

COLUMNS = ("configuration", "scenario", "calls", "rows", "lost", "duplicated")


def count_outage(
    configuration: str, scenario: str, made: Counter[str], rows: Counter[str]
) -> tuple[str, str, int, int, int, int]:
    """Compare the calls made with the rows there are of them, call by call; return a line under ``COLUMNS``.

    A plain tuple, because test processes hand it to each other.
    """
    return (configuration, scenario, made.total(), rows.total(), (made - rows).total(), (rows - made).total())
