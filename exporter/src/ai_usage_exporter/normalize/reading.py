"""What a dialect says about a span, and the one way from there to a usage record."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from ai_usage import semconv
from ai_usage.tokens import usage_of
from ai_usage_exporter.errors import UnstorableError
from ai_usage_exporter.normalize.arbiter import settle_totals
from ai_usage_exporter.normalize.failures import error_class
from ai_usage_exporter.normalize.identity import row_id
from ai_usage_exporter.normalize.keys import KEYS_OF, Fact
from ai_usage_exporter.normalize.providers import canonical_provider
from ai_usage_exporter.normalize.shape import read_facts
from ai_usage_exporter.normalize.values import dollars, text, whole
from ai_usage_exporter.record import UsageRecord

if TYPE_CHECKING:
    from collections.abc import Callable
    from decimal import Decimal

    from ai_usage_exporter.normalize.shape import Shape
    from ai_usage_exporter.record import Attributes, Span

AGENT_TOTAL: Final = "agent_total"
"""Flag of a record that sums up calls of an agent: the row only when none of them is known."""
WRAPPER: Final = "wrapper"
"""Flag of a record made by what stands around a call and repeats its numbers."""
GATEWAY: Final = "gateway"
"""Flag of a record made by a proxy that passed the call on."""
ESTIMATED_TOKENS: Final = "estimated_tokens"
"""Flag of a record whose emitter counts tokens itself when the provider does not say."""
PARTIAL: Final = "partial"
"""Flag of a record whose stream ended before the provider's final numbers."""
EMITTER_MISCOUNTS: Final = "emitter_miscounts"
"""Flag of a record whose emitter is known to report a wrong number here that nothing on the span can repair."""

COMPACTION_ADDED: Final = "compaction_added"
"""Flag of a record whose numbers hold what summing up the conversation cost, which other libraries leave out."""

EARLIEST_NS: Final = 1_420_070_400 * 1_000_000_000
"""2015-01-01: no span of a model call is older, but clocks that were never set are."""
LATEST_NS: Final = 4_102_444_800 * 1_000_000_000
"""2100-01-01."""
_to_datetime: Final = datetime.fromtimestamp
_STATUS_ERROR: Final = 2
# As ``_make`` does it, without a call of Python's.
_to_usage_record: Final[Callable[[tuple[Any, ...]], UsageRecord]] = partial(tuple.__new__, UsageRecord)


class Reading(NamedTuple):
    """Hold what a dialect knows about a span beyond the keys it shares with all others."""

    emitter: str
    operation: str
    attributes: Attributes
    """The span's own, or with what the dialect found elsewhere under the keys of ``normalize.keys``."""
    flags: tuple[str, ...] = ()
    cache_apart: bool = False
    """Input leaves out what was read from and written to the provider's cache."""
    reasoning_apart: bool = False
    """Output leaves out reasoning."""
    output_may_lack: bool = False
    """Output leaves out what is not reported apart either; a total tells."""
    provider: str | None = None
    """What the emitter always is a client of, where it does not say so."""
    error: str | None = None
    scope: str | None = None
    """The library, where one instrumentation scope stands for several."""


def has_usage(attributes: Attributes) -> bool:
    """Tell whether any count of tokens is reported."""
    return any(attributes.get(key) is not None for key in _USAGE_KEYS)


_USAGE_KEYS: Final = KEYS_OF[Fact.INPUT] + KEYS_OF[Fact.OUTPUT] + KEYS_OF[Fact.TOTAL]


def to_record(span: Span, reading: Reading) -> UsageRecord:
    """Return the usage record of a span; raises ``UnstorableError`` for numbers and times that cannot be billed."""
    # Unpacked at once: to look up each by its name would be a tenth of the whole.
    trace_id, span_id, parent_span_id, _, _, start_ns, end_ns, _, resource, scope_name, _, status_code, _, _ = span
    (
        emitter, operation, attributes, flags, cache_apart, reasoning_apart, output_may_lack, provider, failure, scope,
    ) = reading  # fmt: skip
    if not EARLIEST_NS <= start_ns < LATEST_NS:
        raise UnstorableError("time_out_of_range", f"start = {start_ns} ns: not between 2015 and 2100")
    shape, found, values = read_facts(attributes)
    if not shape.has_whole_counts:
        found = _with_whole_counts(found)
    # In the order of Fact.
    (
        _, named, request_model, response_model, response_id,
        input_tokens, output_tokens, total, cache_read, cache_write, cache_write_1h, reasoning,
        input_audio, output_audio, cache_read_audio, input_image, output_image,
        cost, _, _, user, user_email, session_id, service, action, tier, error, address, partial, cache_hit,
    ) = found  # fmt: skip
    model = response_model or request_model
    provider = canonical_provider(named or provider, address, model)
    if (
        total is not None
        or cache_write
        or reasoning
        or (cache_read and (cache_apart or cache_read > (input_tokens or 0)))
    ):
        input_tokens, output_tokens, repairs = settle_totals(
            input_tokens,
            output_tokens,
            (cache_read or 0) + (cache_write or 0),
            reasoning or 0,
            total,
            cache_apart=cache_apart,
            reasoning_apart=reasoning_apart,
            output_may_lack=output_may_lack or provider in _THINKS_APART,
        )
        flags += repairs
    error = failure or error
    message = None
    if error is not None or status_code == _STATUS_ERROR:
        error, message = _failure(span, error)
    if partial is True:
        flags += (PARTIAL,)
    # In the order of UsageRecord's fields: as a tuple it is made three times as fast as by keywords.
    return _to_usage_record(
        (
            row_id(trace_id, span_id, start_ns),
            trace_id,
            span_id,
            parent_span_id or None,
            # Exact: until 2106 a float of seconds lies within a quarter of a microsecond of what it stands for.
            _to_datetime(start_ns // 1000 / 1_000_000, UTC),
            (end_ns - start_ns) // 1_000_000 if end_ns >= start_ns else None,
            service or text(resource.get(semconv.RESOURCE_SERVICE_NAME)) or "unknown",
            action or operation,
            operation,
            provider,
            model or "unknown",
            request_model,
            usage_of(
                (
                    input_tokens, output_tokens, cache_read, cache_write, cache_write_1h, reasoning,
                    input_audio, output_audio, cache_read_audio, input_image, output_image,
                )
            ),
            None if cost is None else _reported_cost(shape, found, attributes),
            error is None,
            error,
            message,
            user,
            user_email,
            session_id,
            response_id,
            None if tier is None else tier.lower(),
            cache_hit is not None and cache_hit in (True, "true", "True"),
            emitter,
            tuple(sorted(set(flags))) if flags else (),
            {name: values[position] for name, position in shape.labels} if shape.labels else None,
            scope or scope_name or emitter,
        )
    )  # fmt: skip


def _with_whole_counts(found: tuple[Any, ...]) -> tuple[Any, ...]:
    counts = [whole(found[fact], KEYS_OF[fact][0]) for fact in range(Fact.INPUT, Fact.COST)]
    return (*found[: Fact.INPUT], *counts, *found[Fact.COST :])


_THINKS_APART: Final = frozenset({"gcp.gemini", "gcp.vertex_ai"})


def _reported_cost(shape: Shape, found: tuple[Any, ...], attributes: Attributes) -> Decimal | None:
    """Return a cost in US dollars that came with the span; one that our own side computed is computed here again."""
    value = found[Fact.COST]
    if shape.has_own_cost:
        if found[Fact.COST_CURRENCY] not in (None, "USD"):
            return None
        if found[Fact.COST_SOURCE] == "local":
            others = (attributes.get(key) for key in KEYS_OF[Fact.COST][1:])
            value = next((other for other in others if other is not None), None)
    return dollars(value, "reported cost")


def _failure(span: Span, error: str | None) -> tuple[str, str | None]:
    """Return the error class and a message of a failed span: its own, else the exception event's."""
    message = span.status_message or None
    for event in span.events:
        if event.name == "exception":
            error = error or text(event.attributes.get("exception.type"))
            message = message or text(event.attributes.get("exception.message"))
            break
    return error_class(error) if error else "_OTHER", message
