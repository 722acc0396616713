"""LiteLLM: every call of the library, its Router and its proxy, by the callback interface it offers for that.

LiteLLM is slow to import, so it is left to the app: the callback is added when the app imports it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import wrapt
from opentelemetry.instrumentation.instrumentor import BaseInstrumentor  # type: ignore[attr-defined]

from ai_usage import _foreign, _guard
from ai_usage._invocation import Telemetry
from ai_usage._stainless import outer_callers
from ai_usage._version import VERSION

if TYPE_CHECKING:
    from collections.abc import Collection


class LiteLLMInstrumentor(BaseInstrumentor):  # type: ignore[misc]
    """Instrument the litellm package (1.x)."""

    _telemetry: Telemetry | None = None
    _logger: Any = None
    _is_waiting = False

    def instrumentation_dependencies(self) -> Collection[str]:
        """Return what is instrumented."""
        return ("litellm >= 1.80, < 2",)

    def _instrument(self, **kwargs: Any) -> None:
        from ai_usage.setup import ensure_processor

        ensure_processor(kwargs.get("tracer_provider"))
        _foreign.tell_who_does_what("litellm")
        self._telemetry = Telemetry(
            "ai_usage.litellm",
            VERSION,
            tracer_provider=kwargs.get("tracer_provider"),
            meter_provider=kwargs.get("meter_provider"),
        )
        outer_callers.add("litellm")
        if not self._is_waiting:
            self._is_waiting = True
            wrapt.register_post_import_hook(self._imported, "litellm")
        else:
            import sys

            if "litellm" in sys.modules:
                self._imported(sys.modules["litellm"])

    def _imported(self, litellm: Any) -> None:
        if self._telemetry is None:
            return
        try:
            from ai_usage.litellm.callback import create_logger

            self._logger = create_logger(self._telemetry)
            litellm.logging_callback_manager.add_litellm_callback(self._logger)
        except Exception:
            _guard.caught("adding the callback to litellm")

    def _uninstrument(self, **_kwargs: Any) -> None:
        outer_callers.discard("litellm")
        self._telemetry = None
        if self._logger is not None:
            import litellm

            self._logger.is_active = False
            litellm.logging_callback_manager.remove_callback_from_all_lists(self._logger)
            self._logger = None
