"""Erase a person from what is parked in the quarantine, as it was received."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from ai_usage_exporter.storage.identity import SHORTEST_IN_TEXT
from ai_usage_exporter.storage.statement import load_statement

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ai_usage_exporter.storage.connection import DatabaseConnection
    from ai_usage_exporter.storage.identity import Eraser

_IDENTIFYING: Final = ("user", "email", "session")
"""Words in the keys of attributes that identify a person besides the one that names them."""


async def erase_from_parked(
    connection: DatabaseConnection, eraser: Eraser, names: Sequence[bytes], patterns: Sequence[str]
) -> int:
    """Rewrite the entries that name a person, in the caller's transaction; returns how many.

    A replay of such an entry gives the call without its user. The digest stays: the same thing sent again is not
    parked a second time.
    """
    rows = await connection.fetch(load_statement("erase_parked"), names, patterns, timeout=None)
    for row in rows:
        raw = clean(row["kind"], row["raw"], eraser, names)
        await connection.execute(
            "UPDATE ai_usage_quarantine SET raw = $2, detail = $3 WHERE id = $1",
            row["id"],
            raw,
            eraser.text(row["detail"]),
        )
    return len(rows)


def clean(kind: str, raw: bytes, eraser: Eraser, names: Sequence[bytes]) -> bytes:
    """Return what was received without the person; what cannot be decoded has the bytes of their name replaced."""
    try:
        if kind == "span":
            request = ExportTraceServiceRequest.FromString(raw)
            _clean_request(request, eraser)
            raw = request.SerializeToString()
        elif kind == "record":
            raw = _clean_record(raw, eraser)
    except (DecodeError, ValueError):
        pass
    for name in names:
        if len(name) >= SHORTEST_IN_TEXT:
            raw = raw.replace(name, b"x" * len(name))  # as long as it was: lengths around it stay right
    return raw


def _clean_record(raw: bytes, eraser: Eraser) -> bytes:
    record: dict[str, Any] = json.loads(raw)
    fields = ("user", "user_email")
    if any(eraser.is_name(record.get(field)) for field in fields):
        record |= {field: None for field in (*fields, "session_id") if field in record}
    return json.dumps(eraser.value(record), sort_keys=True).encode()


def _clean_request(request: ExportTraceServiceRequest, eraser: Eraser) -> None:
    for of_resource in request.resource_spans:
        _clean_attributes(of_resource.resource.attributes, eraser)
        for of_scope in of_resource.scope_spans:
            _clean_attributes(of_scope.scope.attributes, eraser)
            for span in of_scope.spans:
                span.name = eraser.text(span.name)
                span.status.message = eraser.text(span.status.message)
                parts: list[Any] = [span, *span.events, *span.links]
                for part in parts:
                    _clean_attributes(part.attributes, eraser)


def _clean_attributes(attributes: Any, eraser: Eraser) -> None:
    # An attribute that is nothing but the name says whose it is: it goes, and with it what else says who that is, so
    # that a replay has no user at all.
    names = [attribute.key for attribute in attributes if eraser.is_name(_scalar(attribute.value))]
    kept = [
        attribute
        for attribute in attributes
        if attribute.key not in names and not (names and any(word in attribute.key for word in _IDENTIFYING))
    ]
    for attribute in kept:
        _clean_values([attribute.value], eraser)
    del attributes[:]
    attributes.extend(kept)


def _clean_values(values: Iterable[Any], eraser: Eraser) -> None:
    for value in values:
        match value.WhichOneof("value"):
            case "string_value":
                value.string_value = eraser.text(value.string_value)
            case "array_value":
                _clean_values(value.array_value.values, eraser)
            case "kvlist_value":
                _clean_attributes(value.kvlist_value.values, eraser)


def _scalar(value: Any) -> object:
    kind = value.WhichOneof("value")
    return getattr(value, kind) if kind in {"string_value", "int_value"} else None
