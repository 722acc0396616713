"""Tables that tests leave behind in the summary of a run, also when several processes ran them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pytest


def print_recorded(
    reporter: pytest.TerminalReporter, name: str, title: str, columns: Sequence[str], *, words: int = 1
) -> None:
    """Print the rows that tests recorded as property ``name``, sorted; the first ``words`` columns are text."""
    rows = [
        value
        for outcome in ("passed", "failed")
        for report in reporter.stats.get(outcome, [])
        for key, value in report.user_properties
        if key == name
    ]
    if not rows:
        return
    reporter.section(title)
    table = [list(map(str, row)) for row in (columns, *sorted(rows))]
    widths = [max(len(row[column]) for row in table) for column in range(len(columns))]
    for row in table:
        cells = [
            cell.ljust(width) if number < words else cell.rjust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        reporter.write_line("  ".join(cells).rstrip())
