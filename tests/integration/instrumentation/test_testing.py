"""What apps test with: calls as data, the same ids in every run, and owners asked for."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest

import ai_usage
from ai_usage import AIUsageTracker, semconv, setup, usage_context
from ai_usage.testing import MissingOwnerError, capture_usage
from tests.integration.instrumentation.promises.apps import sync_app

if TYPE_CHECKING:
    from tests.integration.instrumentation.conftest import Spans


def test_calls_of_sdks_and_by_hand_are_data_with_ids_of_their_own_count() -> None:
    for _ in range(2):
        with capture_usage() as usage:
            with usage_context(user_id="7"):
                sync_app("openai")()
            assert usage.only()[semconv.USAGE_INPUT_TOKENS] == 100
            assert usage.only()[semconv.USER_ID] == "7"
            with AIUsageTracker("8", provider="openai", model="gpt-4o") as tracked:
                tracked.set_tokens(10, 5)
            with pytest.raises(AssertionError, match="2 AI calls were made, not 1"):
                usage.only()
            assert [call[semconv.USER_ID] for call in usage.calls] == ["7", "8"]
            assert [span.context.span_id for span in usage.spans if span.context] == [1, 2]
            usage.clear()
            assert usage.calls == []
    assert setup.instrumented() == {}


def test_a_call_without_an_owner_fails_where_it_is_made() -> None:
    run = sync_app("openai")
    with pytest.raises(MissingOwnerError, match=r"chat gpt-4o was called without an owner: wrap the call"):
        with capture_usage(strict=True):
            run()
    with capture_usage(strict=True) as usage:
        with usage_context(service_name="s"):
            run()
        assert len(usage.calls) == 1


def test_an_app_that_swallows_the_error_fails_all_the_same() -> None:
    run = sync_app("openai")
    with pytest.raises(MissingOwnerError), capture_usage(strict=True):
        with contextlib.suppress(Exception):
            run()
    with capture_usage():
        run()  # nobody asks any more


def test_afterwards_everything_is_as_it_was(spans: Spans) -> None:
    ai_usage.uninstrument()
    ai_usage.instrument(sdks=("openai",), tracer_provider=spans.provider)
    run = sync_app("openai")
    with capture_usage() as usage:
        run()
    assert len(usage.calls) == 1
    assert spans.all() == ()
    assert setup.instrumented() == {"openai": (spans.provider, None)}
    run()
    assert len(spans.all()) == 1
