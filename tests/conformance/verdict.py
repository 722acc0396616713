"""How a line of the checklist ends: passed, failed with a reason, or not run because a state cannot be arranged."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conformance.target import Target


class Failed(Exception):  # noqa: N818 - a verdict
    """Say how a receiver differs from the requirement."""


class NotRun(Exception):  # noqa: N818 - a verdict
    """Say which hook a line needs."""


class Outcome(Enum):
    """Name the three ends."""

    PASSED = "✓"
    FAILED = "✗"
    NOT_RUN = "–"


class Verdict(NamedTuple):
    """Hold the end of one line."""

    line: str
    title: str
    outcome: Outcome
    reason: str


class Line(NamedTuple):
    """Hold one requirement; its check returns a remark or nothing, and raises ``Failed`` or ``NotRun``."""

    name: str
    title: str
    check: Callable[[Target], str | None]


LINES: Final[dict[str, Line]] = {}


def line(name: str, title: str) -> Callable[[Callable[[Target], str | None]], Callable[[Target], str | None]]:
    """Register a check under its number."""

    def register(check: Callable[[Target], str | None]) -> Callable[[Target], str | None]:
        if name in LINES:
            raise ValueError(f"{name} is there already")
        LINES[name] = Line(name, title, check)
        return check

    return register


def expect(condition: object, reason: str) -> None:
    """Fail the line when ``condition`` does not hold."""
    if not condition:
        raise Failed(reason)


def run(line: Line, target: Target) -> Verdict:
    """Run one line."""
    try:
        remark = line.check(target)
    except Failed as failed:
        return Verdict(line.name, line.title, Outcome.FAILED, str(failed))
    except NotRun as needs:
        return Verdict(line.name, line.title, Outcome.NOT_RUN, f"needs the hook {needs}")
    except Exception as error:
        return Verdict(line.name, line.title, Outcome.FAILED, f"{type(error).__name__}: {error}"[:300])
    return Verdict(line.name, line.title, Outcome.PASSED, remark or "")
