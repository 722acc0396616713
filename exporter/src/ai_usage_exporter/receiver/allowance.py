"""How many spans a sender may send: so many a second, some seconds' worth at once."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from ai_usage_exporter.errors import RateLimitedError

if TYPE_CHECKING:
    from collections.abc import Callable

BURST_S: Final = 10.0
"""Seconds' worth of spans that may come at once: exporters send in batches."""


class Allowance:
    """Count a sender's spans against a rate.

    A request is taken while anything is left, whatever its size: one larger than all there can be would never be.
    What it takes too much is waited for by the next ones.
    """

    def __init__(self, name: str, spans_per_s: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.spans_per_s = spans_per_s
        self._name = name
        self._clock = clock
        self._most = max(1.0, spans_per_s * BURST_S)
        self._left = self._most
        self._counted_at = clock()

    def check(self) -> None:
        """Raise ``RateLimitedError``, to be sent again, when nothing is left."""
        now = self._clock()
        self._left = min(self._most, self._left + (now - self._counted_at) * self.spans_per_s)
        self._counted_at = now
        if self._left <= 0:
            raise RateLimitedError(
                f"key {self._name} may send {self.spans_per_s:g} spans a second and sent more; try again",
                retry_after_s=-self._left / self.spans_per_s,
            )

    def take(self, spans: int) -> None:
        """Count spans. Raises as ``check`` does."""
        self.check()
        self._left -= spans

    def give_back(self, spans: int) -> None:
        """Forget spans that were not stored and will be sent again."""
        self._left = min(self._most, self._left + spans)
