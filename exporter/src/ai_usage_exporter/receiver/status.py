"""What a failure looks like on the wire: one table for both transports (OTLP specification, Failures)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import BadRequest, RetryInfo
from google.rpc.status_pb2 import Status

from ai_usage_exporter.errors import (
    ForbiddenError,
    PermanentError,
    RateLimitedError,
    RetryableError,
    TooLargeError,
    UnauthenticatedError,
)

MAX_MESSAGE_CHARS: Final = 1_000
"""Replies stay small whatever was sent."""


@dataclass(frozen=True, slots=True)
class WireFailure:
    """Hold one failure in the terms of both transports."""

    http_status: int
    grpc_code: grpc.StatusCode
    message: str
    retry_after_s: float | None = None
    """Set exactly when the sender is to try again."""
    is_bad_request: bool = False

    @property
    def status(self) -> Status:
        """Return the ``google.rpc.Status`` that goes into an HTTP body or the details trailer."""
        status = Status(code=self.grpc_code.value[0], message=self.message[:MAX_MESSAGE_CHARS])
        if self.retry_after_s is not None:
            detail = AnyMessage()
            detail.Pack(self.retry_info)
            status.details.append(detail)
        if self.is_bad_request:
            violation = BadRequest.FieldViolation(field="body", description=self.message[:MAX_MESSAGE_CHARS])
            detail = AnyMessage()
            detail.Pack(BadRequest(field_violations=[violation]))
            status.details.append(detail)
        return status

    @property
    def retry_info(self) -> RetryInfo:
        """Return the delay asked for."""
        delay = Duration()
        delay.FromMilliseconds(round((self.retry_after_s or 0) * 1000))
        return RetryInfo(retry_delay=delay)

    @property
    def http_retry_after(self) -> str | None:
        """Return the Retry-After header in whole seconds, or ``None``."""
        return None if self.retry_after_s is None else str(max(1, math.ceil(self.retry_after_s)))

    @property
    def grpc_trailers(self) -> tuple[tuple[str, bytes], ...]:
        """Return the trailing metadata. The Python SDK reads only the first of the two retry hints."""
        trailers: list[tuple[str, bytes]] = []
        if self.retry_after_s is not None:
            trailers.append(("google.rpc.retryinfo-bin", self.retry_info.SerializeToString()))
        trailers.append(("grpc-status-details-bin", self.status.SerializeToString()))
        return tuple(trailers)


def failure_of(error: Exception) -> WireFailure:
    """Return how to answer ``error``. What nobody foresaw counts as transient, so that no sender drops its spans."""
    if isinstance(error, TooLargeError):
        return WireFailure(413, grpc.StatusCode.RESOURCE_EXHAUSTED, str(error))
    if isinstance(error, UnauthenticatedError):
        return WireFailure(401, grpc.StatusCode.UNAUTHENTICATED, str(error))
    if isinstance(error, ForbiddenError):
        return WireFailure(403, grpc.StatusCode.PERMISSION_DENIED, str(error))
    if isinstance(error, PermanentError):
        return WireFailure(400, grpc.StatusCode.INVALID_ARGUMENT, str(error), is_bad_request=True)
    if isinstance(error, RateLimitedError):
        return WireFailure(429, grpc.StatusCode.RESOURCE_EXHAUSTED, str(error), retry_after_s=error.retry_after_s)
    if isinstance(error, RetryableError):
        return WireFailure(503, grpc.StatusCode.UNAVAILABLE, str(error), retry_after_s=error.retry_after_s)
    return WireFailure(503, grpc.StatusCode.UNAVAILABLE, "the receiver failed, try again", retry_after_s=1.0)


def http_only(http_status: int, code: grpc.StatusCode, message: str) -> WireFailure:
    """Return a failure that only HTTP can have: 404, 405, 415."""
    return WireFailure(http_status, code, message)
