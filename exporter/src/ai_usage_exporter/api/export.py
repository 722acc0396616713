"""Downloads: calls as CSV or Parquet, a breakdown as CSV; streamed, so that memory does not grow with them."""

import asyncio
import csv
import io
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from fastapi import APIRouter, Depends, Query
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from ai_usage_exporter.api import problem
from ai_usage_exporter.api.parameters import FiltersOf, PeriodOf, only_known_parameters, query_of
from ai_usage_exporter.api.period import Period
from ai_usage_exporter.api.problem import ProblemError
from ai_usage_exporter.api.schemas import Measures
from ai_usage_exporter.api.services import Calls, Reader
from ai_usage_exporter.api.usage import PREFIX, GroupBy, Sort, find_breakdown
from ai_usage_exporter.storage.call_reader import CallRow

if TYPE_CHECKING:
    from pyarrow import Schema

router: Final = APIRouter(prefix=PREFIX, tags=["export"], dependencies=[Depends(only_known_parameters)])

COLUMNS: Final = (
    "id",
    "created_at",
    "user",
    "user_email",
    "service_name",
    "service_action",
    "provider",
    "model",
    "request_model",
    "operation",
    "input_tokens",
    "output_tokens",
    "total_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
    "cost_usd",
    "cost_status",
    "duration_ms",
    "success",
    "error_code",
    "error_message",
    "service_tier",
    "session_id",
    "trace_id",
)
MAX_EXPORTS: Final = 2
"""At a time: each holds a connection of the query pool for as long as its reader takes."""

# What spreadsheets take for the start of a formula, full-width forms included.
_FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
_PARQUET_ROWS: Final = 5_000
"""In one row group: what is held in memory at a time."""
_exports = asyncio.Semaphore(MAX_EXPORTS)


def _file(media_type: str) -> dict[int | str, dict[str, Any]]:
    described: dict[int | str, dict[str, Any]] = {
        200: {
            "description": "The file",
            "content": {media_type: {"schema": {"type": "string", "format": "binary"}}},
        }
    }
    return described | problem.responses(401, 403, 422, 429, 503)


@router.get("/export.csv", operation_id="export_csv", response_class=StreamingResponse, responses=_file("text/csv"))
async def export_csv(calls: Calls, period: PeriodOf, filters: FiltersOf) -> StreamingResponse:
    """Download calls as CSV (UTF-8, RFC 4180), newest first; text that a spreadsheet would run gets a leading quote."""
    batches = calls.stream(query_of(period, filters))
    content = _csv_of(await _first_of(batches), batches)
    return _Download(batches, content, media_type="text/csv; charset=utf-8", headers=_attachment(period, "csv"))


@router.get(
    "/export.parquet",
    operation_id="export_parquet",
    response_class=StreamingResponse,
    responses=_file("application/vnd.apache.parquet") | problem.responses(501),
)
async def export_parquet(
    calls: Calls,
    period: PeriodOf,
    filters: FiltersOf,
    compression: Annotated[Literal["zstd", "snappy", "none"], Query(description="Of the file's columns")] = "zstd",
) -> StreamingResponse:
    """Download calls as Parquet: costs as decimal128(20, 12), times as UTC microseconds."""
    try:
        # A large library: importing it is no work for the loop either.
        schema = await asyncio.to_thread(_parquet_schema)
    except ImportError:
        raise ProblemError(
            501, "not_installed", "Parquet needs an extra: install ai-usage-exporter[parquet], or take export.csv"
        ) from None
    batches = calls.stream(query_of(period, filters), _PARQUET_ROWS)
    return _Download(
        batches,
        _parquet_of(await _first_of(batches), batches, schema, compression),
        media_type="application/vnd.apache.parquet",
        headers=_attachment(period, "parquet"),
    )


def safe_cell(value: Any) -> Any:
    """Return a cell that no spreadsheet takes for a formula; numbers stay numbers."""
    if isinstance(value, str) and value.lstrip(" ").startswith(_FORMULA_STARTS):
        return f"'{value}"
    return value


def csv_lines(rows: Iterable[Sequence[Any]]) -> str:
    """Return rows as CSV."""
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\r\n").writerows([safe_cell(cell) for cell in row] for row in rows)
    return buffer.getvalue()


def _attachment(period: Period, suffix: str) -> dict[str, str]:
    first, last = (moment.astimezone(period.zone).strftime("%Y-%m-%d") for moment in (period.start, period.end))
    return {"content-disposition": f'attachment; filename="ai-usage_{first}_{last}.{suffix}"'}


class _Download(StreamingResponse):
    """Stream calls to a file; however that ends, its place and its connection are given back at once."""

    def __init__(self, batches: AsyncGenerator[list[CallRow], None], content: AsyncGenerator[bytes, None], **rest: Any):
        super().__init__(content, **rest)
        self._open = (content, batches)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            # Not left to the garbage collector: a reader that goes away mid-file leaves both suspended.
            _exports.release()
            for generator in self._open:
                await generator.aclose()


async def _first_of(batches: AsyncGenerator[list[CallRow], None]) -> list[CallRow]:
    """Take a place among the exports and read the first batch: a failure is still a proper error then."""
    if _exports.locked():
        raise ProblemError(
            429, "too_many_exports", f"{MAX_EXPORTS} exports are running: try again", headers={"retry-after": "5"}
        )
    await _exports.acquire()
    try:
        return await anext(batches, [])
    except BaseException:
        _exports.release()
        raise


async def _csv_of(first: list[CallRow], rest: AsyncIterator[list[CallRow]]) -> AsyncGenerator[bytes, None]:
    yield csv_lines([COLUMNS, *map(_csv_row, first)]).encode()
    async for rows in rest:
        yield csv_lines(map(_csv_row, rows)).encode()


def _csv_row(row: Mapping[str, Any]) -> list[Any]:
    values = _values(row)
    values["created_at"] = values["created_at"].isoformat().replace("+00:00", "Z")
    values["success"] = "true" if values["success"] else "false"
    values["cost_usd"] = format(values["cost_usd"], "f")
    return [values[name] for name in COLUMNS]


def _values(row: Mapping[str, Any]) -> dict[str, Any]:
    values = dict(row)
    user_id = values["user_id"]
    values["user"] = str(user_id) if user_id is not None else values["user_ref"]
    values["id"] = str(values["id"])
    values["trace_id"] = values["trace_id"].hex() if values["trace_id"] is not None else None
    return values


def _parquet_schema() -> "Schema":
    import pyarrow

    special = {
        "created_at": pyarrow.timestamp("us", tz="UTC"),
        "cost_usd": pyarrow.decimal128(20, 12),
        "duration_ms": pyarrow.int64(),
        "success": pyarrow.bool_(),
    }
    return pyarrow.schema(
        [
            (name, special.get(name, pyarrow.int64() if name.endswith("_tokens") else pyarrow.string()))
            for name in COLUMNS
        ]
    )


async def _parquet_of(
    first: list[CallRow], rest: AsyncIterator[list[CallRow]], schema: "Schema", compression: str
) -> AsyncGenerator[bytes, None]:
    from pyarrow import Table
    from pyarrow.parquet import ParquetWriter

    sink = _Sink()
    writer = ParquetWriter(sink, schema, compression=compression)

    def write(rows: list[CallRow]) -> bytes:
        values = [_values(row) for row in rows]
        writer.write_table(Table.from_pydict({name: [row[name] for row in values] for name in COLUMNS}, schema))
        return sink.take()

    rows = first
    while rows:
        # Work for a thread: the loop has other requests.
        yield await asyncio.to_thread(write, rows)
        rows = await anext(rest, [])
    await asyncio.to_thread(writer.close)
    yield sink.take()


class _Sink(io.RawIOBase):
    """Collect what is written until it is taken."""

    def __init__(self) -> None:
        super().__init__()
        self._parts: list[bytes] = []
        self._length = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        part = bytes(data)
        self._parts.append(part)
        self._length += len(part)
        return len(part)

    def tell(self) -> int:
        return self._length

    def take(self) -> bytes:
        """Return what was written since the last call."""
        parts, self._parts = self._parts, []
        return b"".join(parts)


@router.get(
    "/breakdown.csv",
    operation_id="export_breakdown_csv",
    response_class=StreamingResponse,
    responses=_file("text/csv"),
)
async def export_breakdown(
    reader: Reader,
    calls: Calls,
    period: PeriodOf,
    filters: FiltersOf,
    group_by: GroupBy,
    sort: Annotated[Sort, Query(description="What rows are ordered by")] = Sort.COST,
    order: Annotated[Literal["desc", "asc"], Query(description="Largest or smallest first")] = "desc",
    limit: Annotated[int, Query(ge=1, le=1000, description="How many rows before 'other'")] = 1000,
) -> StreamingResponse:
    """Download what ``/breakdown`` answers as CSV."""
    found = await find_breakdown(
        reader, calls, period, query_of(period, filters), group_by, sort, order, limit, compare=None
    )
    names = [name for name in Measures.model_fields if name != "cost"]
    rows: list[list[Any]] = [[*found.group_by, *names]]
    rows += [[*row.group.values(), *(getattr(row, name) for name in names)] for row in found.rows]
    if found.other is not None:
        label = f"other ({found.other.groups})"
        rows.append([label, *[""] * (len(found.group_by) - 1), *(getattr(found.other, name) for name in names)])
    return StreamingResponse(
        iter([csv_lines(rows).encode()]), media_type="text/csv; charset=utf-8", headers=_attachment(period, "csv")
    )
