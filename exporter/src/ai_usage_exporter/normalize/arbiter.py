"""The reported total as arbiter: inclusive input and output out of numbers that may leave parts out.

Sources differ in whether input contains cached tokens and output contains reasoning. What a source is known to do is
its dialect's knowledge; where a total was reported it settles the matter, because only one reading adds up to it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

TOTAL_MISMATCH: Final = "total_mismatch"
"""The reported total is no sum of the reported parts; they are kept as reported."""
OUTPUT_FROM_TOTAL: Final = "output_from_total"
"""Output was taken as total less input: it may hold tokens of a tool-use prompt."""
ONLY_TOTAL: Final = "only_total"
"""Only a total was reported; it stands as input."""
CACHE_ADDED: Final = "cache_added"
"""More cached tokens than input: the source left them out and they were added."""
REASONING_ADDED: Final = "reasoning_added"
"""More reasoning than output: the source left it out and it was added."""

Numbers = tuple["int | None", "int | None", tuple[str, ...]]


def settle_totals(
    input_tokens: int | None,
    output_tokens: int | None,
    cached: int,
    reasoning: int,
    total: int | None,
    *,
    cache_apart: bool = False,
    reasoning_apart: bool = False,
    output_may_lack: bool = False,
) -> Numbers:
    """Return inclusive (input, output) and the flags that say what was done.

    ``cached`` is cache read plus write, ``cache_apart`` and ``reasoning_apart`` what the source is known to leave out
    of its totals, ``output_may_lack`` that it is known to leave out what it does not report (thoughts of Gemini).
    """
    if input_tokens is None and output_tokens is None:
        return (total, None, (ONLY_TOTAL,)) if total else (None, None, ())
    before, after = input_tokens or 0, output_tokens or 0
    if min(before, after, cached, reasoning, total or 0) < 0:
        return input_tokens, output_tokens, ()  # refused with the value as sent, not with one made of it
    if total and (cached or reasoning or output_may_lack):
        for with_cache, with_reasoning in _readings(cache_apart=cache_apart, reasoning_apart=reasoning_apart):
            whole_input = before + cached * with_cache
            whole_output = after + reasoning * with_reasoning
            if whole_input + whole_output == total and cached <= whole_input and reasoning <= whole_output:
                return _whole(input_tokens, whole_input), _whole(output_tokens, whole_output), ()
        if output_may_lack and total > before + after:
            return input_tokens, total - before, (OUTPUT_FROM_TOTAL,)
    flags: tuple[str, ...] = ()
    if total and total != before + after and not (cache_apart or reasoning_apart):
        flags = (TOTAL_MISMATCH,)
    if cache_apart:
        before += cached
    elif cached > before:
        before += cached
        flags += (CACHE_ADDED,)
    if reasoning_apart:
        after += reasoning
    elif reasoning > after:
        after += reasoning
        flags += (REASONING_ADDED,)
    return _whole(input_tokens, before), _whole(output_tokens, after), flags


def _readings(*, cache_apart: bool, reasoning_apart: bool) -> Iterator[tuple[bool, bool]]:
    """Yield (cache was left out, reasoning was left out), what the source is known to do first."""
    yield cache_apart, reasoning_apart
    for reading in ((False, False), (True, False), (False, True), (True, True)):
        if reading != (cache_apart, reasoning_apart):
            yield reading


def _whole(reported: int | None, count: int) -> int | None:
    return count if reported is not None or count else None
