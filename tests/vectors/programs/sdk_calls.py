"""Make the same calls of each SDK, one a case, whoever traces them; ``within`` adds users and sessions to plain."""

from __future__ import annotations

from contextlib import nullcontext

from session import ASK, CHAT, CLAUDE, EMBEDDING, GEMINI_MODEL, REASONING, case

SAY = "Say something short."


def openai_calls(client, flush, within=nullcontext, *, embedding=True, prefix="", **plain):
    """Make one call a case with an ``openai.OpenAI``; ``plain`` is passed on with the plain one."""
    with case(prefix + "plain", flush), within():
        client.chat.completions.create(model=CHAT, messages=ASK, **plain)
    with case(prefix + "stream", flush):
        list(
            client.chat.completions.create(
                model=CHAT, messages=ASK, stream=True, stream_options={"include_usage": True}
            )
        )
    with case(prefix + "cached", flush):
        client.chat.completions.create(model=CHAT, messages=ASK)
    with case(prefix + "reasoning", flush):
        client.chat.completions.create(model=REASONING, messages=ASK)
    with case(prefix + "error", flush, fails=True):
        client.chat.completions.create(model=CHAT, messages=ASK)
    if embedding:
        with case(prefix + "embedding", flush):
            client.embeddings.create(model=EMBEDDING, input="words")


def anthropic_calls(client, flush, prefix="anthropic-"):
    """Make one call a case with an ``anthropic.Anthropic``."""
    call = {"model": CLAUDE, "max_tokens": 100, "messages": ASK}
    with case(prefix + "plain", flush):
        client.messages.create(**call)
    with case(prefix + "cached", flush):
        client.messages.create(**call)
    with case(prefix + "reasoning", flush):
        client.messages.create(**call)
    with case(prefix + "stream", flush):
        list(client.messages.create(**call, stream=True))
    with case(prefix + "error", flush, fails=True):
        client.messages.create(**call)


def gemini_calls(client, flush):
    """Make one call a case with a ``genai.Client``."""
    for name in ("gemini-plain", "gemini-cached", "gemini-reasoning"):
        with case(name, flush):
            client.models.generate_content(model=GEMINI_MODEL, contents=SAY)
    with case("gemini-stream", flush):
        list(client.models.generate_content_stream(model=GEMINI_MODEL, contents=SAY))


def retrieve(client, flush):
    """Make a response and read it again, within one trace."""
    from opentelemetry import trace

    with case("retrieve", flush), trace.get_tracer("app").start_as_current_span("request"):
        client.responses.retrieve(client.responses.create(model=CHAT, input=SAY).id)
