"""A month and a half of believable calls for the page to show; the same ones every time."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from ai_usage.tokens import TokenUsage
from ai_usage_exporter.price import price
from tests.factories import make_record

if TYPE_CHECKING:
    from ai_usage_exporter.record import PricedCall

# provider, model, weight, typical input, typical output
_MODELS: Final = (
    ("openai", "gpt-4o-mini", 34, 2_400, 380),
    ("openai", "gpt-4.1", 12, 5_200, 700),
    ("openai", "o3", 5, 3_000, 2_400),
    ("anthropic", "claude-sonnet-4-5", 20, 9_000, 900),
    ("anthropic", "claude-haiku-4-5", 15, 4_000, 420),
    ("google", "gemini-2.5-flash", 12, 6_500, 500),
    ("google", "gemini-2.5-pro", 6, 12_000, 1_500),
    ("openai", "text-embedding-3-small", 9, 900, 0),
    ("self-hosted", "acme-llama-70b", 2, 3_000, 600),
)
_FEATURES: Final = (
    ("xray_analyzer", "analyze", 24),
    ("xray_analyzer", "compare", 8),
    ("cv_optimizer", "optimize", 22),
    ("cv_optimizer", "score", 9),
    ("support_chat", "answer", 30),
    ("support_chat", "summarize", 10),
    ("doc_search", "embed", 12),
    ("contract_review", "extract", 7),
    ("contract_review", "redline", 4),
)
_ERRORS: Final = (
    ("429", "Rate limit reached for requests"),
    ("500", "The server had an error"),
    ("timeout", "No answer within 60 s"),
)


def make_month(calls: int = 3_000, *, days: int = 58, seed: int = 7) -> list[PricedCall]:
    """Return calls of the last ``days`` days: more by day than by night, fewer at weekends, growing."""
    dice = random.Random(seed)
    now = datetime.now(UTC)
    made = []
    for number in range(calls):
        at = now - timedelta(days=days * (1 - dice.random() ** 0.8), seconds=5)
        if at.weekday() >= 5 and dice.random() < 0.6:
            at -= timedelta(days=2)
        if not 6 <= at.hour <= 20 and dice.random() < 0.7:
            at = at.replace(hour=dice.randint(7, 19)) - timedelta(days=1)
        made.append(price(_make_one(dice, number, at)))
    return made


def _make_one(dice: random.Random, number: int, at: datetime) -> Any:
    provider, model, _, typical_input, typical_output = dice.choices(_MODELS, [entry[2] for entry in _MODELS])[0]
    service, action, _ = dice.choices(_FEATURES, [entry[2] for entry in _FEATURES])[0]
    person = min(int(dice.expovariate(0.06)), 80)
    total_input = max(20, int(typical_input * dice.lognormvariate(0, 0.6)))
    output = int(typical_output * dice.lognormvariate(0, 0.5))
    cached = int(total_input * dice.choice((0, 0, 0.3, 0.6, 0.8))) if typical_output else None
    failed = dice.random() < 0.022
    code, message = dice.choice(_ERRORS)
    return make_record(
        created_at=at + timedelta(microseconds=number),
        duration_ms=int(300 + output * 9 * dice.lognormvariate(0, 0.3)),
        service_name=service,
        service_action=action,
        provider=provider,
        model=model,
        request_model=model,
        usage=TokenUsage(input_tokens=0, output_tokens=0)
        if failed
        else TokenUsage(
            input_tokens=total_input,
            output_tokens=output,
            cache_read_tokens=cached,
            reasoning_tokens=int(output * 0.7) if model == "o3" else None,
        ),
        user=f"user-{person}",
        user_email=f"user-{person}@example.com" if person % 4 else None,
        service_tier=None,
        **({"success": False, "error_code": code, "error_message": message} if failed else {}),
    )
