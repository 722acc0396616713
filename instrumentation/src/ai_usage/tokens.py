"""Token usage: the one meaning of the numbers, wherever they came from."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable


class TokenUsage(NamedTuple):
    """Hold the tokens of one provider call; ``None`` means not reported, never 0.

    ``input_tokens`` includes every input kind (cached, audio, image, tool prompt) and ``output_tokens``
    includes reasoning, as the OTel GenAI conventions ask. All other fields are subsets of these two and are
    never added on top. Sources that exclude a part (Anthropic's and Bedrock's cache, Gemini's thoughts) are
    converted once, where their numbers enter.
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_tokens: int | None = None
    """Subset of input served from the provider's cache."""
    cache_write_tokens: int | None = None
    """Subset of input written to the provider's cache, all lifetimes together."""
    cache_write_1h_tokens: int | None = None
    """Subset of ``cache_write_tokens`` with the long lifetime (Anthropic: 1 hour); the rest is 5 minutes."""
    reasoning_tokens: int | None = None
    """Subset of output."""
    input_audio_tokens: int | None = None
    output_audio_tokens: int | None = None
    cache_read_audio_tokens: int | None = None
    """Subset of both ``cache_read_tokens`` and ``input_audio_tokens``."""
    input_image_tokens: int | None = None
    output_image_tokens: int | None = None

    @property
    def is_reported(self) -> bool:
        """Tell whether the provider reported any usage at all."""
        return self.input_tokens is not None or self.output_tokens is not None

    @property
    def total_tokens(self) -> int | None:
        """Return input plus output, or ``None`` when neither was reported."""
        if self.input_tokens is None and self.output_tokens is None:
            return None
        return (self.input_tokens or 0) + (self.output_tokens or 0)


NOT_REPORTED = TokenUsage()

usage_of: Final[Callable[[tuple[int | None, ...]], TokenUsage]] = functools.partial(tuple.__new__, TokenUsage)
"""Make a ``TokenUsage`` of all its fields, without the function of Python that ``TokenUsage(*fields)`` runs."""
