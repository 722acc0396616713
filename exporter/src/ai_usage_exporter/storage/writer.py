"""The one way usage reaches the database: a batch of calls in one transaction, acknowledged by its COMMIT."""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack
from itertools import chain
from typing import TYPE_CHECKING, Final, NamedTuple

from ai_usage_exporter.errors import RetryableError, UnstorableError
from ai_usage_exporter.pipeline.retry import TRIES, backoff_s
from ai_usage_exporter.storage import rollups
from ai_usage_exporter.storage.batch import Batch, Submission
from ai_usage_exporter.storage.failure import Failure, cause_of, classify
from ai_usage_exporter.storage.insert import (
    copy_rows,
    copy_shadows,
    identity,
    in_key_order,
    insert_new_rows,
    insert_variant,
    load_identities,
    resolve_users,
    write_price_refs,
)
from ai_usage_exporter.storage.overlap import Overlaps, Snapshot
from ai_usage_exporter.storage.quarantine import park
from ai_usage_exporter.storage.repair import repair
from ai_usage_exporter.storage.row import COLUMNS, to_row
from ai_usage_exporter.storage.settlement import BY_KEY, find_unsettled, settle, settle_again
from ai_usage_exporter.storage.statement import load_statement

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import asyncpg
    from asyncpg.pool import Pool

    from ai_usage_exporter.record import PricedCall
    from ai_usage_exporter.storage.batch import WriteOutcome
    from ai_usage_exporter.storage.connection import DatabaseConnection
    from ai_usage_exporter.storage.failure import Cause
    from ai_usage_exporter.storage.overlap import Footprint, Visit
    from ai_usage_exporter.storage.row import Row
    from ai_usage_exporter.storage.settlement import Settlement

TIMEOUT_S: Final = 8.0
"""For one batch, waiting for a connection included: less than the ten seconds stock exporters have for all tries."""
CAREFUL_BATCHES: Final = 8
"""How many batches are written the careful way after one met a row that existed: replays come in runs."""

_PRICE_REF: Final = COLUMNS.index("price_ref")

logger = logging.getLogger(__name__)


class _Written(NamedTuple):
    """Hold the rows a transaction inserted, the prices they refer to and what it settled."""

    rows: list[Row]
    prices: set[int]
    settlements: list[Settlement]

    def followed_by(self, other: _Written) -> _Written:
        """Return both together."""
        return _Written(self.rows + other.rows, self.prices | other.prices, self.settlements + other.settlements)

    @property
    def entries(self) -> Iterator[rollups.RollupEntry]:
        """Return what changes in the sums, one after the other: thousands at once would be made only to be kept."""
        moved = [entry for settlement in self.settlements for entry in settlement.entries]
        return chain(map(rollups.entry_of, self.rows), moved)

    @property
    def footprint(self) -> Footprint | None:
        """Return what was written where that is known without looking: in one go, with nothing stored decided anew."""
        if len(self.settlements) != 1 or self.settlements[0].traces:
            return None
        return self.settlements[0].survey.footprint


_NOTHING_WRITTEN: Final = _Written([], set(), [])


class UsageWriter:
    """Write calls through a pool. Safe to use from several tasks at once, each on its own connection."""

    def __init__(
        self,
        pool: Pool[asyncpg.Record],
        *,
        timeout_s: float = TIMEOUT_S,
        on_failure: Callable[[Cause], None] | None = None,
    ) -> None:
        self._pool = pool
        self._on_failure = on_failure
        self._timeout_s = timeout_s
        self._careful_batches = 0
        self._known_prices: set[int] = set()
        self._overlaps = Overlaps()

    async def write(self, calls: Sequence[PricedCall]) -> WriteOutcome:
        """Write calls in one transaction and return what became of them, committed.

        Raises ``RetryableError`` when the database cannot take them now, or when it is not known whether it did:
        writing them again is always safe. Never raises for what calls hold: what cannot be a row is quarantined.
        """
        return (await self.write_batch([Submission(calls)]))[0]

    async def write_batch(self, submissions: Sequence[Submission]) -> list[WriteOutcome]:
        """Write several submissions in one transaction; outcomes in the same order. Raises as ``write`` does."""
        batch = Batch(submissions)
        careful = self._careful_batches > 0
        attempt = 0
        try:
            async with asyncio.timeout(self._timeout_s):
                while True:
                    try:
                        await self._transaction(batch, careful=careful)
                        return batch.outcomes()
                    except Exception as error:
                        failure = classify(error)
                        if failure is Failure.UNAVAILABLE:
                            # After a failover the old primary still answers, read-only: let go of every connection.
                            await self._pool.expire_connections()
                            raise self._unavailable(error) from error
                        if attempt >= TRIES or (careful and failure is Failure.DATA):
                            raise self._unavailable(error) from error
                        if failure is Failure.COLLISION or careful:
                            attempt += 1
                            await asyncio.sleep(backoff_s(attempt))
                        careful = careful or failure is not Failure.COLLISION
        except TimeoutError as error:
            raise self._unavailable(error) from error

    def _unavailable(self, error: BaseException) -> RetryableError:
        reason = "timed out" if isinstance(error, TimeoutError) else f"{type(error).__name__}: {error}"
        logger.warning("usage was not stored, its senders are asked to try again: %s", reason)
        if self._on_failure is not None:
            self._on_failure(cause_of(error))
        return RetryableError("the database cannot take usage now, try again")

    async def _transaction(self, batch: Batch, *, careful: bool) -> None:
        batch.start_again()
        async with self._pool.acquire(timeout=self._timeout_s / 2) as connection, AsyncExitStack() as stack:
            # Leaving the block is the COMMIT. If the connection breaks in it, nobody knows whether it happened:
            # that raises like any loss of the database, and the replay finds the rows or writes them.
            async with connection.transaction():
                await connection.execute(self._preamble)
                visit = await self._enter(connection)
                stack.callback(self._overlaps.leave, visit)
                if careful:
                    written = await self._write_carefully(connection, batch, _repaired(batch))
                else:
                    written = await self._write_fast(connection, batch)
                visit.footprint = written.footprint
                if batch.parked:
                    await park(connection, batch.parked)
                # Last, because from here on writers of the same keys may wait for each other.
                await rollups.apply(connection, written.entries)
            if not await self._is_alone(connection, visit):
                await self._settle_again(connection, written)
        self._known_prices |= written.prices
        if batch.duplicates:
            self._careful_batches = CAREFUL_BATCHES
        elif careful:
            self._careful_batches = max(0, self._careful_batches - 1)

    @property
    def _preamble(self) -> str:
        return f"SET LOCAL statement_timeout = {int(self._timeout_s * 1000)}; {rollups.APPLIED}; {BY_KEY}"

    async def _enter(self, connection: DatabaseConnection) -> Visit:
        row = await connection.fetchrow(load_statement("snapshot_first"))
        assert row is not None  # noqa: S101 - a SELECT without FROM has one row
        return self._overlaps.enter(row["xid"], Snapshot.parse(row["snapshot"]))

    async def _is_alone(self, connection: DatabaseConnection, visit: Visit) -> bool:
        """Tell, after COMMIT, that no transaction can have written spans of the same calls meanwhile."""
        if visit.footprint is None:
            return False
        after = await connection.fetchval(load_statement("snapshot_now"))
        return self._overlaps.is_alone(visit, Snapshot.parse(after))

    async def _settle_again(self, connection: DatabaseConnection, written: _Written) -> None:
        """Settle what another transaction wrote of the same calls while this batch was being written.

        Neither saw the other's rows; whichever of the two commits last sees both here, before it acknowledges.
        """
        for settlement in written.settlements:
            async with connection.transaction(readonly=True):
                await connection.execute(BY_KEY)
                unsettled = await find_unsettled(connection, settlement)
            attempt = 0
            while unsettled:
                try:
                    async with connection.transaction():
                        await connection.execute(self._preamble)
                        await rollups.apply(connection, await settle_again(connection, unsettled, settlement))
                    break
                except Exception as error:
                    attempt += 1
                    if classify(error) is not Failure.COLLISION or attempt > TRIES:
                        raise
                    await asyncio.sleep(backoff_s(attempt))

    async def _write_fast(self, connection: DatabaseConnection, batch: Batch) -> _Written:
        """Write calls that are all expected to be new and good."""
        calls = batch.calls
        if not calls:
            return _NOTHING_WRITTEN
        settlement = await settle(connection, [call.record for call in calls])
        users = await resolve_users(connection, [call.record.user for call in calls])
        rows = [to_row(call, users) for call in calls]
        prices = await self._write_prices(connection, calls, {row[_PRICE_REF] for row in rows})
        counted = rows
        if settlement.traces:
            others = settlement.shadows.keys() | set(settlement.repeated)
            counted = [row for position, row in enumerate(rows) if position not in others]
            await copy_shadows(
                connection, [(rows[position], verdict) for position, verdict in settlement.shadows.items()]
            )
            batch.shadows.update(settlement.shadows)
        repeated = [(position, rows[position]) for position in settlement.repeated]
        if counted:
            await copy_rows(connection, in_key_order(counted))
        if repeated:
            await self._sort_out_repeated(connection, batch, repeated)
        return _Written(counted, prices, [settlement])

    async def _write_carefully(
        self, connection: DatabaseConnection, batch: Batch, calls: Sequence[tuple[int, PricedCall]]
    ) -> _Written:
        """Write calls of which some may exist or be refused; halves them until the refused ones stand alone.

        ``calls`` holds (position in the batch, repaired call).
        """
        if not calls:
            return _NOTHING_WRITTEN
        try:
            async with connection.transaction():
                return await self._write_new(connection, batch, calls)
        except Exception as error:
            if classify(error) is not Failure.DATA:
                raise
            for index, _ in calls:  # what the failed half found out may not hold for its parts
                batch.duplicates.discard(index)
                batch.shadows.discard(index)
            if len(calls) == 1:
                state = getattr(error, "sqlstate", None) or type(error).__name__
                batch.park(calls[0][0], f"refused_{state}", str(error))
                return _NOTHING_WRITTEN
        middle = len(calls) // 2
        first = await self._write_carefully(connection, batch, calls[:middle])
        second = await self._write_carefully(connection, batch, calls[middle:])
        return first.followed_by(second)

    async def _write_new(
        self, connection: DatabaseConnection, batch: Batch, calls: Sequence[tuple[int, PricedCall]]
    ) -> _Written:
        settlement = await settle(connection, [call.record for _, call in calls])
        users = await resolve_users(connection, [call.record.user for _, call in calls])
        rows = [to_row(call, users) for _, call in calls]
        prices = await self._write_prices(connection, [call for _, call in calls], {row[_PRICE_REF] for row in rows})
        numbered = list(zip([index for index, _ in calls], rows, strict=True))
        shadows = [(*numbered[position], verdict) for position, verdict in settlement.shadows.items()]
        await copy_shadows(connection, [(row, verdict) for _, row, verdict in shadows])
        batch.shadows.update(index for index, _, _ in shadows)
        repeated = [numbered[position] for position in settlement.repeated]
        others = settlement.shadows.keys() | set(settlement.repeated)
        new = await insert_new_rows(
            connection, in_key_order([row for position, row in enumerate(rows) if position not in others])
        )
        inserted = []
        for position, (index, row) in enumerate(numbered):
            if position in others:
                continue
            if row[0] in new:
                new.discard(row[0])  # a second one with this id is a duplicate within the batch
                inserted.append(row)
            else:
                repeated.append((index, row))
        if repeated:
            await self._sort_out_repeated(connection, batch, repeated)
        return _Written(inserted, prices, [settlement])

    async def _sort_out_repeated(
        self, connection: DatabaseConnection, batch: Batch, repeated: Sequence[tuple[int, Row]]
    ) -> None:
        """Count what was there already; what contradicts it becomes its shadow: the first one stays."""
        stored = await load_identities(connection, [row for _, row in repeated])
        for index, row in repeated:
            row_id, known = stored.get(row[0], (row[0], identity(row)))
            if known != identity(row) and await insert_variant(connection, row, row_id):
                batch.shadows.add(index)
            else:
                batch.duplicates.add(index)

    async def _write_prices(
        self, connection: DatabaseConnection, calls: Sequence[PricedCall], referred: set[int | None]
    ) -> set[int]:
        """Store the prices this writer has not seen committed yet; returns the ids of all that are referred to."""
        ids = {price_id for price_id in referred if price_id is not None}
        if unseen := ids - self._known_prices:
            prices = (call.cost.price for call in calls)
            await write_price_refs(connection, [price for price in prices if price is not None and price.id in unseen])
        return ids


def _repaired(batch: Batch) -> list[tuple[int, PricedCall]]:
    """Return the calls that can be rows, repaired, with their positions; the others are parked."""
    storable = []
    for index, call in enumerate(batch.calls):
        try:
            storable.append((index, repair(call)))
        except UnstorableError as error:
            batch.park(index, error.reason, str(error))
    return storable
