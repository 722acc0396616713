"""What other machines can reach, and whether anybody has a key for it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ai_usage_exporter.keys import Role

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ai_usage_exporter.config import Settings
    from ai_usage_exporter.keys import Key


def is_receiver_local(settings: Settings) -> bool:
    """Tell whether only this machine can reach the OTLP listeners."""
    return settings.otlp_grpc_listen.is_loopback and settings.otlp_http_listen.is_loopback


def find_unguarded(settings: Settings, keys: Iterable[Key], *, receiver: bool = True, api: bool = True) -> list[str]:
    """Return a line for each listener that others can reach and that would let nobody in, with what to do."""
    now = datetime.now(UTC)
    roles = {key.role for key in keys if key.is_usable(now)}
    lines = []
    if receiver and Role.INGEST not in roles:
        listeners = {
            "AI_USAGE_OTLP_GRPC_LISTEN": settings.otlp_grpc_listen,
            "AI_USAGE_OTLP_HTTP_LISTEN": settings.otlp_http_listen,
        }
        lines += [
            f"{setting}: {address} can be reached from other machines and there is no ingest key; make one with "
            f"ai-usage keys create --role ingest --name NAME, or listen on 127.0.0.1:{address.port}"
            for setting, address in listeners.items()
            if not address.is_loopback
        ]
    address = settings.api_listen
    if api and not address.is_loopback and settings.admin_token is None and not roles & {Role.ADMIN, Role.VIEWER}:
        lines.append(
            f"AI_USAGE_API_LISTEN: {address} can be reached from other machines and nobody could sign in; set "
            "AI_USAGE_ADMIN_TOKEN, make a key with ai-usage keys create --role admin --name NAME, or listen on "
            f"127.0.0.1:{address.port}"
        )
    return lines
