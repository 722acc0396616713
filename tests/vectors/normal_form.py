"""One form for the spans and log records of a case, whatever ids, clocks, hosts and ports the run had."""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

START_NS: Final = 1_793_534_400_000_000_000
"""2026-11-01T12:00:00Z: where the clock of every case starts."""
_STEP_NS: Final = 1_000_000
"""Between two moments that differ. Clocks of one process differ by less: a span may end before one inside it."""
_RESOURCE_KEPT: Final = re.compile(r"service\.name|telemetry\.sdk\..*|deployment\.environment|telemetry\.distro\..*")
_UUID: Final = re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b")
_HEX_32: Final = re.compile(r"\b[0-9a-f]{32}(?:[0-9a-f]{32})?\b")
_MOMENT: Final = re.compile(r"\b20\d\d-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)?")
_PATH: Final = re.compile(r"(/[\w.+-]+)+/(site-packages|node_modules|programs)/")
_PORT: Final = re.compile(r"\b127\.0\.0\.1:\d{4,5}\b")
_TOOK: Final = re.compile(r"(took |_ms\": |Duration: )\d+(?:\.\d+)?(?=[^\d.])")
_LONGEST: Final = 4_000
"""Longer texts are what was said to the model."""
_ADDRESS: Final = re.compile(r"0x[0-9a-f]{6,}")
_SECONDS: Final = re.compile(
    r"(duration|latency|time_to|time_per|ttft|tbt|\.ms|_ms|ms_to|msTo|PerSecond|_time|_wait|created|event\.sequence)",
    re.I,
)
# No part of what a reader may rely on: what was said and how a host is called.
_STACK: Final = "exception.stacktrace"


def to_normal_form(
    requests: Iterable[dict[str, Any]], log_requests: Iterable[dict[str, Any]] = ()
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the resourceSpans and resourceLogs of requests, each in order of time, ids numbered."""
    spans, records = _Groups("resourceSpans", "scopeSpans", "spans"), _Groups("resourceLogs", "scopeLogs", "logRecords")
    spans.take(requests)
    records.take(log_requests)
    for number, (record, *_) in enumerate(records.found):
        record["timeUnixNano"] = _time(record, "timeUnixNano") + number  # clocks that tick too slowly for an order
    numbers = _Numbers()
    moments = sorted(
        {_time(span, key) for span, *_ in spans.found for key in ("startTimeUnixNano", "endTimeUnixNano")}
        | {_time(record, "timeUnixNano") for record, *_ in records.found}
    )
    return (
        spans.made(_order, lambda span: _span(span, numbers, moments)),
        records.made(lambda record: _time(record, "timeUnixNano"), lambda record: _record(record, numbers, moments)),
    )


class _Groups:
    """Put what was exported together by resource and scope."""

    def __init__(self, of_resource: str, of_scope: str, items: str) -> None:
        self._names = of_resource, of_scope, items
        self._groups: dict[str, dict[str, Any]] = {}
        self.found: list[tuple[dict[str, Any], str, str]] = []

    def take(self, requests: Iterable[dict[str, Any]]) -> None:
        of_resource, of_scope, items = self._names
        for request in requests:
            for of_one_resource in request.get(of_resource, ()):
                resource = _resource(of_one_resource.get("resource", {}))
                for of_one_scope in of_one_resource.get(of_scope, ()):
                    scope = {key: of_one_scope.get("scope", {}).get(key, "") for key in ("name", "version")}
                    for item in of_one_scope.get(items, ()):
                        self.found.append((item, repr(resource), repr(scope)))
                        self._groups.setdefault(repr(resource), {"resource": resource, "scopes": {}})
                        self._groups[repr(resource)]["scopes"].setdefault(repr(scope), {"scope": scope, items: []})

    def made(self, order: Callable[[Any], Any], make: Callable[[Any], dict[str, Any]]) -> list[dict[str, Any]]:
        _, of_scope, items = self._names
        for item, resource, scope in sorted(self.found, key=lambda found: order(found[0])):
            self._groups[resource]["scopes"][scope][items].append(make(item))
        return [{"resource": group["resource"], of_scope: list(group["scopes"].values())}
                for group in self._groups.values()]  # fmt: skip


class _Numbers:
    """Give ids numbers in the order they are first seen."""

    def __init__(self) -> None:
        self._seen: dict[str, dict[str, int]] = {}

    def of(self, kind: str, found: str) -> int:
        known = self._seen.setdefault(kind, {})
        return known.setdefault(found, len(known) + 1)

    def trace(self, found: str) -> str:
        return f"{self.of('trace', found):032x}"

    def span(self, found: str) -> str:
        return f"{self.of('span', found):016x}"


def _order(span: dict[str, Any]) -> tuple[int, int]:
    return _time(span, "startTimeUnixNano"), -_time(span, "endTimeUnixNano")


def _time(span: dict[str, Any], key: str) -> int:
    return int(span.get(key, 0))


def _hex(found: str) -> str:
    """Return an id as OTLP/JSON writes it; protobuf's own JSON has base64."""
    return found if re.fullmatch(r"[0-9a-f]{16}|[0-9a-f]{32}", found) else base64.b64decode(found).hex()


def _span(span: dict[str, Any], numbers: _Numbers, moments: list[int]) -> dict[str, Any]:
    def moment(key: str) -> str:
        return str(START_NS + _STEP_NS * moments.index(_time(span, key)))

    made: dict[str, Any] = {
        "traceId": numbers.trace(_hex(span["traceId"])),
        "spanId": numbers.span(_hex(span["spanId"])),
    }
    if span.get("parentSpanId"):
        made["parentSpanId"] = numbers.span(_hex(span["parentSpanId"]))
    made |= {
        "name": _text(span["name"], numbers),
        "kind": span.get("kind", 0),
        "startTimeUnixNano": moment("startTimeUnixNano"),
        "endTimeUnixNano": moment("endTimeUnixNano"),
        "attributes": _attributes(span.get("attributes", ()), numbers),
    }
    events = [
        {
            "name": event["name"],
            "timeUnixNano": moment("endTimeUnixNano"),
            "attributes": _attributes(event.get("attributes", ()), numbers),
        }
        for event in span.get("events", ())
        if event.get("name") == "exception"
    ]
    if events:
        made["events"] = events
    if span.get("status"):
        made["status"] = {key: _text(value, numbers) if key == "message" else value
                          for key, value in span["status"].items()}  # fmt: skip
    return made


def _record(record: dict[str, Any], numbers: _Numbers, moments: list[int]) -> dict[str, Any]:
    made: dict[str, Any] = {"timeUnixNano": str(START_NS + _STEP_NS * moments.index(_time(record, "timeUnixNano")))}
    made |= {key: record[key] for key in ("severityNumber", "severityText", "eventName") if key in record}
    if record.get("body"):
        made["body"] = _value("", record["body"], numbers)
    made["attributes"] = _attributes(record.get("attributes", ()), numbers)
    if record.get("traceId"):
        made["traceId"] = numbers.trace(_hex(record["traceId"]))
        made["spanId"] = numbers.span(_hex(record["spanId"]))
    return made


def _attributes(pairs: Iterable[dict[str, Any]], numbers: _Numbers) -> list[dict[str, Any]]:
    return [
        {"key": pair["key"], "value": _value(pair["key"], pair.get("value", {}), numbers)}
        for pair in sorted(pairs, key=lambda pair: str(pair["key"]))
        if pair["key"] != _STACK
    ]


def _value(key: str, value: dict[str, Any], numbers: _Numbers) -> dict[str, Any]:
    if "stringValue" in value:
        if value["stringValue"].isdigit() and _SECONDS.search(key):
            return {"stringValue": "0"}
        return {"stringValue": _text(value["stringValue"], numbers)}
    if "arrayValue" in value:
        return {
            "arrayValue": {"values": [_value(key, item, numbers) for item in value["arrayValue"].get("values", ())]}
        }
    if key == "server.port":
        return {"intValue": "44444"}
    if "intValue" in value:  # a string, as the OTLP rules have it; MessageToDict does the same
        return {"intValue": "0" if _SECONDS.search(key) else str(value["intValue"])}
    if "doubleValue" in value and _SECONDS.search(key):
        return {"doubleValue": 0.25}
    return value


def _text(found: str, numbers: _Numbers) -> str:
    found = found if len(found) <= _LONGEST else found[:100] + "…"
    found = _UUID.sub(lambda match: f"00000000-0000-4000-8000-{numbers.of('uuid', match[0]):012x}", found)
    found = _HEX_32.sub(lambda match: f"{numbers.of('hex', match[0]):032x}", found)
    found = _MOMENT.sub("2026-11-01T12:00:00Z", found)
    found = _PORT.sub("127.0.0.1:44444", found)
    found = _TOOK.sub(r"\g<1>0.25", found)
    found = _PATH.sub(r"\2/", found)
    return _ADDRESS.sub("0x000000", found)


def _resource(resource: dict[str, Any]) -> dict[str, Any]:
    pairs = sorted(resource.get("attributes", ()), key=lambda pair: str(pair["key"]))
    return {"attributes": [pair for pair in pairs if _RESOURCE_KEPT.fullmatch(pair["key"])]}
