"""Single calls: listed, looked up, streamed; and what they can be filtered by."""

from __future__ import annotations

import base64
import binascii
import struct
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, TypeAlias
from uuid import UUID

from ai_usage_exporter.storage.condition import Parameters, row_conditions, statement
from ai_usage_exporter.storage.query import Dimension
from ai_usage_exporter.storage.statement import load_statement

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    import asyncpg

    from ai_usage_exporter.storage.query import Condition, UsageQuery

CallRow: TypeAlias = "dict[str, Any]"
"""A row of ``ai_usage_logs`` by column."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_CURSOR: Final = struct.Struct(">q16s")
_STREAM_TIMEOUT_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Cursor:
    """Mark a place in the list of calls: after the call with this start and id."""

    created_at: datetime
    id: UUID

    def encode(self) -> str:
        """Return it as text for a query string."""
        micros = (self.created_at - _EPOCH) // timedelta(microseconds=1)
        return base64.urlsafe_b64encode(_CURSOR.pack(micros, self.id.bytes)).decode().rstrip("=")

    @classmethod
    def decode(cls, text: str) -> Cursor:
        """Read what ``encode`` gave. Raises ``ValueError``."""
        try:
            packed = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
            micros, id_ = _CURSOR.unpack(packed)
            return cls(_EPOCH + timedelta(microseconds=micros), UUID(bytes=id_))
        except (binascii.Error, struct.error, OverflowError) as error:
            raise ValueError(f"{text[:80]!r} is no cursor: give next_cursor of the page before") from error


class CallReader:
    """Read calls through the query pool."""

    def __init__(self, pool: asyncpg.Pool[asyncpg.Record]) -> None:
        self._pool = pool

    async def page(self, query: UsageQuery, limit: int, after: Cursor | None = None) -> list[CallRow]:
        """Return up to ``limit`` calls of a period, newest first."""
        text, parameters = _list_statement(query, after)
        rows = await self._pool.fetch(f"{text} LIMIT {parameters.add(limit, 'bigint')}", *parameters.values)
        return [dict(row) for row in rows]

    async def stream(self, query: UsageQuery, batch: int = 2_000) -> AsyncGenerator[list[CallRow], None]:
        """Give all calls of a period, newest first, in batches, from one state of the data and in constant memory."""
        text, parameters = _list_statement(query, None)
        async with (
            self._pool.acquire() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            cursor = await connection.cursor(text, *parameters.values, timeout=_STREAM_TIMEOUT_S)
            while rows := await cursor.fetch(batch, timeout=_STREAM_TIMEOUT_S):
                yield [dict(row) for row in rows]

    async def find(self, id_: UUID, conditions: Sequence[Condition]) -> CallRow | None:
        """Return one call with its price, or ``None`` when there is none or the conditions hide it."""
        parameters = Parameters(id_)
        text = statement("read_call", conditions=row_conditions(conditions, parameters))
        row = await self._pool.fetchrow(text, *parameters.values)
        return None if row is None else dict(row)

    async def shadows(self, id_: UUID) -> list[Any]:
        """Return the spans that restate a call, as JSON texts."""
        if not await self._pool.fetchval("SELECT to_regclass('ai_usage_shadow_spans') IS NOT NULL"):
            return []
        return [row["shadow"] for row in await self._pool.fetch(load_statement("read_shadows"), id_)]

    async def emails(self, users: Sequence[str], conditions: Sequence[Condition]) -> dict[str, str]:
        """Return user → latest address, in calls of the services that ``conditions`` name, if any."""
        ids = []
        for user in users:
            try:
                ids.append(UUID(user))
            except ValueError:
                continue
        parameters = Parameters(ids, list(users))
        of_services = [item for item in conditions if item.dimension is Dimension.SERVICE]
        text = statement("read_emails", conditions=row_conditions(of_services, parameters))
        rows = await self._pool.fetch(text, *parameters.values)
        return {row["user_key"]: row["user_email"] for row in rows}

    async def values(self, services: Sequence[str] | None) -> dict[str, list[str]]:
        """Return dimension → values that calls have."""
        found: dict[str, list[str]] = {}
        for dimension, value in await self._pool.fetch(load_statement("read_values"), services):
            found.setdefault(dimension, []).append(value)
        return found

    async def first_and_last(self, conditions: Sequence[Condition]) -> tuple[datetime | None, datetime | None]:
        """Return the starts of the first and the last call that meet the conditions."""
        parameters = Parameters()
        text = statement("read_freshness", conditions=row_conditions(conditions, parameters))
        row = await self._pool.fetchrow(text, *parameters.values)
        return (None, None) if row is None else (row["first_call"], row["last_call"])


def _list_statement(query: UsageQuery, after: Cursor | None) -> tuple[str, Parameters]:
    parameters = Parameters(query.start, query.end)
    conditions = row_conditions(query.conditions, parameters)
    if after is not None:
        moment, id_ = parameters.add(after.created_at, "timestamptz"), parameters.add(after.id, "uuid")
        conditions = f"log.created_at <= {moment} AND (log.created_at, log.id) < ({moment}, {id_}) AND {conditions}"
    return statement("read_calls", conditions=conditions), parameters
