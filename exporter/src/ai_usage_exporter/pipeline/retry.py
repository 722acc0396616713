"""How long to wait before the same transaction is tried again."""

from __future__ import annotations

import random
from typing import Final

TRIES: Final = 6
"""How often one batch is written before its senders are asked to try again."""


def backoff_s(attempt: int, *, base_s: float = 0.01, longest_s: float = 0.5) -> float:
    """Return seconds to wait before try number ``attempt`` + 1: doubling, and random so that rivals part ways."""
    return random.uniform(0.5, 1.0) * min(longest_s, base_s * float(2**attempt))  # noqa: S311 - jitter, not a secret
