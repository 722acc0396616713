"""What a request may be, and how much is worked on at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from ai_usage_exporter.errors import RetryableError, TooLargeError

if TYPE_CHECKING:
    from types import TracebackType

_MIB: Final = 1024 * 1024
RATIO_COUNTS_FROM_BYTES: Final = _MIB
"""Small bodies may inflate by any factor: a megabyte does no harm."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bound requests; every field is the setting ``AI_USAGE_`` + its name in capitals."""

    max_request_bytes: int = 64 * _MIB
    """Before and after decompression."""
    max_gzip_ratio: int = 200
    max_spans: int = 131_072
    """In one request."""
    max_attributes: int = 1_024
    """Of one span; a span with more is kept in quarantine."""
    max_value_bytes: int = _MIB
    """Of one attribute; a longer text is cut, and the span is counted all the same."""
    max_concurrent_requests: int = 1_024
    memory_budget: int = 256 * _MIB
    """Bytes of requests being worked on, after decompression."""

    def refuse(self, name: str, what: str) -> TooLargeError:
        """Return the error that names what was over which limit, its value and its setting."""
        return TooLargeError(
            f"{what}: the limit is {getattr(self, name)} (AI_USAGE_{name.upper()}); send smaller batches"
        )


class Admission:
    """Count the requests being worked on and their bytes; refuse, to be sent again, what would be too much."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.requests = 0
        self.held_bytes = 0

    def enter(self) -> Ticket:
        """Admit one request. Raises ``RetryableError`` when as many as may be are being worked on."""
        limit = self._limits.max_concurrent_requests
        if self.requests >= limit:
            raise RetryableError(
                f"{self.requests} requests are being worked on: the limit is {limit} "
                "(AI_USAGE_MAX_CONCURRENT_REQUESTS); try again"
            )
        return Ticket(self)

    def has_room(self, size_bytes: int, own_bytes: int) -> bool:
        """Tell whether a request that holds ``own_bytes`` may hold ``size_bytes`` more."""
        # One that is larger than all room is let in when it is alone: refused once, it would be for ever.
        return self.held_bytes + size_bytes <= self._limits.memory_budget or self.held_bytes == own_bytes

    @property
    def memory_budget(self) -> int:
        """Return the bytes that may be held."""
        return self._limits.memory_budget


class Ticket:
    """Hold the place of one request until it is answered; use as a context manager."""

    __slots__ = ("_admission", "_held_bytes")

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self._held_bytes = 0
        admission.requests += 1

    def hold(self, size_bytes: int) -> None:
        """Take room for ``size_bytes`` more. Raises ``RetryableError`` when there is none."""
        admission = self._admission
        if not admission.has_room(size_bytes, self._held_bytes):
            raise RetryableError(
                f"requests of {admission.held_bytes} bytes are being worked on: the limit is "
                f"{admission.memory_budget} (AI_USAGE_MEMORY_BUDGET); try again"
            )
        admission.held_bytes += size_bytes
        self._held_bytes += size_bytes

    def __enter__(self) -> Self:
        """Start."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Give the room back."""
        self._admission.requests -= 1
        self._admission.held_bytes -= self._held_bytes
