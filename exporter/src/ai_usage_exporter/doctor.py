"""What can be wrong with an installation, each check with what to do about it."""

from __future__ import annotations

import asyncio
import socket
import ssl
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple

from ai_usage.pricing.catalog import price_data_version
from ai_usage_exporter.errors import PermanentError
from ai_usage_exporter.exposure import find_unguarded
from ai_usage_exporter.prices.data_file import use_price_data_file
from ai_usage_exporter.prices.file import read_prices_file
from ai_usage_exporter.storage import audit, quarantine, schema
from ai_usage_exporter.storage.keys import load_keys
from ai_usage_exporter.storage.pool import describe
from ai_usage_exporter.storage.prices import load_prices
from ai_usage_exporter.storage.statement import load_statement
from ai_usage_exporter.tls import load_tls

if TYPE_CHECKING:
    from datetime import date
    from pathlib import Path

    from ai_usage_exporter.config import Address, Settings
    from ai_usage_exporter.prices.book import OwnPrice
    from ai_usage_exporter.storage.connection import DatabaseConnection

OLDEST_POSTGRES: Final = 15
NEWEST_POSTGRES: Final = 18
CLOCK_WARN_S: Final = 2.0
CLOCK_FAIL_S: Final = 60.0
PRICE_DATA_WARN: Final = timedelta(days=90)
KEY_EXPIRES_WARN: Final = timedelta(days=14)
UNPRICED_WARN_PERCENT: Final = 1.0
UNPRICED_DAYS: Final = 30
PROBE_TIMEOUT_S: Final = 5.0
_LONGEST_ANSWER_BYTES: Final = 65_536


_NEWER_DATA: Final = "pip install --upgrade genai-prices, or set AI_USAGE_PRICE_DATA_FILE; then restart the server"


class Health(StrEnum):
    """Say how a check went."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


class Check(NamedTuple):
    """Hold what a check found; ``fix`` says what to do unless all is well."""

    name: str
    health: Health
    message: str
    fix: str = ""


def check_settings(settings: Settings) -> Check:
    """Check what settings mean together; each by itself was checked when they were read."""
    try:
        load_tls(settings)
    except PermanentError as error:
        return Check(
            "settings", Health.FAIL, str(error), "correct the files or settings named; the server does not start"
        )
    return Check("settings", Health.OK, "every AI_USAGE_… variable is known and valid")


async def check_ports(settings: Settings) -> list[Check]:
    """Check that each port is free, or that our own server answers behind them."""
    is_running = await _answers(settings.api_listen, is_tls=settings.tls_cert is not None)
    return [
        await _check_port("AI_USAGE_OTLP_GRPC_LISTEN", settings.otlp_grpc_listen, is_running=is_running),
        await _check_port("AI_USAGE_OTLP_HTTP_LISTEN", settings.otlp_http_listen, is_running=is_running),
        await _check_port("AI_USAGE_API_LISTEN", settings.api_listen, is_running=is_running),
    ]


async def check_database(connection: DatabaseConnection, url: str) -> Check:
    """Check the version of a database that can be reached."""
    version = connection.get_server_version()
    words: str = await connection.fetchval("SHOW server_version")
    message = f"PostgreSQL {words.partition(' ')[0]} at {describe(url)}"
    if version.major < OLDEST_POSTGRES:
        return Check("database", Health.FAIL, message, f"use PostgreSQL {OLDEST_POSTGRES} to {NEWEST_POSTGRES}")
    if version.major > NEWEST_POSTGRES:
        return Check(
            "database", Health.WARN, f"{message} is newer than this release was tested with", "upgrade ai-usage"
        )
    return Check("database", Health.OK, message)


async def check_schema(connection: DatabaseConnection) -> Check:
    """Check that every migration of this release is applied, unchanged, and none of a newer one."""
    found = await schema.status(connection)
    if found.changed:
        return Check(
            "schema",
            Health.FAIL,
            f"applied with other contents: {', '.join(found.changed)}",
            "this database was migrated by an unreleased version: start with a new one, or restore a backup",
        )
    if found.pending:
        return Check(
            "schema",
            Health.FAIL,
            f"{len(found.pending)} not applied yet, from {found.pending[0]} on",
            "run: ai-usage migrate",
        )
    if found.unknown:
        return Check(
            "schema", Health.WARN, f"from a newer release: {', '.join(found.unknown)}", "upgrade ai-usage-exporter here"
        )
    return Check("schema", Health.OK, f"{len(found.applied)} migrations applied")


async def check_clock(connection: DatabaseConnection) -> Check:
    """Compare this machine's clock with the database's; calls are dated by the first, prices and months by both."""
    before = datetime.now(UTC)
    of_database: datetime = await connection.fetchval("SELECT clock_timestamp()")
    after = datetime.now(UTC)
    off_s = (of_database - (before + (after - before) / 2)).total_seconds()
    message = f"{abs(off_s):.3f} s {'behind' if off_s > 0 else 'ahead of'} the database's"
    if abs(off_s) <= CLOCK_WARN_S:
        return Check("clock", Health.OK, message)
    health = Health.FAIL if abs(off_s) > CLOCK_FAIL_S else Health.WARN
    return Check("clock", health, message, "let NTP set the clocks of this machine and the database's")


def check_price_data(file: Path | None = None, *, today: date | None = None) -> Check:
    """Check how old the price data is, that of a file or the shipped one, by the newest dated price in it."""
    try:
        use_price_data_file(file)
    except PermanentError as error:
        return Check("price data", Health.FAIL, str(error), "correct the file that AI_USAGE_PRICE_DATA_FILE names")
    today = today or datetime.now(UTC).date()
    newest = max((day for day in _dated_prices() if day <= today), default=None)
    message = f"genai-prices {price_data_version()}, newest dated price {newest or 'unknown'}"
    if newest is None or today - newest > PRICE_DATA_WARN:
        return Check("price data", Health.WARN, message, _NEWER_DATA)
    return Check("price data", Health.OK, message)


async def check_own_prices(connection: DatabaseConnection, settings: Settings) -> Check:
    """Check the prices file, and that no own price ended without another one after it."""
    try:
        of_file = read_prices_file(settings.prices_file) if settings.prices_file is not None else ()
    except PermanentError as error:
        return Check("own prices", Health.FAIL, str(error), "correct the file that AI_USAGE_PRICES_FILE names")
    prices = [*(stored.price for stored in await load_prices(connection)), *of_file]
    now = datetime.now(UTC)
    current = {_thing(price) for price in prices if price.effective_to is None or price.effective_to > now}
    ended = sorted({f"{price.provider}/{price.model}" for price in prices if _thing(price) not in current})
    if ended:
        return Check(
            "own prices",
            Health.WARN,
            f"ended, with no price after them: {', '.join(ended[:5])}{' …' if len(ended) > 5 else ''}",
            "calls have the shipped price now: ai-usage prices set, or remove the old ones with ai-usage prices remove",
        )
    return Check("own prices", Health.OK, f"{len(prices):,} in database and file")


async def check_keys(connection: DatabaseConnection, settings: Settings) -> Check:
    """Check that there are keys for what other machines can reach, and that none expires soon."""
    keys = await load_keys(connection)
    if unguarded := find_unguarded(settings, keys):
        return Check(
            "keys", Health.FAIL, "; ".join(unguarded), "the server does not start before that: docs/howto/keys.md"
        )
    now = datetime.now(UTC)
    usable = [key for key in keys if key.is_usable(now)]
    expiring = [key for key in usable if key.expires_at is not None and key.expires_at - now < KEY_EXPIRES_WARN]
    if expiring:
        names = ", ".join(f"{key.name} ({key.label}) on {key.expires_at:%Y-%m-%d}" for key in expiring[:5])
        return Check(
            "keys", Health.WARN, f"expiring: {names}", "make another with ai-usage keys create and give it out"
        )
    return Check("keys", Health.OK, f"{len(usable):,} that let somebody in")


async def check_audit(connection: DatabaseConnection) -> Check:
    """Check that nobody changed the audit trail behind the database's back."""
    broken = await audit.find_broken(connection)
    if broken:
        ids = ", ".join(map(str, broken[:5]))
        return Check(
            "audit trail",
            Health.FAIL,
            f"changed, or with entries taken out before them: {ids}",
            "find out who has the table owner's rights; compare with a backup",
        )
    return Check("audit trail", Health.OK, "every entry follows from the one before")


async def check_quarantine(connection: DatabaseConnection) -> Check:
    """Check that nothing waits in the quarantine."""
    counts = await quarantine.count_by_reason(connection)
    if not counts:
        return Check("quarantine", Health.OK, "empty")
    reasons = ", ".join(f"{count:,} {reason}" for reason, count in counts.items())
    return Check(
        "quarantine", Health.WARN, reasons, "look with ai-usage quarantine list; then: ai-usage quarantine replay --all"
    )


async def check_unpriced(connection: DatabaseConnection) -> Check:
    """Check what share of the last 30 days' calls has no price."""
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    rows = await connection.fetch(load_statement("doctor_prices"), today - timedelta(days=UNPRICED_DAYS - 1))
    calls = {row["cost_status"]: row["calls"] for row in rows}
    total = sum(calls.values())
    unpriced = calls.get("estimated", 0) + calls.get("unpriced", 0)
    if not total:
        return Check("unpriced calls", Health.OK, f"no calls in {UNPRICED_DAYS} days")
    percent = 100 * unpriced / total
    message = f"{percent:.2f} % of {total:,} calls in {UNPRICED_DAYS} days have no price"
    if percent > UNPRICED_WARN_PERCENT:
        return Check("unpriced calls", Health.WARN, message, "see ai-usage prices missing; then: ai-usage prices set")
    return Check("unpriced calls", Health.OK, message)


async def _check_port(setting: str, address: Address, *, is_running: bool) -> Check:
    name = f"port {address.port}"
    if address.port == 0:
        return Check(name, Health.OK, f"{setting} lets the system choose")
    try:
        _bind(address)
    except OSError as error:
        if is_running:
            return Check(name, Health.OK, f"{address}: the server that runs here answers")
        return Check(
            name,
            Health.FAIL,
            f"{address} cannot be listened on: {error.strerror or error}",
            f"stop what uses it (ss -ltnp sport = :{address.port}), or set {setting} to another address",
        )
    return Check(name, Health.OK, f"{address} is free")


def _bind(address: Address) -> None:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((address.host, address.port))


async def _answers(address: Address, *, is_tls: bool) -> bool:
    """Tell whether an ai-usage API answers there."""
    if address.port == 0:
        return False
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address.host, address.host)  # noqa: S104 - compared, not bound
    try:
        async with asyncio.timeout(PROBE_TIMEOUT_S):
            context = ssl._create_unverified_context() if is_tls else None  # noqa: S323 - who it is does not matter
            reader, writer = await asyncio.open_connection(host, address.port, ssl=context)
            try:
                writer.write(b"GET /livez HTTP/1.0\r\nHost: localhost\r\n\r\n")
                answer = b""
                while len(answer) < _LONGEST_ANSWER_BYTES and (part := await reader.read(4096)):
                    answer += part
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return False
    return answer.startswith(b"HTTP/1.") and b" 200 " in answer[:15] and answer.endswith(b"ok")


def _dated_prices() -> set[date]:
    from genai_prices.data_snapshot import get_snapshot
    from genai_prices.types import ModelPrice, StartDateConstraint

    return {
        part.constraint.start_date
        for vendor in get_snapshot().providers
        for model in vendor.models
        for part in (
            *(() if isinstance(model.prices, ModelPrice) else model.prices),
            *(model.price_variants or ()),
        )
        if isinstance(part.constraint, StartDateConstraint)
    }


def _thing(price: OwnPrice) -> tuple[str, str, str, int]:
    return price.provider.lower(), price.model.lower(), price.service_tier.lower(), price.above_input_tokens
