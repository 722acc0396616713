"""L1 and L2: whatever goes wrong inside, the app gets its own result or its own exception, as without us."""

from __future__ import annotations

import contextvars
import gc
import logging
from typing import TYPE_CHECKING

import pytest

import ai_usage
from ai_usage import _guard, tracker
from tests.integration.instrumentation.promises.apps import ASYNC, SYNC, async_app, outcome, sync_app
from tests.integration.instrumentation.promises.injector import Injector

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.integration.instrumentation.conftest import Spans
    from tests.integration.instrumentation.promises.apps import Run


@pytest.fixture(autouse=True)
def forgiving(spans: Spans, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Faults are meant here; the manual API writes to the same place."""
    from ai_usage._telemetry import Telemetry

    _guard.set_strict(False)
    monkeypatch.setattr(tracker, "_telemetry", Telemetry("ai_usage.manual", "0", tracer_provider=spans.provider))
    logging.getLogger("ai_usage").disabled = True
    yield
    logging.getLogger("ai_usage").disabled = False


CASES = [(sync_app, name) for name in SYNC] + [(async_app, name) for name in ASYNC]


@pytest.mark.parametrize(
    ("make", "name"), CASES, ids=[f"{name}, {make.__name__.partition('_')[0]}" for make, name in CASES]
)
def test_a_fault_in_any_internal_call_leaves_result_exception_and_traceback_untouched(
    make: Callable[[str], Run], name: str, spans: Spans
) -> None:
    run = make(name)
    ai_usage.uninstrument()
    plain = outcome(run)
    ai_usage.instrument(tracer_provider=spans.provider)
    assert outcome(run) == plain
    watched = Injector()
    assert watched.watch(lambda: outcome(run)) == plain
    assert len(watched.seen) > 10, "nothing was seen to fail"
    for code, times in watched.seen.items():
        for occurrence in {0, times - 1}:
            injector = Injector((code, occurrence))
            noticed = contextvars.copy_context().run(injector.watch, lambda: outcome(run))
            assert noticed == plain, (
                f"a fault in call {occurrence} of {code.co_qualname} ({code.co_filename}) is noticed"
            )
    gc.collect()
