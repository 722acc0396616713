"""The one export behind every transport: spans in, committed rows out."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import traceback
from collections import Counter
from contextlib import AsyncExitStack, contextmanager, suppress
from pathlib import PurePath
from time import perf_counter, time_ns
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from ai_usage_exporter.errors import PermanentError, RetryableError, UnstorableError
from ai_usage_exporter.metrics import Metrics
from ai_usage_exporter.receiver.access import ANYBODY
from ai_usage_exporter.receiver.allowance import Allowance
from ai_usage_exporter.storage.quarantine import ParkedSpan
from ai_usage_exporter.storage.repair import mark_mended

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence

    from ai_usage_exporter.errors import MalformedError
    from ai_usage_exporter.receiver.access import Sender
    from ai_usage_exporter.receiver.protobuf import DecodedRequest
    from ai_usage_exporter.record import PricedCall, Span, UsageRecord
    from ai_usage_exporter.storage.batch import RawOf, WriteOutcome

_log = logging.getLogger(__name__)

_NO_TRACE_ID: Final = bytes(16)
_NO_SPAN_ID: Final = bytes(8)

SPANS_AT_ONCE: Final = 128
"""How many spans are read before others have their turn: about a millisecond."""
HEAD_BYTES: Final = 1_024
"""How much of a body that could not be decoded is kept."""
BODIES_A_SECOND: Final = 1.0
"""How many of them are kept at most, in the long run: who sends nothing else must not fill the database."""
KEPT_WITHIN_S: Final = 1.0
"""How long the refusal of such a body waits for its being kept."""


class ExportOutcome(NamedTuple):
    """Say what became of a request: ``rejected`` spans will never be stored; ``message`` is empty when all is well."""

    rejected: int = 0
    message: str = ""


class Submit(Protocol):
    """Store calls; return once they are committed."""

    def __call__(
        self,
        calls: Sequence[PricedCall],
        *,
        parked: Sequence[ParkedSpan] = (),
        raw_of: RawOf | None = None,
        size_bytes: int | None = None,
    ) -> Awaitable[WriteOutcome]:
        """Raise ``RetryableError`` when that is not possible now."""
        ...


class ExportService:
    """Turn the spans of a request into committed usage.

    Returns only after COMMIT. Raises ``RetryableError`` when the sender is to try again; the same spans sent again add
    nothing.
    """

    def __init__(
        self,
        submit: Submit,
        *,
        normalize: Callable[[Span], UsageRecord | None],
        price: Callable[[UsageRecord], PricedCall],
        metrics: Metrics | None = None,
    ) -> None:
        self._submit = submit
        self._normalize = normalize
        self._price = price
        self._metrics = metrics or Metrics()
        self._bodies = Allowance("malformed bodies", BODIES_A_SECOND)
        self._reading = asyncio.Lock()
        self._read = 0

    async def export(
        self,
        decode: Callable[[], DecodedRequest],
        *,
        transport: str,
        size_bytes: int | None = None,
        sender: Sender = ANYBODY,
    ) -> ExportOutcome:
        """Store what the spans of a request say about usage; ignore (and count) spans that say nothing of it.

        ``transport`` is ``grpc`` or ``http``. Raises what ``decode`` raises.
        """
        async with AsyncExitStack() as turn:
            # Requests that come together are read one after the other: the database's answers are heard in between,
            # and it is not kept waiting with a transaction open.
            await turn.enter_async_context(self._reading)
            request = decode()
            return await self._export(request, turn, transport=transport, size_bytes=size_bytes, sender=sender)

    async def _export(
        self,
        request: DecodedRequest,
        turn: AsyncExitStack,
        *,
        transport: str,
        size_bytes: int | None,
        sender: Sender,
    ) -> ExportOutcome:
        metrics = self._metrics
        received = len(request.spans)
        oldest_end_ns = min((span.end_ns for span in request.spans), default=0)
        start = perf_counter()
        try:
            with _counted(sender, received):
                outcome = await self._store(request, turn, size_bytes, sender.services)
        except Exception as error:
            metrics.refused[transport].inc(received)
            metrics.requests[transport, "refused" if isinstance(error, PermanentError) else "retry"].inc()
            raise
        finally:
            metrics.seconds[transport].observe(perf_counter() - start)
        if oldest_end_ns:
            metrics.lag.observe(max(0, time_ns() - oldest_end_ns) / 1e9)
        metrics.accepted[transport].inc(received - outcome.rejected)
        metrics.refused[transport].inc(outcome.rejected)
        metrics.requests[transport, "partial" if outcome.message else "ok"].inc()
        return outcome

    async def keep_malformed(self, body: bytes, error: MalformedError, sender: Sender) -> None:
        """Keep the head of a body that could not be decoded, its size, its hash and who sent it, for people to read.

        Nothing depends on it: when there are many, or the database is away, it is left out.
        """
        with suppress(RetryableError, TimeoutError):
            self._bodies.take(1)
            digest = (await asyncio.to_thread(hashlib.sha256, body)).digest()
            detail = f"{error} (sent with key {sender.name or 'none'}; {len(body)} bytes, SHA-256 {digest.hex()})"
            head = ParkedSpan(
                "malformed", detail, body[:HEAD_BYTES], kind="body", raw_bytes=len(body), whole_digest=digest
            )
            async with asyncio.timeout(KEPT_WITHIN_S):
                await self._submit([], parked=[head])

    async def _store(
        self, request: DecodedRequest, turn: AsyncExitStack, size_bytes: int | None, services: frozenset[str] | None
    ) -> ExportOutcome:
        calls: list[PricedCall] = []
        positions: list[int] = []
        parked: list[ParkedSpan] = []
        ignored = refused = 0
        normalize, price = self._normalize, self._price
        oversized, is_mended = request.oversized, request.is_mended
        for index, span in enumerate(request.spans):
            self._read += 1
            if self._read % SPANS_AT_ONCE == 0:
                await asyncio.sleep(0)
            if not _has_ids(span):
                refused += 1
                continue
            if index in oversized:
                count, limit = oversized[index], request.limits.max_attributes
                detail = f"{count} attributes: the limit is {limit} (AI_USAGE_MAX_ATTRIBUTES)"
                parked.append(ParkedSpan("too_many_attributes", detail, request.raw(index)))
                continue
            try:
                record = normalize(span)
                if is_mended and record is not None:
                    record = mark_mended(record)
                call = price(record) if record is not None else None
            except UnstorableError as error:
                parked.append(ParkedSpan(error.reason, str(error), request.raw(index)))
                continue
            except Exception as error:
                # A span nobody foresaw must not take its batch with it: it is kept, and can be replayed.
                # Without the error's text and frames: they may hold what the sender sent.
                _log.error("a span could not be read: %s in %s", type(error).__name__, _place(error))
                parked.append(ParkedSpan("unreadable", f"{type(error).__name__}: {error}", request.raw(index)))
                continue
            if call is None:
                ignored += 1
            elif services is not None and call.record.service_name not in services:
                name = call.record.service_name
                detail = f"the key it came with may not send for service {name!r}"
                parked.append(ParkedSpan("foreign_service", detail, request.raw(index), service_name=name))
            else:
                calls.append(call)
                positions.append(index)
        await turn.aclose()
        request.spans.clear()  # not needed any more, and the calls may wait for the database a while
        quarantined = 0
        if calls or parked:
            outcome = await self._submit(
                calls,
                parked=parked,
                raw_of=lambda position: request.raw(positions[position]),
                size_bytes=size_bytes,
            )
            quarantined = outcome.quarantined
            fates = self._metrics.fates
            fates["stored"].inc(outcome.stored)
            fates["duplicate"].inc(outcome.duplicates)
            fates["shadow"].inc(outcome.shadows)
            fates["quarantined"].inc(quarantined)
            for status, count in Counter([cost.status for _, cost in calls]).items():
                self._metrics.costs[status].inc(count)
        self._metrics.fates["ignored"].inc(ignored)
        return ExportOutcome(refused, _message(refused, quarantined, request))


@contextmanager
def _counted(sender: Sender, spans: int) -> Iterator[None]:
    """Take ``spans`` off what a sender may send, unless they will be sent again."""
    if sender.allowance is None:
        yield
        return
    sender.allowance.take(spans)
    try:
        yield
    except RetryableError:
        sender.allowance.give_back(spans)
        raise


def _has_ids(span: Span) -> bool:
    trace_id, span_id = span[:2]
    return len(trace_id) == 16 and len(span_id) == 8 and trace_id != _NO_TRACE_ID and span_id != _NO_SPAN_ID


def _place(error: Exception) -> str:
    """Return file and line where ``error`` was raised."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{PurePath(frame.filename).name}:{frame.lineno}"


def _message(refused: int, quarantined: int, request: DecodedRequest) -> str:
    parts = []
    if refused:
        parts.append(f"{refused} spans have no valid trace id and span id (16 and 8 bytes, not all zero)")
    if quarantined:
        parts.append(f"{quarantined} spans could not be stored as usage and are kept in quarantine")
    if request.oversized:
        limit = f"{request.limits.max_attributes} (AI_USAGE_MAX_ATTRIBUTES)"
        parts.append(
            f"{len(request.oversized)} of them have up to {max(request.oversized.values())} attributes, over {limit}"
        )
    if request.cut_values:
        limit = f"{request.limits.max_value_bytes} bytes (AI_USAGE_MAX_VALUE_BYTES)"
        parts.append(
            f"{request.cut_values} attribute values are longer than {limit} and were cut; their spans are counted"
        )
    return "; ".join(parts)
