"""All lines in order, run against one receiver."""

from __future__ import annotations

from typing import TYPE_CHECKING

import tests.conformance.lines  # noqa: F401 - registers them
from tests.conformance.verdict import LINES, run

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from tests.conformance.target import Target
    from tests.conformance.verdict import Line, Verdict


def lines() -> list[Line]:
    """Return A1 to A40 in order."""
    return sorted(LINES.values(), key=lambda line: int(line.name[1:]))


def run_all(target: Target, only: Collection[str] = ()) -> Iterator[Verdict]:
    """Run every line, or those named in ``only``."""
    for line in lines():
        if not only or line.name in only:
            yield run(line, target)
