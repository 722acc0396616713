"""The total as arbiter: numbers that leave parts out become inclusive once, and what cannot be repaired is flagged."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ai_usage_exporter.normalize.arbiter import (
    CACHE_ADDED,
    ONLY_TOTAL,
    OUTPUT_FROM_TOTAL,
    REASONING_ADDED,
    TOTAL_MISMATCH,
    settle_totals,
)

COUNTS = st.integers(0, 10_000)


def test_a_total_that_is_the_sum_leaves_inclusive_numbers_alone() -> None:
    assert settle_totals(1210, 30, 1200, 0, 1240) == (1210, 30, ())


def test_a_total_with_the_cache_on_top_adds_the_cache_once() -> None:
    assert settle_totals(10, 30, 1200, 0, 1240) == (1210, 30, ())


def test_a_total_with_reasoning_on_top_adds_reasoning_once() -> None:
    assert settle_totals(100, 30, 0, 20, 150) == (100, 50, ())


def test_a_total_overrules_what_the_source_is_known_to_leave_out() -> None:
    assert settle_totals(1210, 30, 1200, 0, 1240, cache_apart=True) == (1210, 30, ())


def test_without_a_total_the_source_is_believed() -> None:
    assert settle_totals(10, 30, 1200, 0, None, cache_apart=True) == (1210, 30, ())
    assert settle_totals(100, 30, 0, 20, None, reasoning_apart=True) == (100, 50, ())


def test_more_cached_tokens_than_input_prove_that_they_were_left_out() -> None:
    assert settle_totals(10, 30, 1200, 0, None) == (1210, 30, (CACHE_ADDED,))


def test_more_reasoning_than_output_proves_that_it_was_left_out() -> None:
    assert settle_totals(100, 5, 0, 20, None) == (100, 25, (REASONING_ADDED,))


def test_thoughts_nobody_reports_are_the_rest_of_the_total() -> None:
    assert settle_totals(100, 30, 0, 0, 157, output_may_lack=True) == (100, 57, (OUTPUT_FROM_TOTAL,))


def test_a_total_that_is_no_sum_is_flagged_and_changes_nothing() -> None:
    assert settle_totals(100, 50, 0, 0, 7777) == (100, 50, (TOTAL_MISMATCH,))


def test_a_total_alone_stands_as_input() -> None:
    assert settle_totals(None, None, 0, 0, 64) == (64, None, (ONLY_TOTAL,))
    assert settle_totals(None, None, 0, 0, None) == (None, None, ())


def test_negative_numbers_are_not_made_into_others() -> None:
    assert settle_totals(-5, 50, 0, 0, 45) == (-5, 50, ())


@given(
    uncached=COUNTS, cached=COUNTS, answered=COUNTS, reasoning=COUNTS, apart=st.booleans(), thoughts_apart=st.booleans()
)
def test_every_way_of_leaving_parts_out_gives_the_same_when_the_total_is_known(
    uncached: int, cached: int, answered: int, reasoning: int, apart: bool, thoughts_apart: bool
) -> None:
    whole_input, whole_output = uncached + cached, answered + reasoning
    given_input = uncached if apart else whole_input
    given_output = answered if thoughts_apart else whole_output
    found_input, found_output, _ = settle_totals(
        given_input,
        given_output,
        cached,
        reasoning,
        whole_input + whole_output,
        cache_apart=apart,
        reasoning_apart=thoughts_apart,
    )
    assert (found_input or 0, found_output or 0) == (whole_input, whole_output)
