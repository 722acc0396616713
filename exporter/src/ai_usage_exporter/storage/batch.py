"""What is written together: the submissions of several requests, and what became of each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from ai_usage_exporter.storage.quarantine import ParkedSpan, from_record

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ai_usage_exporter.record import PricedCall

RawOf = Callable[[int], bytes]
"""Gives the span a call came from, by the call's position in its submission, as OTLP bytes."""


class WriteOutcome(NamedTuple):
    """Count what became of the calls and spans of one submission; known only once committed."""

    stored: int = 0
    duplicates: int = 0
    """Rows or shadows that were there already: nothing was changed."""
    shadows: int = 0
    """Restate a call that has a row."""
    quarantined: int = 0

    @property
    def total(self) -> int:
        """Return how many there were; equals what was submitted."""
        return self.stored + self.duplicates + self.shadows + self.quarantined


@dataclass(frozen=True, slots=True)
class Submission:
    """Hold what one request wants written: its calls, and what it could not make calls of."""

    calls: Sequence[PricedCall]
    parked: Sequence[ParkedSpan] = ()
    raw_of: RawOf | None = None


@dataclass(slots=True)
class Batch:
    """Hold several submissions as one list of calls, and what became of each call in one try to write them."""

    submissions: Sequence[Submission]
    calls: list[PricedCall] = field(init=False)
    parked: list[ParkedSpan] = field(init=False)
    duplicates: set[int] = field(init=False)
    shadows: set[int] = field(init=False)
    quarantined: set[int] = field(init=False)

    def __post_init__(self) -> None:
        """Join the calls; everything counts as stored until told otherwise."""
        self.calls = [call for submission in self.submissions for call in submission.calls]
        self.start_again()

    def start_again(self) -> None:
        """Forget what a failed try found out."""
        self.parked = [item for submission in self.submissions for item in submission.parked]
        self.duplicates, self.shadows, self.quarantined = set(), set(), set()

    def park(self, index: int, reason: str, detail: str) -> None:
        """Send one call to the quarantine, with the span it came from."""
        self.quarantined.add(index)
        record = self.calls[index].record
        offset = 0
        for submission in self.submissions:
            if index < offset + len(submission.calls):
                if submission.raw_of is None:
                    self.parked.append(from_record(record, reason, detail))
                else:
                    raw = submission.raw_of(index - offset)
                    self.parked.append(ParkedSpan(reason, detail, raw, service_name=record.service_name))
                return
            offset += len(submission.calls)

    def outcomes(self) -> list[WriteOutcome]:
        """Return what became of each submission, in order."""
        if not (self.duplicates or self.shadows or self.quarantined):
            return [WriteOutcome(len(item.calls), quarantined=len(item.parked)) for item in self.submissions]
        found: list[WriteOutcome] = []
        start = 0
        for item in self.submissions:
            end = start + len(item.calls)
            duplicates, shadows, quarantined = (
                sum(1 for index in indices if start <= index < end)
                for indices in (self.duplicates, self.shadows, self.quarantined)
            )
            stored = len(item.calls) - duplicates - shadows - quarantined
            found.append(WriteOutcome(stored, duplicates, shadows, quarantined + len(item.parked)))
            start = end
        return found
