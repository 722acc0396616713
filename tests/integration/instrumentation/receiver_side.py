"""What the receiver makes of spans: sent over the wire's own encoding, read, and settled to one row a call."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans

from ai_usage_exporter.calls import decide
from ai_usage_exporter.evidence import evidence_of_record
from ai_usage_exporter.normalize import normalize
from ai_usage_exporter.receiver import protobuf

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry.sdk.trace import ReadableSpan

    from ai_usage_exporter.record import UsageRecord


def rows_of(spans: Sequence[ReadableSpan]) -> list[UsageRecord]:
    """Return the records that become rows."""
    return rows_of_request(encode_spans(spans).SerializeToString())


def rows_of_request(request: bytes) -> list[UsageRecord]:
    """Return the records of an export request that become rows."""
    records = [record for span in protobuf.decode(request).spans if (record := normalize(span)) is not None]
    verdicts = decide([evidence_of_record(record) for record in records])
    return [record for record in records if evidence_of_record(record).id not in verdicts]
