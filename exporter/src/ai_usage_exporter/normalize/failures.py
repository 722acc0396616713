"""One error class for one failure, whatever an emitter calls it."""

from __future__ import annotations

import re
from typing import Final

# Codes that APIs give → the exception class their SDKs raise for them.
_CLASS_OF_CODE: Final = {
    "invalid_request_error": "BadRequestError",
    "authentication_error": "AuthenticationError",
    "permission_error": "PermissionDeniedError",
    "not_found_error": "NotFoundError",
    "request_too_large": "RequestTooLargeError",
    "rate_limit_error": "RateLimitError",
    "rate_limit_exceeded": "RateLimitError",
    "insufficient_quota": "RateLimitError",
    "api_error": "InternalServerError",
    "timeout_error": "APITimeoutError",
    "overloaded_error": "OverloadedError",
    # Google's status, and the class that ADK makes of it.
    "RESOURCE_EXHAUSTED": "RateLimitError",
    "ResourceExhaustedError": "RateLimitError",
    "ThrottlingException": "RateLimitError",  # Amazon's
    # pydantic-ai's own name of it.
    "ModelRateLimitError": "RateLimitError",
}
_REPR_OF_CLASS: Final = re.compile(r"<class '([\w.]+)'>")


def error_class(error: str) -> str:
    """Return the class without its module (``openai.BadRequestError`` → ``BadRequestError``); codes as their class."""
    if error in _CLASS_OF_CODE:
        return _CLASS_OF_CODE[error]
    if (class_of := _REPR_OF_CLASS.fullmatch(error)) is not None:
        error = class_of[1]
    head, dot, last = error.rpartition(".")
    name = last.lstrip("_")
    if not dot or not name[:1].isupper() or " " in head:
        return error
    return _CLASS_OF_CODE.get(name, name)
