"""One form for the spans of a case, whatever ids, clocks, hosts and ports the run had."""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

START_NS: Final = 1_793_534_400_000_000_000
"""2026-11-01T12:00:00Z: where the clock of every case starts."""
_STEP_NS: Final = 1_000_000
"""Between two moments that differ. Clocks of one process differ by less: a span may end before one inside it."""
_RESOURCE_KEPT: Final = re.compile(r"service\.name|telemetry\.sdk\..*|deployment\.environment|telemetry\.distro\..*")
_UUID: Final = re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b")
_HEX_32: Final = re.compile(r"\b[0-9a-f]{32}\b")
_MOMENT: Final = re.compile(r"\b20\d\d-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)?")
_PATH: Final = re.compile(r"(/[\w.+-]+)+/(site-packages|node_modules|programs)/")
_ADDRESS: Final = re.compile(r"0x[0-9a-f]{6,}")
_SECONDS: Final = re.compile(
    r"(duration|latency|time_to|time_per|ttft|tbt|\.ms|_ms|ms_to|msTo|PerSecond|_time|_wait|created)", re.I
)
# No part of what a reader may rely on: what was said and how a host is called.
_STACK: Final = "exception.stacktrace"


def to_normal_form(requests: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the resourceSpans of requests as one list, spans in order of their starts, ids numbered."""
    groups: dict[str, dict[str, Any]] = {}
    spans: list[tuple[dict[str, Any], str, str]] = []
    for request in requests:
        for resource_spans in request.get("resourceSpans", ()):
            resource = _resource(resource_spans.get("resource", {}))
            for scope_spans in resource_spans.get("scopeSpans", ()):
                scope = {key: scope_spans.get("scope", {}).get(key, "") for key in ("name", "version")}
                for span in scope_spans.get("spans", ()):
                    spans.append((span, repr(resource), repr(scope)))
                    groups.setdefault(repr(resource), {"resource": resource, "scopes": {}})
                    groups[repr(resource)]["scopes"].setdefault(repr(scope), {"scope": scope, "spans": []})
    numbers = _Numbers()
    moments = sorted({_time(span, key) for span, *_ in spans for key in ("startTimeUnixNano", "endTimeUnixNano")})
    for span, resource_key, scope_key in sorted(spans, key=lambda item: _order(item[0])):
        groups[resource_key]["scopes"][scope_key]["spans"].append(_span(span, numbers, moments))
    return [{"resource": group["resource"], "scopeSpans": list(group["scopes"].values())} for group in groups.values()]


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


def _attributes(pairs: Iterable[dict[str, Any]], numbers: _Numbers) -> list[dict[str, Any]]:
    return [
        {"key": pair["key"], "value": _value(pair["key"], pair.get("value", {}), numbers)}
        for pair in sorted(pairs, key=lambda pair: str(pair["key"]))
        if pair["key"] != _STACK
    ]


def _value(key: str, value: dict[str, Any], numbers: _Numbers) -> dict[str, Any]:
    if "stringValue" in value:
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
    found = _UUID.sub(lambda match: f"00000000-0000-4000-8000-{numbers.of('uuid', match[0]):012x}", found)
    found = _HEX_32.sub(lambda match: f"{numbers.of('hex', match[0]):032x}", found)
    found = _MOMENT.sub("2026-11-01T12:00:00Z", found)
    found = _PATH.sub(r"\2/", found)
    return _ADDRESS.sub("0x000000", found)


def _resource(resource: dict[str, Any]) -> dict[str, Any]:
    pairs = sorted(resource.get("attributes", ()), key=lambda pair: str(pair["key"]))
    return {"attributes": [pair for pair in pairs if _RESOURCE_KEPT.fullmatch(pair["key"])]}
