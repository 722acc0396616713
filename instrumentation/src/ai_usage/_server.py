"""Name the server behind a base URL."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ai_usage import semconv

if TYPE_CHECKING:
    from opentelemetry.util.types import AttributeValue


def server_attributes(base_url: str) -> dict[str, AttributeValue]:
    """Return the attributes that name host and port of a base URL; none when it has no host."""
    host, port = _parts(base_url)
    return {semconv.SERVER_ADDRESS: host, semconv.SERVER_PORT: port} if host else {}


@functools.lru_cache(maxsize=64)
def _parts(base_url: str) -> tuple[str, int]:
    parts = urlsplit(base_url)
    return parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
