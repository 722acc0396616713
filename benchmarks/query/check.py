"""Are an answer of the API and a plain GROUP BY the same, to the last digit?"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benchmarks.query.plain import Sums


def moment(text: str) -> datetime:
    """Read a time of an answer, as UTC."""
    return datetime.fromisoformat(text).astimezone(UTC)


def summary(answer: dict[str, Any], expected: dict[str, dict[str, Sums]]) -> bool:
    """Compare a summary exactly; the base fields, which hold no exact money, as far as they show it."""
    calls, tokens, cost = expected["all"][""]
    same = (answer["total_requests"], answer["total_tokens"]) == (calls, tokens)
    same = same and Decimal(answer["total_cost_usd"]) == cost
    for name in ("provider", "service"):
        same = same and answer[f"by_{name}"] == {value: _rounded(sums) for value, sums in expected[name].items()}
    dearest = dict(sorted(expected["user"].items(), key=lambda item: (-item[1][2], item[0]))[:10])
    for name, groups in (("model", expected["model"]), ("action", expected["action"]), ("user", dearest)):
        same = same and answer[f"by_{name}"] == {
            value: {**_rounded(sums), "cost_usd": f"{sums[2]:.12f}"} for value, sums in groups.items()
        }
    return _report("summary", same)


def timeseries(answer: dict[str, Any], expected: dict[tuple[datetime, str], Sums]) -> bool:
    """Compare every point of every line, exactly."""
    starts = [moment(bucket["start"]) for bucket in answer["buckets"]]
    found = {
        (start, series["name"]): (point["requests"], point["tokens"], Decimal(point["cost_usd"]))
        for series in answer["series"]
        for start, point in zip(starts, series["points"], strict=True)
        if point["requests"]
    }
    return _report(
        "timeseries", found == {(start.astimezone(UTC), name): sums for (start, name), sums in expected.items()}
    )


def breakdown(answer: dict[str, Any], expected: dict[tuple[str, ...], Sums]) -> bool:
    """Compare every row, and the rest with what is left, exactly."""
    left = dict(expected)
    same = True
    for row in answer["rows"]:
        sums = left.pop(tuple(row["group"].values()), None)
        same = same and sums == (row["requests"], row["tokens"], Decimal(row["cost_usd"]))
    other = answer["other"]
    rest = tuple(sum(column) for column in zip(*left.values(), strict=True)) if left else None
    shown = None if other is None else (other["requests"], other["tokens"], Decimal(other["cost_usd"]))
    return _report("breakdown", same and rest == shown)


def _rounded(sums: Sums) -> dict[str, Any]:
    calls, tokens, cost = sums
    return {"tokens": tokens, "cost": float(round(cost, 4)), "requests": calls}


def _report(name: str, same: bool) -> bool:
    if not same:
        print(f"{name} differs from the rows")
    return same
