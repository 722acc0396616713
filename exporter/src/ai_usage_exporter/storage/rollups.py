"""Sums of calls by time and dimension, kept in the transaction that writes the rows.

A cuboid is a choice of dimensions; ``CUBOIDS`` lists them with the grains they are kept in, the same as
``ai_usage_rollups_of_rows`` and ``ai_usage_rollups_of_days`` in the migrations, which say what the sums must be. Deltas
are added up here, so that a batch costs one upsert of as many rows as it has different keys.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from functools import lru_cache, partial
from operator import add, itemgetter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from ai_usage_exporter.storage.arrays import array_of
from ai_usage_exporter.storage.query import Dimension
from ai_usage_exporter.storage.row import COLUMNS
from ai_usage_exporter.storage.statement import load_statement

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from decimal import Decimal

    import asyncpg

    from ai_usage_exporter.storage.connection import DatabaseConnection
    from ai_usage_exporter.storage.row import Row

QUARTER_S: Final = 900
HOUR_S: Final = 3_600
DAY_S: Final = 86_400
FIVE_DAYS_S: Final = 5 * DAY_S
THIRTY_DAYS_S: Final = 30 * DAY_S
_QUARTERS_A_DAY: Final = DAY_S // QUARTER_S
_QUARTER: Final = timedelta(seconds=QUARTER_S)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

SLOTS: Final = 16
"""How many transactions can add to one key at a time; one more waits."""
LOCK_CLASS: Final = 0x61697573
"""First half of the advisory locks that own slots ("aius")."""

APPLIED: Final = "SET LOCAL ai_usage.rollups = 'applied'"
"""Tells the trigger on ``ai_usage_logs`` that this transaction sums its rows itself, by ``apply``: run it first."""

PRICED_STATUSES: Final = frozenset({"priced", "reported", "free"})
"""Cost statuses that say what a call cost; the others guess or do not know."""

DURATION_BOUNDS_MS: Final = tuple(sorted({round(2 ** (step / 6)) for step in range(160)}))
"""Lower bounds of the duration bins 1, 2, …; the same as in ``ai_usage_duration_bin``."""
DURATION_ERROR: Final = 0.06
"""How far, relatively, a percentile read from the bins can be from the exact one."""


class Cuboid(NamedTuple):
    """Name a choice of dimensions and the grains (bucket lengths in seconds, longest first) it is kept in."""

    number: int
    dimensions: frozenset[Dimension]
    grains_s: tuple[int, ...]


FULL: Final = Cuboid(
    0,
    frozenset(
        {
            Dimension.SERVICE,
            Dimension.ACTION,
            Dimension.PROVIDER,
            Dimension.MODEL,
            Dimension.SUCCESS,
            Dimension.ERROR_CODE,
            Dimension.COST_STATUS,
        }
    ),
    (DAY_S,),
)
SERVICE: Final = Cuboid(1, frozenset({Dimension.SERVICE, Dimension.ACTION}), (FIVE_DAYS_S, DAY_S, HOUR_S, QUARTER_S))
MODEL: Final = Cuboid(2, frozenset({Dimension.PROVIDER, Dimension.MODEL}), (FIVE_DAYS_S, DAY_S, HOUR_S, QUARTER_S))
STATUS: Final = Cuboid(
    3,
    frozenset({Dimension.SUCCESS, Dimension.ERROR_CODE, Dimension.COST_STATUS}),
    (FIVE_DAYS_S, DAY_S, HOUR_S, QUARTER_S),
)
USER: Final = Cuboid(4, frozenset({Dimension.USER}), (THIRTY_DAYS_S, DAY_S))
DURATION: Final = Cuboid(5, frozenset(), (FIVE_DAYS_S, DAY_S, HOUR_S, QUARTER_S))
PAIR: Final = Cuboid(
    6, frozenset({Dimension.SERVICE, Dimension.PROVIDER, Dimension.MODEL}), (FIVE_DAYS_S, DAY_S, HOUR_S)
)
CUBOIDS: Final = (FULL, SERVICE, MODEL, STATUS, USER, DURATION, PAIR)
LONG_GRAINS: Final = tuple(
    (cuboid.number, grain_s) for cuboid in CUBOIDS for grain_s in cuboid.grains_s if grain_s > DAY_S
)
"""Cuboids with those of their grains whose sums are those of the days in a bucket, not of the rows."""


class RollupEntry(NamedTuple):
    """Hold what one row of ``ai_usage_logs`` adds to the sums (``sign`` +1) or takes back (-1); values as stored."""

    created_at: datetime
    user_id: object
    user_ref: str | None
    service_name: str
    service_action: str | None
    provider: str
    model: str
    success: bool
    error_code: str | None
    cost_status: str
    input_tokens: int
    output_tokens: int
    total_tokens: int
    cache_read_tokens: int | None
    cache_write_tokens: int | None
    reasoning_tokens: int | None
    cost_usd: Decimal
    duration_ms: int | None
    sign: int = 1


ENTRY_COLUMNS: Final = RollupEntry._fields[:-1]
"""The columns of ``ai_usage_logs`` an entry is made of, in its order."""

_entry_values = itemgetter(*(COLUMNS.index(name) for name in ENTRY_COLUMNS))
_stored_values = itemgetter(*ENTRY_COLUMNS)
# As ``_make`` does it, without a call of Python's.
_to_entry: Final[Callable[[tuple[Any, ...]], RollupEntry]] = partial(tuple.__new__, RollupEntry)

# cuboid number, grain, start of the bucket (Unix seconds), the dimensions' values
_Measures = tuple[Any, ...]
_Sums = dict[tuple[Any, ...], _Measures]


def entry_of(row: Row, sign: int = 1) -> RollupEntry:
    """Return the entry of a row as ``storage.row.to_row`` gives it."""
    return _to_entry((*_entry_values(row), sign))


def entry_of_stored(row: asyncpg.Record, sign: int = 1) -> RollupEntry:
    """Return the entry of a stored row, which has the columns of an entry and may have others."""
    return RollupEntry._make((*_stored_values(row), sign))


async def apply(connection: DatabaseConnection, entries: Iterable[RollupEntry]) -> None:
    """Add entries to the sums, inside the caller's transaction and as its last statements before COMMIT.

    Never waits for another writer's rows: the transaction owns a slot of its own until it ends. Writing keys waits
    for a transaction that writes the same new key, in one order everywhere, so that nobody waits in a circle.
    """
    sums, thirty_days_s = _add_up(entries)
    if not sums:
        return
    keys: dict[int, tuple[Any, ...]] = {}
    rows: list[tuple[Any, ...]] = []
    for key, measures in sums.items():
        number, grain_s, start_s = key[:3]
        key_id = _key_id(number, key[3:])
        keys[key_id] = key
        rows.append((number, grain_s, _moment(start_s), key_id, *measures))
    rows.sort()  # by what comes before the measures: no two have the same key
    # The slot first: who owns them all, to forget keys nothing refers to, can be sure that nobody is about to.
    slot = await _own_slot(connection)
    if await connection.fetchval(load_statement("rollup_keys_known"), array_of(keys)) != len(keys):
        await connection.execute(load_statement("rollup_keys_add"), *_key_columns(keys))
    columns = map(array_of, zip(*rows, strict=True))
    thirty_days = None if thirty_days_s is None else datetime.fromtimestamp(thirty_days_s, UTC)
    await connection.execute(load_statement("rollups_add"), slot, thirty_days, *columns)


async def lock_out_writers(connection: DatabaseConnection) -> None:
    """Own every slot until the transaction ends: writers wait at their last step, and none is half done."""
    await connection.execute(load_statement("rollup_slots_all"), LOCK_CLASS, SLOTS)


def user_key_ids(users: Iterable[str]) -> list[int]:
    """Return the ids of users' keys; ``""`` stands for calls without a user, as well as for the user of that name."""
    names = set(users)
    return [_key_id(USER.number, (name,)) for name in (*names, None) if name is not None or "" in names]


def duration_bin(duration_ms: int | None) -> int | None:
    """Return the bin of a duration; 0 holds what is below a millisecond."""
    return None if duration_ms is None else bisect_right(DURATION_BOUNDS_MS, duration_ms)


def duration_of_bin(number: int) -> float:
    """Return the duration that stands for a bin, in milliseconds: the geometric middle of its whole numbers."""
    if number <= 0:
        return 0.0
    lower = DURATION_BOUNDS_MS[number - 1]
    if number == len(DURATION_BOUNDS_MS):
        return float(lower)
    upper = DURATION_BOUNDS_MS[number] - 1
    return float((lower * upper) ** 0.5)


def _add_up(entries: Iterable[RollupEntry]) -> tuple[_Sums, int | None]:
    """Add entries to each cuboid and grain: once by the finest keys, from there to everything coarser.

    Measures are collected by key and added up a column at a time: a quarter of the time of adding call to call. With
    all calls on one day, nearly always, users' sums of thirty days are those of the day: left out, and where they start
    is returned for the statement to add the day's there too.
    """
    calls: dict[tuple[Any, ...], list[_Measures]] = defaultdict(list)
    users: dict[tuple[Any, ...], list[_Measures]] = defaultdict(list)
    durations: dict[tuple[Any, ...], list[_Measures]] = defaultdict(list)
    quarter, quarter_start, quarter_end = 0, _EPOCH, _EPOCH
    for (
        created_at, user_id, user_ref, service, action, provider, model, success, error_code, status,
        input_tokens, output_tokens, total_tokens, cache_read, cache_write, reasoning, cost_usd, duration_ms, sign,
    ) in entries:  # fmt: skip
        measures: _Measures = (
            1, 1 if success else 0, 1 if status in PRICED_STATUSES else 0,
            input_tokens, output_tokens, total_tokens, cache_read or 0, cache_write or 0, reasoning or 0,
            cost_usd, duration_ms or 0, 0 if duration_ms is None else 1,
        )  # fmt: skip
        if sign != 1:
            measures = tuple([sign * measure for measure in measures])
        if not quarter_start <= created_at < quarter_end:  # calls come in order of time: seldom another quarter
            quarter = int(created_at.timestamp() // QUARTER_S)
            quarter_start = datetime.fromtimestamp(quarter * QUARTER_S, UTC)
            quarter_end = quarter_start + _QUARTER
        calls[quarter, service, action, provider, model, success, error_code, status].append(measures)
        users[quarter // _QUARTERS_A_DAY, user_ref if user_id is None else str(user_id)].append(measures)
        durations[quarter, duration_bin(duration_ms)].append(measures)
    sums: _Sums = {}
    for (quarter, *values), group in calls.items():
        measures = _total(group)
        service, action, provider, model, success, error_code, status = values
        start = quarter * QUARTER_S
        hour, day, five_days = (start - start % grain_s for grain_s in (HOUR_S, DAY_S, FIVE_DAYS_S))
        _add(sums, (FULL.number, DAY_S, day, *values), measures)
        coarse = ((HOUR_S, hour), (DAY_S, day), (FIVE_DAYS_S, five_days))
        for grain_s, bucket in coarse:
            _add(sums, (PAIR.number, grain_s, bucket, service, provider, model), measures)
        for grain_s, bucket in ((QUARTER_S, start), *coarse):
            _add(sums, (SERVICE.number, grain_s, bucket, service, action), measures)
            _add(sums, (MODEL.number, grain_s, bucket, provider, model), measures)
            _add(sums, (STATUS.number, grain_s, bucket, success, error_code, status), measures)
    days = {day for day, _ in users}
    for (day, user), group in users.items():
        measures = _total(group)
        start = day * DAY_S
        sums[USER.number, DAY_S, start, user] = measures
        if len(days) > 1:
            _add(sums, (USER.number, THIRTY_DAYS_S, start - start % THIRTY_DAYS_S, user), measures)
    for (quarter, number), group in durations.items():
        measures = _total(group)
        start = quarter * QUARTER_S
        sums[DURATION.number, QUARTER_S, start, number] = measures
        for grain_s in (HOUR_S, DAY_S, FIVE_DAYS_S):
            _add(sums, (DURATION.number, grain_s, start - start % grain_s, number), measures)
    if len(days) != 1:
        return sums, None
    start = days.pop() * DAY_S
    return sums, start - start % THIRTY_DAYS_S


def _total(group: list[_Measures]) -> _Measures:
    return group[0] if len(group) == 1 else tuple([sum(column) for column in zip(*group, strict=True)])


def _add(sums: _Sums, key: tuple[Any, ...], measures: _Measures) -> None:
    known = sums.get(key)
    sums[key] = measures if known is None else tuple(map(add, known, measures))


# Where each cuboid's values stand in ai_usage_rollup_keys: service, action, provider, model, success, error_code,
# cost_status, user_key, duration_bin.
_KEY_WIDTH: Final = 9
_PLACES: Final = {
    FULL.number: range(7),
    SERVICE.number: (0, 1),
    MODEL.number: (2, 3),
    STATUS.number: (4, 5, 6),
    USER.number: (7,),
    DURATION.number: (8,),
    PAIR.number: (0, 2, 3),
}


def _key_columns(keys: dict[int, tuple[Any, ...]]) -> list[list[Any]]:
    rows = []
    for key_id in sorted(keys):
        number, _, _, *values = keys[key_id]
        row: list[Any] = [None] * _KEY_WIDTH
        for place, value in zip(_PLACES[number], values, strict=True):
            row[place] = value
        rows.append((key_id, number, *row))
    return [list(column) for column in zip(*rows, strict=True)]


@lru_cache(maxsize=65_536)
def _key_id(number: int, values: tuple[Any, ...]) -> int:
    """Return the id of a key; the same as ``ai_usage_rollup_key`` in the migrations."""
    parts = [f"{number}|".encode()]
    for value in values:
        if value is None:
            parts.append(b"-")
            continue
        text = (("true" if value else "false") if isinstance(value, bool) else str(value)).encode()
        parts.append(b"%d:%s" % (len(text), text))
    return int.from_bytes(hashlib.sha256(b"".join(parts)).digest()[:8], signed=True)


@lru_cache(maxsize=4_096)
def _moment(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).isoformat()


async def _own_slot(connection: DatabaseConnection) -> int:
    slot = await connection.fetchval(load_statement("rollup_slot_free"), LOCK_CLASS, SLOTS)
    if slot is None:
        slot = await connection.fetchval(load_statement("rollup_slot_wait"), LOCK_CLASS, SLOTS)
    return int(slot)
