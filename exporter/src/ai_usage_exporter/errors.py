"""The two error families of the receiver; ``receiver.status`` maps them to wire codes."""

from __future__ import annotations


class PermanentError(Exception):
    """Refuse something that will fail again however often it is sent; the message is for the sender."""


class TooLargeError(PermanentError):
    """Refuse a request that is over a limit; the message names the limit, its value and its setting."""


class MalformedError(PermanentError):
    """Refuse a body that cannot be decoded; the message says what is wrong with it."""


class UnauthenticatedError(PermanentError):
    """Refuse a sender nobody knows."""


class ForbiddenError(PermanentError):
    """Refuse a sender who is known and may not do this."""


class RetryableError(Exception):
    """Refuse something that may succeed later; the sender keeps it and tries again.

    ``retry_after_s`` is the hint given to the sender, in seconds. At most 2: stock Python exporters give up at once
    when the hint exceeds what is left of their ten seconds.
    """

    def __init__(self, message: str, *, retry_after_s: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after_s = min(retry_after_s, 2.0)


class RateLimitedError(RetryableError):
    """Refuse a sender that sends more than it may; others are not concerned."""


class UnstorableError(ValueError):
    """Say why a call cannot be a row; ``reason`` is a short code, the message has the value. Its span is parked."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
