"""Price stored calls again: find what would change, and change rows and sums together, batch by batch."""

from __future__ import annotations

import asyncio
from datetime import UTC
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from uuid import UUID

from ai_usage.pricing import CostStatus
from ai_usage.tokens import TokenUsage
from ai_usage_exporter.errors import PermanentError
from ai_usage_exporter.pipeline.retry import TRIES, backoff_s
from ai_usage_exporter.record import UsageRecord
from ai_usage_exporter.storage import audit, rollups
from ai_usage_exporter.storage.failure import Failure, classify
from ai_usage_exporter.storage.insert import write_price_refs
from ai_usage_exporter.storage.row import NOTHING, to_cost_usd
from ai_usage_exporter.storage.usage_table import ROWS, SHADOWS, Place

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from ai_usage.pricing import PriceRef
    from ai_usage_exporter.record import PricedCall
    from ai_usage_exporter.storage.connection import DatabaseConnection
    from ai_usage_exporter.storage.usage_table import UsageTable

BATCH: Final = 2_000
LOCK_KEY: Final = 0x61_69_72_65_70_72_63  # "aireprc"
MAX_COST_USD: Final = Decimal(10**8)
"""What numeric(20, 12) holds less than."""

_NO_ID: Final = UUID(int=0)


class Scope(NamedTuple):
    """Name the calls to price again: those that started in a period, of a provider or a model."""

    start: datetime
    end: datetime
    provider: str | None = None
    model: str | None = None


class Change(NamedTuple):
    """Hold what repricing does to the calls of one model that change from one status to another."""

    provider: str
    model: str
    status: str
    new_status: str
    calls: int
    cost_usd: Decimal
    new_cost_usd: Decimal


class Difference(NamedTuple):
    """Hold what repricing changes, largest change first; ``calls_seen`` counts unchanged ones too."""

    calls_seen: int
    changes: tuple[Change, ...]

    @property
    def calls(self) -> int:
        """Return how many calls change."""
        return sum(change.calls for change in self.changes)

    @property
    def cost_usd(self) -> Decimal:
        """Return what they cost before."""
        return sum((change.cost_usd for change in self.changes), Decimal(0))

    @property
    def new_cost_usd(self) -> Decimal:
        """Return what they cost after."""
        return sum((change.new_cost_usd for change in self.changes), Decimal(0))


class _NewCost(NamedTuple):
    row: Any
    cost_usd: Decimal
    status: str
    price: PriceRef | None


async def find_difference(
    connection: DatabaseConnection,
    scope: Scope,
    price: Callable[[UsageRecord], PricedCall],
    *,
    on_progress: Callable[[int], object] = lambda _: None,
) -> Difference:
    """Return what repricing would change; changes nothing."""
    tally = _Tally()
    last = Place(scope.start, _NO_ID)
    while rows := await _read(connection, ROWS, scope, last):
        last = _place(rows[-1])
        tally.add(len(rows), _new_costs(rows, price))
        on_progress(tally.calls_seen)
    return tally.difference()


async def reprice(
    connection: DatabaseConnection,
    scope: Scope,
    price: Callable[[UsageRecord], PricedCall],
    *,
    actor: str,
    planned: Difference,
    on_progress: Callable[[int], object] = lambda _: None,
) -> Difference:
    """Give calls the cost their price says now, the sums with them, and return what changed.

    Batches are transactions of their own: interrupted, everything so far is right, and running it again goes on. The
    audit trail has an entry with the ``planned`` difference before the first and one with what was done after the
    last. Raises ``PermanentError`` while another repricing runs.
    """
    if not await connection.fetchval("SELECT pg_try_advisory_lock($1)", LOCK_KEY):
        raise PermanentError("another repricing runs on this database: wait until it is done")
    try:
        subject = f"{scope.start.astimezone(UTC).isoformat()}/{scope.end.astimezone(UTC).isoformat()}"
        filters = {"provider": scope.provider, "model": scope.model}
        await audit.record(connection, actor, "prices.reprice", subject, {**filters, "planned": _details(planned)})
        tally = _Tally()
        # Shadow spans too, uncounted: a later span can show that one of them is the call after all.
        for table, counts in ((ROWS, tally), (SHADOWS, _Tally())):
            last: Place | None = Place(scope.start, _NO_ID)
            while last is not None:
                last = await _batch_with_retry(connection, table, scope, last, price, counts)
                on_progress(tally.calls_seen)
        done = tally.difference()
        await audit.record(connection, actor, "prices.repriced", subject, {**filters, "done": _details(done)})
        return done
    finally:
        await connection.execute("SELECT pg_advisory_unlock($1)", LOCK_KEY)


async def _batch_with_retry(
    connection: DatabaseConnection,
    table: UsageTable,
    scope: Scope,
    last: Place,
    price: Callable[[UsageRecord], PricedCall],
    tally: _Tally,
) -> Place | None:
    for attempt in range(TRIES):
        try:
            return await _batch(connection, table, scope, last, price, tally)
        except Exception as error:
            if classify(error) is not Failure.COLLISION:
                raise
            await asyncio.sleep(backoff_s(attempt))
    return await _batch(connection, table, scope, last, price, tally)


async def _batch(
    connection: DatabaseConnection,
    table: UsageTable,
    scope: Scope,
    last: Place,
    price: Callable[[UsageRecord], PricedCall],
    tally: _Tally,
) -> Place | None:
    """Reprice the next batch in one transaction; returns the last call of it, ``None`` after the last one."""
    async with connection.transaction():
        await connection.execute(rollups.APPLIED)
        rows = await _read(connection, table, scope, last, lock="FOR UPDATE")
        if not rows:
            return None
        changed = _new_costs(rows, price)
        if changed:
            await write_price_refs(connection, [new.price for new in changed if new.price is not None])
            await connection.execute(
                table.statement("reprice_update"),
                [new.row["id"] for new in changed],
                [new.row["created_at"] for new in changed],
                [new.row["variant"] for new in changed],
                [new.cost_usd for new in changed],
                [new.status for new in changed],
                [None if new.price is None else new.price.id for new in changed],
            )
            if table.is_summed:
                await rollups.apply(connection, [entry for new in changed for entry in _entries(new)])
    tally.add(len(rows), changed)
    return _place(rows[-1])


def _entries(new: _NewCost) -> tuple[rollups.RollupEntry, rollups.RollupEntry]:
    before = rollups.entry_of_stored(new.row, -1)
    return before, before._replace(cost_usd=new.cost_usd, cost_status=new.status, sign=1)


def _place(row: Any) -> Place:
    return Place(row["created_at"], row["id"], row["variant"])


async def _read(
    connection: DatabaseConnection, table: UsageTable, scope: Scope, last: Place, *, lock: str = ""
) -> list[Any]:
    statement = table.statement("reprice_rows", lock=lock)
    return await connection.fetch(statement, scope.start, scope.end, *last, scope.provider, scope.model, BATCH)


def _new_costs(rows: Sequence[Any], price: Callable[[UsageRecord], PricedCall]) -> list[_NewCost]:
    """Return the calls whose amount or status changes; a price that says the same is left as it was noted."""
    changed = []
    for row in rows:
        if row["cost_status"] == CostStatus.FREE:
            continue  # that a gateway's cache answered does not change with prices
        amount, status, ref = price(_record(row)).cost
        cost_usd = NOTHING if amount is None else to_cost_usd(amount)
        if cost_usd >= MAX_COST_USD:
            raise PermanentError(
                f"call {row['id']} ({row['provider']}/{row['model']}) would cost ${cost_usd:,.2f}, "
                "more than a row holds: check its price with ai-usage prices show"
            )
        if cost_usd != row["cost_usd"] or status != row["cost_status"]:
            changed.append(_NewCost(row, cost_usd, str(status), ref))
    return changed


def _record(row: Any) -> UsageRecord:
    """Return as much of the record a row was made of as its price follows from."""
    usage = TokenUsage(*(row[field] for field in TokenUsage._fields))
    reported = row["reported_cost_usd"]
    if row["cost_status"] in {CostStatus.UNMETERED, CostStatus.REPORTED}:
        if not row["total_tokens"]:
            usage = usage._replace(input_tokens=None, output_tokens=None)  # rows keep "not reported" as 0
        if reported is None and row["cost_status"] == CostStatus.REPORTED:
            reported = row["cost_usd"]  # rows from before this schema
    return UsageRecord(
        id=row["id"],
        trace_id=b"",
        span_id=b"",
        parent_span_id=None,
        created_at=row["created_at"],
        duration_ms=None,
        service_name=row["service_name"],
        service_action=None,
        operation="",
        provider=row["provider"],
        model=row["model"],
        request_model=None,
        usage=usage,
        reported_cost_usd=reported,
        service_tier=row["service_tier"],
    )


class _Tally:
    """Add up changes by model and status."""

    def __init__(self) -> None:
        self.calls_seen = 0
        self._sums: dict[tuple[str, str, str, str], tuple[int, Decimal, Decimal]] = {}

    def add(self, seen: int, changed: Sequence[_NewCost]) -> None:
        self.calls_seen += seen
        for new in changed:
            key = (new.row["provider"], new.row["model"], new.row["cost_status"], new.status)
            calls, before, after = self._sums.get(key, (0, Decimal(0), Decimal(0)))
            self._sums[key] = (calls + 1, before + new.row["cost_usd"], after + new.cost_usd)

    def difference(self) -> Difference:
        changes = [Change(*key, *sums) for key, sums in self._sums.items()]
        changes.sort(key=lambda change: (-abs(change.new_cost_usd - change.cost_usd), change[:4]))
        return Difference(self.calls_seen, tuple(changes))


def _details(difference: Difference) -> dict[str, Any]:
    return {
        "calls": difference.calls,
        "cost_usd": f"{difference.cost_usd:f}",
        "new_cost_usd": f"{difference.new_cost_usd:f}",
        "by_model": [change._asdict() for change in difference.changes[:100]],
    }
