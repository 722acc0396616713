"""Turn every LLM call of an app into an OpenTelemetry span with tokens, cost and owner.

Importing this package imports no provider SDK, no price data and no OpenTelemetry SDK.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from ai_usage.attribution import usage_context
    from ai_usage.pricing import calculate_cost
    from ai_usage.setup import instrument, uninstrument
    from ai_usage.tracker import AIUsageTracker, log_ai_usage

__all__ = ["AIUsageTracker", "calculate_cost", "instrument", "log_ai_usage", "uninstrument", "usage_context"]

_HOMES: Final = {
    "AIUsageTracker": "ai_usage.tracker",
    "calculate_cost": "ai_usage.pricing",
    "instrument": "ai_usage.setup",
    "log_ai_usage": "ai_usage.tracker",
    "uninstrument": "ai_usage.setup",
    "usage_context": "ai_usage.attribution",
}


def __getattr__(name: str) -> Any:
    """Load a public name when it is first used."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'ai_usage' has no attribute {name!r}")
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value
