"""The decision table of ADR 0030, line by line: which span is the row, which are shadows, and why."""

from __future__ import annotations

import itertools
import random
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ai_usage.tokens import NOT_REPORTED, TokenUsage
from ai_usage_exporter.calls import decide
from ai_usage_exporter.evidence import evidence_of_record
from tests.factories import make_record

if TYPE_CHECKING:
    from ai_usage_exporter.calls import Verdict
    from ai_usage_exporter.evidence import Evidence

START = datetime(2026, 11, 3, 12, 0, tzinfo=UTC)
TRACE = bytes(range(16))
OTHER_TRACE = bytes(range(1, 17))

OURS = "ai_usage.openai"
OFFICIAL = "opentelemetry.instrumentation.genai.openai"
OPENINFERENCE = "openinference.instrumentation.openai"
OPENLLMETRY = "opentelemetry.instrumentation.openai.v1"
LANGCHAIN = "openinference.instrumentation.langchain"
NATIVE = "com.anthropic.sdk.python"
LITELLM = "litellm"
PYDANTIC = "pydantic-ai"
_EMITTERS = {
    OURS: "ai_usage",
    OFFICIAL: "otel",
    OPENINFERENCE: "openinference",
    OPENLLMETRY: "openllmetry",
    LANGCHAIN: "openinference",
    NATIVE: "anthropic_sdk",
    LITELLM: "litellm",
    PYDANTIC: "pydantic_ai",
}


def span(
    name: str,
    scope: str = OURS,
    *,
    at: float = 0,
    lasts: float = 1000,
    within: str | None = None,
    tokens: tuple[int, int] | None = (100, 50),
    flags: tuple[str, ...] = (),
    **changes: Any,
) -> Evidence:
    """Return a span; ``at`` and ``lasts`` in milliseconds, ``within`` the name of its parent."""
    fields: dict[str, Any] = {
        "trace_id": TRACE,
        "span_id": _span_id(name),
        "parent_span_id": None if within is None else _span_id(within),
        "created_at": START + timedelta(milliseconds=at),
        "duration_ms": int(lasts),
        "model": "gpt-4o-mini-2024-07-18",
        "request_model": "gpt-4o-mini",
        "usage": NOT_REPORTED if tokens is None else TokenUsage(*tokens),
        "response_id": None,
        "emitter": _EMITTERS[scope],
        "scope": scope,
        "usage_flags": flags,
    }
    return evidence_of_record(make_record(**(fields | changes)))


def _span_id(name: str) -> bytes:
    return name.encode().ljust(8, b"_")


def outcome(*spans: Evidence) -> dict[str, str]:
    """Return name → "row" or "<reason> of <row>", and assert that the order of the spans does not matter."""
    names = {each.id: each.span_id.rstrip(b"_").decode() for each in spans}
    found = decide(spans)
    orders = (
        itertools.permutations(spans)
        if len(spans) < 6
        else (random.Random(n).sample(spans, len(spans)) for n in range(50))
    )
    for order in orders:
        assert decide(order) == found
    return {names[each.id]: _said(found.get(each.id), names) for each in spans}


def _said(verdict: Verdict | None, names: dict[Any, str]) -> str:
    if verdict is None:
        return "row"
    partly = ", partly" if verdict.is_partly_covered else ""
    return f"{verdict.reason} of {names[verdict.row_id]}{partly}"


def test_spans_of_different_traces_are_calls_of_their_own() -> None:
    assert outcome(span("a"), span("b", OFFICIAL, trace_id=OTHER_TRACE)) == {"a": "row", "b": "row"}


def test_one_library_makes_one_span_a_call_however_alike_they_look() -> None:
    """Line 1."""
    same = {"response_id": "chatcmpl-123"}
    assert outcome(span("a", **same), span("b", **same), span("c", at=5, within="a", **same)) == {
        "a": "row", "b": "row", "c": "row",
    }  # fmt: skip


def test_same_trace_and_response_id_is_one_call() -> None:
    """Line 2."""
    same = {"response_id": "chatcmpl-1"}
    assert outcome(span("ours", **same), span("theirs", OPENLLMETRY, at=-1, lasts=1002, **same)) == {
        "ours": "row", "theirs": "second_instrumentor of ours",
    }  # fmt: skip


def test_same_response_id_of_another_model_is_another_call() -> None:
    """Line 3."""
    same = {"response_id": "chatcmpl-1"}
    other = {"model": "gpt-4o", "request_model": "gpt-4o"}
    assert outcome(span("a", **same), span("b", OFFICIAL, **same, **other)) == {"a": "row", "b": "row"}


def test_same_response_id_with_incompatible_tokens_is_another_call() -> None:
    """Line 4."""
    same = {"response_id": "chatcmpl-1"}
    assert outcome(span("a", **same), span("b", OFFICIAL, tokens=(7, 3), **same)) == {"a": "row", "b": "row"}


def test_same_response_id_in_another_trace_at_another_time_is_another_call() -> None:
    """Line 7."""
    same = {"response_id": "chatcmpl-1"}
    later = span("b", OFFICIAL, at=60_000, trace_id=OTHER_TRACE, **same)
    assert outcome(span("a", **same), later) == {"a": "row", "b": "row"}


def test_same_response_id_in_another_trace_at_the_same_time_is_one_call() -> None:
    """Line 5."""
    same = {"response_id": "msg_1", "model": "claude-sonnet-4-5", "request_model": None}
    native = span("native", NATIVE, trace_id=OTHER_TRACE, **same)
    assert outcome(span("ours", OURS, **same), native) == {"ours": "row", "native": "second_instrumentor of ours"}


def test_sdk_span_in_a_trace_of_its_own_inside_a_frameworks_span_is_its_call() -> None:
    """Line 16."""
    chain = span("chain", LANGCHAIN, at=-1, lasts=1002, within="runnable")
    assert outcome(chain, span("sdk", OPENINFERENCE, trace_id=OTHER_TRACE)) == {"chain": "wrapper of sdk", "sdk": "row"}


@pytest.mark.parametrize(
    "change",
    [
        {"within": "request"},
        {"tokens": (100, 51)},
        {"service_name": "other"},
        {"at": 500},
        {"model": "gpt-4o", "request_model": None},
        {"scope": OFFICIAL, "framework": OPENINFERENCE},
    ],
    ids=["has a parent", "other tokens", "other service", "not within", "other model", "no framework"],
)
def test_sdk_span_in_a_trace_of_its_own_is_its_own_call_otherwise(change: dict[str, Any]) -> None:
    """Line 17."""
    chain = span("chain", change.pop("framework", LANGCHAIN), at=-1, lasts=1002)
    sdk = span("sdk", **({"scope": OPENINFERENCE, "trace_id": OTHER_TRACE} | change))
    assert outcome(chain, sdk) == {"chain": "row", "sdk": "row"}


def test_gateway_in_its_own_trace_restates_its_clients_call() -> None:
    """Line 6."""
    same = {"response_id": "chatcmpl-1"}
    proxy = span(
        "proxy", LITELLM, at=20, lasts=950, trace_id=OTHER_TRACE, flags=("gateway",), service_name="proxy", **same
    )
    assert outcome(span("client", **same), proxy) == {"client": "row", "proxy": "gateway of client"}


def test_gateway_that_uses_the_clients_library_restates_its_call() -> None:
    """Line 8."""
    same = {"response_id": "chatcmpl-1"}
    proxy = span("proxy", at=20, lasts=950, within="client", service_name="proxy", **same)
    assert outcome(span("client", **same), proxy) == {"client": "row", "proxy": "gateway of client"}


def test_gateway_alone_is_the_row() -> None:
    assert outcome(span("proxy", LITELLM, flags=("gateway",))) == {"proxy": "row"}


def test_gateway_that_gives_ids_of_its_own_restates_the_call_inside_it() -> None:
    """Line 15."""
    litellm = span("litellm", LITELLM, at=-5, lasts=1010, flags=("gateway",), response_id="chatcmpl-own")
    assert outcome(litellm, span("sdk", within="litellm", response_id="chatcmpl-1")) == {
        "litellm": "gateway of sdk", "sdk": "row",
    }  # fmt: skip


def test_span_without_response_id_restates_its_parent() -> None:
    """Line 10."""
    inner = span("inner", OPENINFERENCE, at=1, lasts=998, within="outer")
    assert outcome(span("outer", OFFICIAL, response_id="chatcmpl-1"), inner) == {
        "outer": "row", "inner": "second_instrumentor of outer",
    }  # fmt: skip


def test_siblings_with_the_same_tokens_within_each_others_time_are_one_call() -> None:
    """Line 11."""
    inner = span("inner", OPENINFERENCE, at=1, lasts=998)
    assert outcome(span("outer", OFFICIAL, response_id="chatcmpl-1"), inner) == {
        "outer": "row", "inner": "second_instrumentor of outer",
    }  # fmt: skip


def test_siblings_one_after_the_other_are_two_calls() -> None:
    """Line 12."""
    assert outcome(span("a", OFFICIAL), span("b", OPENINFERENCE, at=1500)) == {"a": "row", "b": "row"}


def test_siblings_with_other_tokens_are_two_calls() -> None:
    """Line 13."""
    assert outcome(span("a", OFFICIAL), span("b", OPENINFERENCE, tokens=(100, 51), at=1, lasts=998)) == {
        "a": "row", "b": "row",
    }  # fmt: skip


def test_different_response_ids_are_two_calls() -> None:
    """Line 14."""
    inner = span("b", OPENLLMETRY, at=1, lasts=998, response_id="chatcmpl-2")
    assert outcome(span("a", OFFICIAL, response_id="chatcmpl-1"), inner) == {"a": "row", "b": "row"}


def test_embeddings_are_never_a_chat() -> None:
    inner = span("b", OPENINFERENCE, within="a", operation="embeddings")
    assert outcome(span("a", OFFICIAL), inner) == {"a": "row", "b": "row"}


def test_model_named_with_and_without_vendor_and_version_is_one_model() -> None:
    outer = span("outer", LANGCHAIN, at=-1, lasts=1002, model="openai/gpt-4o-mini", request_model=None)
    assert outcome(outer, span("inner", within="outer")) == {"outer": "wrapper of inner", "inner": "row"}


def test_number_known_to_be_wrong_gives_way_to_the_right_one() -> None:
    same = {"response_id": "msg_1"}
    doubtful = span("theirs", OPENLLMETRY, tokens=(10, 31), flags=("emitter_miscounts",), **same)
    assert outcome(doubtful, span("native", NATIVE, tokens=(10, 30), **same)) == {
        "theirs": "second_instrumentor of native", "native": "row",
    }  # fmt: skip


def test_numbers_that_hold_more_than_others_report_are_of_the_same_call() -> None:
    same = {"response_id": "msg_1"}
    native = span("native", NATIVE, tokens=(1000, 120), flags=("compaction_added",), within="theirs", **same)
    assert outcome(native, span("theirs", OFFICIAL, tokens=(100, 50), at=-1, lasts=1002, **same)) == {
        "theirs": "second_instrumentor of native", "native": "row",
    }  # fmt: skip


def test_span_that_knows_the_tokens_wins_over_one_that_does_not() -> None:
    assert outcome(span("ours", tokens=None, at=1, lasts=998, within="theirs"), span("theirs", OPENINFERENCE)) == {
        "ours": "second_instrumentor of theirs", "theirs": "row",
    }  # fmt: skip


def test_span_with_more_parts_of_its_tokens_wins() -> None:
    detailed = span("detailed", OPENINFERENCE, usage=TokenUsage(100, 50, cache_read_tokens=40), within="plain")
    plain = span("plain", LANGCHAIN, at=-1, lasts=1002)
    assert outcome(plain, detailed) == {"plain": "wrapper of detailed", "detailed": "row"}


def test_failed_call_seen_twice_is_one_failed_call() -> None:
    """Line 19."""
    failed = {"tokens": None, "success": False}
    inner = span("inner", OPENINFERENCE, at=1, lasts=998, model="unknown", request_model=None, **failed)
    assert outcome(span("outer", **failed), inner) == {"outer": "row", "inner": "second_instrumentor of outer"}


def test_failed_attempt_inside_a_wrapper_that_succeeded_is_a_call_of_its_own() -> None:
    """Line 18."""
    wrapper = span("litellm", LITELLM, lasts=3000, flags=("gateway",))
    failed = span("first", at=10, lasts=500, within="litellm", tokens=None, success=False)
    second = span("second", at=1000, within="litellm")
    assert outcome(wrapper, failed, second) == {"litellm": "gateway of second", "first": "row", "second": "row"}


def test_parallel_calls_seen_by_two_libraries_are_as_many_as_each_saw() -> None:
    mine = [span(f"m{n}", at=n, lasts=1000 + n) for n in range(5)]
    theirs = [span(f"t{n}", OPENINFERENCE, at=n - 0.5, lasts=1001 + n) for n in range(5)]
    found = outcome(*mine, *theirs)
    assert [found[f"m{n}"] for n in range(5)] == ["row"] * 5
    assert sorted(found[f"t{n}"] for n in range(5)) == [f"second_instrumentor of m{n}" for n in range(5)]


def test_four_layers_around_one_call_are_one_row() -> None:
    same = {"response_id": "chatcmpl-1"}
    found = outcome(
        span("chain", LANGCHAIN, at=-3, lasts=1006),
        span("infer", OPENINFERENCE, at=-2, lasts=1004, within="chain"),
        span("offic", OFFICIAL, at=-1, lasts=1002, within="infer", **same),
        span("ours", within="offic", **same),
    )
    assert found == {
        "chain": "wrapper of ours", "infer": "second_instrumentor of ours",
        "offic": "second_instrumentor of ours", "ours": "row",
    }  # fmt: skip


def test_retrieving_a_stored_response_is_no_second_call() -> None:
    """Line 9."""
    same = {"response_id": "resp_1"}
    assert outcome(span("create", OPENLLMETRY, **same), span("get", OPENLLMETRY, at=5000, lasts=100, **same)) == {
        "create": "row", "get": "retrieve of create",
    }  # fmt: skip


def test_retrieving_a_background_response_brings_the_tokens_of_its_call() -> None:
    """Line 9."""
    same = {"response_id": "resp_1"}
    create = span("create", OPENLLMETRY, tokens=None, **same)
    assert outcome(create, span("get", OPENLLMETRY, at=5000, lasts=100, **same)) == {
        "create": "retrieve of get", "get": "row",
    }  # fmt: skip


def test_agent_total_restates_the_calls_below_it() -> None:
    """Line 20."""
    agent = span("agent", PYDANTIC, lasts=5000, tokens=(300, 150), flags=("agent_total",))
    one, two = (
        span("one", PYDANTIC, at=10, within="agent"),
        span("two", PYDANTIC, at=2000, within="agent", tokens=(200, 100)),
    )
    assert outcome(agent, one, two) == {"agent": "agent_total of one", "one": "row", "two": "row"}


def test_agent_total_without_calls_below_it_is_the_row() -> None:
    """Line 22."""
    agent = span("agent", PYDANTIC, flags=("agent_total",))
    assert outcome(agent, span("later", at=2000)) == {"agent": "row", "later": "row"}


def test_agent_without_tokens_restates_the_failed_call_below_it() -> None:
    failed = {"tokens": None, "success": False}
    agent = span("agent", PYDANTIC, flags=("agent_total",), lasts=3000, **failed)
    assert outcome(agent, span("call", at=10, within="agent", **failed)) == {
        "agent": "agent_total of call", "call": "row",
    }  # fmt: skip


def test_agent_total_above_calls_without_tokens_is_a_row_beside_them() -> None:
    """Line 22."""
    agent = span("agent", PYDANTIC, lasts=3000, flags=("agent_total",))
    failed = span("failed", at=10, within="agent", tokens=None, success=False)
    assert outcome(agent, failed) == {"agent": "row", "failed": "row"}


def test_agent_total_above_some_of_its_calls_is_flagged_and_its_remainder_not_guessed() -> None:
    """Line 21."""
    agent = span("agent", PYDANTIC, lasts=3000, tokens=(300, 150), flags=("agent_total",))
    assert outcome(agent, span("one", at=10, within="agent")) == {"agent": "agent_total of one, partly", "one": "row"}


def test_agent_total_of_another_agent_does_not_count_its_neighbours_calls() -> None:
    """Line 24."""
    traced = span("traced", PYDANTIC, lasts=3000, flags=("agent_total",))
    other = span("other", PYDANTIC, lasts=3000, flags=("agent_total",))
    call = span("call", at=10, within="traced")
    assert outcome(traced, other, call) == {"traced": "agent_total of call", "other": "row", "call": "row"}


def test_outer_agent_total_stands_for_those_inside_it_when_no_call_was_traced() -> None:
    """Line 23."""
    outer = span("outer", PYDANTIC, lasts=3000, tokens=(300, 150), flags=("agent_total",))
    inner = span("inner", PYDANTIC, at=10, within="outer", tokens=(100, 50), flags=("agent_total",))
    assert outcome(outer, inner) == {"outer": "row", "inner": "agent_total of outer"}


def test_sums_of_one_library_with_one_parent_are_as_many_as_there_are() -> None:
    """Line 24."""
    one, two = (span(name, PYDANTIC, lasts=3000, flags=("agent_total",), within="request") for name in ("one", "two"))
    assert outcome(one, two) == {"one": "row", "two": "row"}


def test_call_below_spans_nobody_stored_belongs_to_the_total_around_it() -> None:
    agent = span("agent", PYDANTIC, lasts=3000, flags=("agent_total",))
    assert outcome(agent, span("call", at=10, within="chain")) == {"agent": "agent_total of call", "call": "row"}


def test_wrapper_that_sums_up_its_steps_restates_them() -> None:
    """Line 20."""
    wrapper = span("wrapper", PYDANTIC, lasts=3000, tokens=(200, 100), flags=("wrapper",))
    one, two = span("one", at=1, within="wrapper"), span("two", at=1500, within="wrapper")
    assert outcome(wrapper, one, two) == {"wrapper": "wrapper of one", "one": "row", "two": "row"}


def test_unmarked_span_with_exactly_the_tokens_of_the_calls_below_it_is_a_wrapper() -> None:
    """Line 25."""
    loop = span("loop", LANGCHAIN, lasts=3000, tokens=(200, 100))
    one, two = span("one", at=1, within="loop"), span("two", at=1500, within="loop")
    assert outcome(loop, one, two) == {"loop": "wrapper of one", "one": "row", "two": "row"}


def test_every_line_of_the_decision_table_about_different_spans_has_a_test() -> None:
    text = (Path(__file__).parents[3] / "docs" / "adr" / "0030-one-call-one-row.md").read_text(encoding="utf-8")
    lines = {int(number) for number in re.findall(r"^\| (\d+) \|", text, re.MULTILINE)}
    docstrings = [value.__doc__ or "" for name, value in globals().items() if name.startswith("test_")]
    tested = {int(number) for docstring in docstrings for number in re.findall(r"Line (\d+)\.", docstring)}
    assert lines == tested | {26, 27}  # the same span again: tests/integration/storage/test_writing_usage.py


@pytest.mark.parametrize("seed", range(30))
def test_verdicts_name_rows_only_and_order_never_matters(seed: int) -> None:
    choose = random.Random(seed)
    spans = [
        span(
            f"s{number}",
            choose.choice(list(_EMITTERS)),
            at=choose.randrange(0, 3000, 100),
            lasts=choose.randrange(0, 2000, 100),
            within=choose.choice([None, *(f"s{n}" for n in range(number))]),
            tokens=choose.choice([None, (100, 50), (100, 50), (200, 100)]),
            flags=choose.choice([(), (), (), ("agent_total",), ("wrapper",), ("gateway",)]),
            response_id=choose.choice([None, "resp_1", "chatcmpl-1", "chatcmpl-2"]),
            service_name=choose.choice(["a", "b"]),
            success=choose.random() < 0.8,
            trace_id=choose.choice([TRACE, TRACE, OTHER_TRACE]),
        )
        for number in range(12)
    ]
    verdicts = decide(spans)
    rows = {each.id for each in spans} - verdicts.keys()
    assert {verdict.row_id for verdict in verdicts.values()} <= rows
    for _ in range(5):
        assert decide(choose.sample(spans, len(spans))) == verdicts
