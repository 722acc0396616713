"""Hold what this project reads from a vector against what the vector expects."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ai_usage_exporter.calls import decide
from ai_usage_exporter.evidence import evidence_of_record
from ai_usage_exporter.normalize import normalize
from ai_usage_exporter.receiver import json as otlp_json
from ai_usage_exporter.receiver import logs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ai_usage_exporter.record import Span, UsageRecord

FOLDER: Final = Path(__file__).parent
_PARTS: Final = ("cache_read_tokens", "cache_write_tokens", "cache_write_1h_tokens", "reasoning_tokens")
_MAY_BE_SILENT: Final = (*_PARTS, "output_tokens")


def vectors() -> list[Path]:
    """Return the files of all vectors."""
    return sorted(FOLDER.glob("*/*.json"))


def check(path: Path) -> list[str]:
    """Return what is wrong with the reading of a vector, one sentence a fault; nothing when all is right."""
    vector = json.loads(path.read_text(encoding="utf-8"))
    records = {}
    for name, span in _spans(vector["input"]):
        record = normalize(span)
        if record is not None:
            records[name] = record
    verdicts = decide(evidence_of_record(record) for record in records.values())
    span_of = {record.id: span_id for span_id, record in records.items()}
    rows = {span_id: record for span_id, record in records.items() if record.id not in verdicts}
    expected_rows = {_name(row): row for row in vector["expected"]["rows"]}
    expected_shadows = {_name(shadow): shadow for shadow in vector["expected"]["shadows"]}
    faults = _same_keys("rows", set(expected_rows), set(rows))
    faults += _same_keys("shadows", set(expected_shadows), set(records) - set(rows))
    for span_id in rows.keys() & expected_rows.keys():
        faults += _compare(f"row {span_id}", expected_rows[span_id], rows[span_id])
    for span_id in (records.keys() - rows.keys()) & expected_shadows.keys():
        shadow, record = expected_shadows[span_id], records[span_id]
        verdict = verdicts[record.id]
        found = {"reason": str(verdict.reason), "restates": span_of[verdict.row_id]}
        faults += [f"shadow {span_id}: {key} is {found[key]}, not {shadow[key]}" for key in found
                   if found[key] != shadow[key]]  # fmt: skip
        faults += _compare(f"shadow {span_id}", {k: v for k, v in shadow.items() if k not in found}, record)
    return faults


def _spans(given: dict[str, Any]) -> Iterator[tuple[str, Span]]:
    """Yield (name, span): a span's name is its id, that of a log record its position."""
    for span in otlp_json.decode(json.dumps(given).encode()).spans:
        yield span.span_id.hex(), span
    number = 0
    for resource_logs in given.get("resourceLogs", ()):
        for scope_logs in resource_logs["scopeLogs"]:
            for log_record in scope_logs["logRecords"]:
                alone = scope_logs | {"logRecords": [log_record]}
                request = {"resourceLogs": [resource_logs | {"scopeLogs": [alone]}]}
                for span in logs.decode_json(json.dumps(request).encode()).spans:
                    yield f"record {number}", span
                number += 1


def _name(expected: dict[str, Any]) -> str:
    return str(expected["span_id"]) if "span_id" in expected else f"record {expected['record']}"


def _same_keys(what: str, expected: set[str], found: set[str]) -> list[str]:
    return [f"{what}: missing {span}" for span in sorted(expected - found)] + [
        f"{what}: {span} is none" for span in sorted(found - expected)
    ]


def _compare(what: str, expected: dict[str, Any], record: UsageRecord) -> list[str]:
    found = record._asdict() | record.usage._asdict()
    faults = []
    for key, value in expected.items():
        if key in {"span_id", "record"}:
            continue
        actual = list(found[key]) if key == "usage_flags" else found[key]
        if key == "reported_cost_usd" and actual is not None:
            same = value is not None and actual == Decimal(value)
        elif key == "metadata":
            same = (actual or {}).items() >= value.items()
        else:
            # A row holds 0 for an output that was not reported; embeddings have none.
            same = actual == value or (key in _MAY_BE_SILENT and not actual and not value)
        if not same:
            faults.append(f"{what}: {key} is {actual!r}, not {value!r}")
    # A part that is not named is 0, or was not reported.
    faults += [f"{what}: {key} is {found[key]!r}, not 0" for key in _PARTS if key not in expected and found[key]]
    if "usage_flags" not in expected:
        allowed = {"agent_total", "wrapper", "gateway"} if what.startswith("shadow") else set()
        faults += [f"{what}: flagged {flag}" for flag in record.usage_flags if flag not in allowed]
    return faults
