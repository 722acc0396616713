"""What the API answers with. Money comes twice: a rounded number to show, an exact decimal string to add up."""

from __future__ import annotations

from datetime import datetime  # noqa: TC003 - pydantic reads the annotations
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

_EXAMPLE_COST = "12.345600000000"


class GroupSums(BaseModel):
    """Hold the sums of one group of calls."""

    tokens: int = Field(examples=[1250000])
    cost: float = Field(description="US dollars, rounded to 4 decimals", examples=[12.3456])
    requests: int = Field(examples=[420])


class ExactGroupSums(GroupSums):
    """Hold the sums of one group of calls, with money to add up."""

    cost_usd: str = Field(description="US dollars, exact", examples=[_EXAMPLE_COST])


class Measures(BaseModel):
    """Hold everything that is summed about calls."""

    requests: int = Field(examples=[420])
    failed: int = Field(description="Calls that ended in an error", examples=[6])
    success_rate: float = Field(description="Percent, 1 decimal; 0 when there were no calls", examples=[98.6])
    tokens: int = Field(description="Input and output", examples=[1250000])
    input_tokens: int = Field(description="All input, cached included", examples=[1000000])
    output_tokens: int = Field(description="All output, reasoning included", examples=[250000])
    cache_read_tokens: int = Field(description="Input served from the provider's cache", examples=[400000])
    cache_write_tokens: int = Field(description="Input written to the provider's cache", examples=[0])
    reasoning_tokens: int = Field(description="Output spent on reasoning", examples=[90000])
    cost: float = Field(description="US dollars, rounded to 4 decimals", examples=[12.3456])
    cost_usd: str = Field(description="US dollars, exact", examples=[_EXAMPLE_COST])
    priced_requests: int = Field(description="Calls whose cost is known: priced, reported or free", examples=[414])
    priced_share: float | None = Field(description="Percent of calls whose cost is known, 1 decimal", examples=[98.6])
    avg_duration_ms: float | None = Field(description="Mean duration of the calls that have one", examples=[1834.2])


class PeriodInfo(BaseModel):
    """Say which calls were summed: those that started in [from, to)."""

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    start: datetime = Field(alias="from", description="Inclusive", examples=["2026-10-25T14:03:10Z"])
    end: datetime = Field(alias="to", description="Exclusive", examples=["2026-11-24T14:03:10Z"])
    time_zone: str = Field(description="IANA name; what days, weeks and months mean", examples=["Europe/Berlin"])


class Durations(BaseModel):
    """Hold how long calls took."""

    avg_ms: float | None = Field(examples=[1834.2])
    p95_ms: float | None = Field(
        description="95 % of calls took no longer; null without measured calls, or when a filter leaves more than "
        "50,000 calls, for which it is not kept",
        examples=[5120.0],
    )
    p95_error: float = Field(description="Relative error bound of p95_ms; 0 when it is exact", examples=[0.06])


class PreviousPeriod(PeriodInfo):
    """Hold the equally long period before, to compare with."""

    totals: Measures


class Summary(PeriodInfo):
    """Hold the sums of a period."""

    period_days: int = Field(examples=[30])
    total_tokens: int = Field(examples=[1250000])
    total_cost: float = Field(description="US dollars, rounded to 4 decimals", examples=[12.3456])
    total_requests: int = Field(examples=[420])
    success_rate: float = Field(description="Percent, 1 decimal; 0 when there were no calls", examples=[98.6])
    by_provider: dict[str, GroupSums] = Field(description="Dearest first")
    by_service: dict[str, GroupSums] = Field(description="Dearest first")
    currency: str = Field("USD", examples=["USD"])
    total_cost_usd: str = Field(description="US dollars, exact", examples=[_EXAMPLE_COST])
    totals: Measures
    by_model: dict[str, ExactGroupSums] = Field(description="Dearest first")
    by_action: dict[str, ExactGroupSums] = Field(description="Dearest first; '' holds calls without an action")
    by_user: dict[str, ExactGroupSums] = Field(description="The ten dearest users; '' holds calls without a user")
    by_cost_status: dict[str, ExactGroupSums] = Field(
        description="How the cost is known: priced, reported, free, estimated, unpriced, unmetered"
    )
    errors_by_code: dict[str, int] = Field(description="Failed calls by error code; '' is without a code")
    duration: Durations
    previous: PreviousPeriod | None


class Bucket(BaseModel):
    """Hold one step of a time series, in the time zone asked for."""

    start: datetime = Field(examples=["2026-11-24T00:00:00+01:00"])
    end: datetime = Field(examples=["2026-11-25T00:00:00+01:00"])


class Point(BaseModel):
    """Hold one group's sums in one bucket."""

    requests: int = Field(examples=[42])
    failed: int = Field(examples=[1])
    tokens: int = Field(examples=[125000])
    cost: float = Field(description="US dollars, rounded to 6 decimals", examples=[1.234567])
    cost_usd: str = Field(examples=["1.234567000000"])


class Series(BaseModel):
    """Hold one line of a chart; ``points`` has one entry for each bucket."""

    name: str | None = Field(description="The group's value; null when calls have none", examples=["gpt-4o-mini"])
    is_other: bool = Field(description="The sum of all groups beyond the limit", examples=[False])
    totals: Measures
    points: list[Point]


class Timeseries(PeriodInfo):
    """Hold sums over time; empty buckets are there, with zeros."""

    interval: str = Field(examples=["day"])
    group_by: str | None = Field(examples=["model"])
    buckets: list[Bucket]
    series: list[Series] = Field(description="Dearest first, 'other' last; one series when nothing is grouped")
    totals: Measures


class BreakdownRow(Measures):
    """Hold the sums of one group."""

    group: dict[str, str | bool | None] = Field(examples=[{"service": "cv_optimizer", "model": "gpt-4o-mini"}])
    user_email: str | None = Field(None, description="Latest known address, when users are grouped", examples=[None])
    cost_share: float = Field(description="Percent of the period's cost, 1 decimal", examples=[34.5])
    previous: Measures | None = Field(None, description="The group in the period before, with compare=previous")


class OtherRow(Measures):
    """Hold the sums of all groups beyond the limit."""

    groups: int = Field(description="How many groups there are beyond the limit", examples=[12])
    cost_share: float = Field(examples=[3.1])


class Breakdown(PeriodInfo):
    """Hold sums by up to three dimensions."""

    group_by: list[str] = Field(examples=[["service", "model"]])
    sort: str = Field(examples=["cost"])
    order: str = Field(examples=["desc"])
    rows: list[BreakdownRow]
    other: OtherRow | None
    totals: Measures


class Call(BaseModel):
    """Hold one call."""

    id: str = Field(examples=["0193a1b2-c3d4-8e5f-8a6b-7c8d9e0f1a2b"])
    created_at: datetime = Field(description="Start of the call", examples=["2026-11-24T14:03:10.123456Z"])
    user: str | None = Field(description="The user's id, else the user as sent", examples=["user-17"])
    user_email: str | None = Field(examples=[None])
    service: str = Field(examples=["cv_optimizer"])
    action: str | None = Field(examples=["optimize"])
    provider: str = Field(examples=["openai"])
    model: str = Field(examples=["gpt-4o-mini"])
    input_tokens: int = Field(examples=[1000])
    output_tokens: int = Field(examples=[200])
    total_tokens: int = Field(examples=[1200])
    cache_read_tokens: int | None = Field(examples=[100])
    reasoning_tokens: int | None = Field(examples=[None])
    cost: float = Field(description="US dollars, rounded to 6 decimals", examples=[0.00027])
    cost_usd: str = Field(description="US dollars, exact", examples=["0.000270000000"])
    cost_status: str = Field(examples=["priced"])
    duration_ms: int | None = Field(examples=[1250])
    success: bool = Field(examples=[True])
    error_code: str | None = Field(examples=[None])
    trace_id: str | None = Field(description="Hexadecimal", examples=["4bf92f3577b34da6a3ce929d0e0e4736"])


class CallPage(BaseModel):
    """Hold calls, newest first."""

    items: list[Call]
    next_cursor: str | None = Field(description="Give it as 'cursor' for older calls; null at the end", examples=[None])


class CostLine(BaseModel):
    """Hold one line of a call's cost."""

    unit: str = Field(description="What is counted", examples=["input"])
    quantity: int = Field(description="How many of it were billed at this rate", examples=[900])
    rate_usd_per_mtok: str = Field(description="US dollars for a million", examples=["0.15"])
    amount_usd: str = Field(description="quantity × rate ÷ 1,000,000, exact", examples=["0.000135"])


class PriceUsed(BaseModel):
    """Hold the price a call was computed with."""

    source: str = Field(examples=["genai-prices"])
    version: str = Field(examples=["0.2.3"])
    provider: str = Field(examples=["openai"])
    model: str = Field(examples=["gpt-4o-mini"])
    tier: str = Field(examples=[""])
    rates_usd_per_mtok: dict[str, str] = Field(examples=[{"input": "0.15", "output": "0.6"}])


class ShadowSpan(BaseModel):
    """Hold one span that restates the call and is not counted."""

    trace_id: str | None = Field(description="Hexadecimal", examples=["4bf92f3577b34da6a3ce929d0e0e4736"])
    span_id: str | None = Field(description="Hexadecimal", examples=["53995c3f42cd8ad8"])
    reason: str = Field(description="Why it is not a call of its own", examples=["second_instrumentor"])
    details: dict[str, Any] = Field(description="Its columns", examples=[{"emitter": "openllmetry"}])


class CallDetail(Call):
    """Hold one call with everything known about it."""

    user_id: str | None = Field(examples=[None])
    user_ref: str | None = Field(description="The user as sent, when it is no known id", examples=["user-17"])
    request_model: str | None = Field(examples=["gpt-4o-mini"])
    operation: str | None = Field(examples=["chat"])
    cache_write_tokens: int | None = Field(description="Input written to the provider's cache", examples=[0])
    cache_write_1h_tokens: int | None = Field(
        description="Of cache_write_tokens, those kept for an hour", examples=[None]
    )
    input_audio_tokens: int | None = Field(description="Of input_tokens", examples=[None])
    output_audio_tokens: int | None = Field(description="Of output_tokens", examples=[None])
    cache_read_audio_tokens: int | None = Field(
        description="Of both cache_read_tokens and input_audio_tokens", examples=[None]
    )
    input_image_tokens: int | None = Field(description="Of input_tokens", examples=[None])
    output_image_tokens: int | None = Field(description="Of output_tokens", examples=[None])
    reported_cost_usd: str | None = Field(description="The cost the span brought along", examples=[None])
    error_message: str | None = Field(examples=[None])
    metadata: dict[str, Any] | None = Field(examples=[{"plan": "pro"}])
    service_tier: str | None = Field(examples=["default"])
    session_id: str | None = Field(examples=["session-1"])
    provider_response_id: str | None = Field(examples=["chatcmpl-123"])
    span_id: str | None = Field(description="Hexadecimal", examples=["00f067aa0ba902b7"])
    parent_span_id: str | None = Field(description="Hexadecimal", examples=[None])
    emitter: str | None = Field(description="The convention the span was written in", examples=["otel"])
    usage_flags: list[str] = Field(description="What had to be repaired or assumed", examples=[[]])
    ingested_at: datetime = Field(description="When the row was written", examples=["2026-11-24T14:03:12.5Z"])
    price: PriceUsed | None = Field(description="null when the call has no price or brought its cost along")
    calculation: list[CostLine] = Field(description="Adds up to the cost before rounding to 12 decimals")
    shadows: list[ShadowSpan] = Field(description="Up to 100 spans that restate the call and are not counted")


class UserUsage(PeriodInfo):
    """Hold what one user cost."""

    user: str = Field(examples=["user-17"])
    user_email: str | None = Field(description="Latest known address", examples=["user-17@example.com"])
    first_call: datetime | None = Field(description="Of all time", examples=["2026-02-01T09:30:00Z"])
    last_call: datetime | None = Field(description="Of all time", examples=["2026-11-24T14:03:10.123456Z"])
    totals: Measures
    by_service: dict[str, ExactGroupSums] = Field(description="Dearest first")
    by_model: dict[str, ExactGroupSums] = Field(description="Dearest first")


class Meta(BaseModel):
    """Hold what can be filtered by, and how fresh the data is."""

    services: list[str] = Field(examples=[["cv_optimizer", "xray_analyzer"]])
    actions: list[str] = Field(examples=[["analyze", "optimize"]])
    providers: list[str] = Field(examples=[["anthropic", "openai"]])
    models: list[str] = Field(examples=[["claude-haiku-4-5", "gpt-4o-mini"]])
    error_codes: list[str] = Field(examples=[["429"]])
    cost_statuses: list[str] = Field(examples=[["priced", "unpriced"]])
    first_call: datetime | None = Field(description="Start of the oldest call", examples=["2026-02-01T09:30:00Z"])
    last_call: datetime | None = Field(
        description="Start of the newest call: how far the data goes", examples=["2026-11-24T14:03:10.123456Z"]
    )
    now: datetime = Field(description="The server's clock", examples=["2026-11-24T14:03:11Z"])
    currency: str = Field("USD", examples=["USD"])
    role: str = Field(description="What your token may do: admin or viewer", examples=["admin"])
    allowed_services: list[str] | None = Field(
        description="Services your token is limited to; null for all", examples=[None]
    )
    version: str = Field(examples=["0.1.0"])
    otlp_http: str | None = Field(
        description="Where this server takes spans over HTTP, as it listens; null when it takes none",
        examples=["127.0.0.1:4318"],
    )
